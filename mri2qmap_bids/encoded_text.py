"""Text files that users write, in the encodings that their programs save."""

import codecs
from pathlib import Path


def read_text(path: Path) -> str:
    """A text file: UTF-8, with or without a byte-order mark, or UTF-16 with one.

    Windows' editors and Excel write such marks.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is no such text.
    """
    content = path.read_bytes()
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if is_utf16 else "utf-8-sig")

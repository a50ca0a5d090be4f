"""Files that appear whole or not at all."""

import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mri2qmap_bids.errors import OutputError


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside the target under a temporary name of the same extension, then rename.

    Parameters
    ----------
    path
        The file to appear.
    write
        Called with the temporary path; must create that file.

    Raises
    ------
    OutputError
        If the directory cannot be made or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A leading dot keeps a killed run's leftover out of every BIDS query and validator.
        handle, name = tempfile.mkstemp(
            prefix=".tmp-", suffix="".join(path.suffixes), dir=path.parent
        )
        os.close(handle)
    except OSError as error:
        raise OutputError(
            f"{path.parent}: must be writable, with space left, got: {error.strerror}"
        ) from error
    temporary = Path(name)
    try:
        write(temporary)
        # mkstemp makes private files; derivatives are shared like any other file.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise OutputError(
            f"{path}: must be writable, with space left, got: {error.strerror or error}"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    write_atomically(path, lambda temporary: _write_text(temporary, text))


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file atomically, indented by two; as :func:`json_text`."""
    write_text(path, json_text(content, indent=2) + "\n")


def json_text(content: Any, indent: int | None = None) -> str:
    """Content as JSON. NaN and infinity, which JSON does not have, become null.

    Parameters
    ----------
    content
        Mappings, sequences, texts, numbers and None.
    indent
        Spaces of a level; None: no white space at all.

    >>> json_text({"a": [1.5, float("nan")], "b": float("-inf")})
    '{"a":[1.5,null],"b":null}'
    """
    separators = (",", ":") if indent is None else None
    return json.dumps(
        _without_nan(content),
        indent=indent,
        separators=separators,
        ensure_ascii=False,
        allow_nan=False,
    )


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(part) for part in value]
    return value


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

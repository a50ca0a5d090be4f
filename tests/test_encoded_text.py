"""Text files in the encodings that editors save."""

import pytest

from mri2qmap_bids.encoded_text import read_text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_every_encoding_gives_the_same_text(tmp_path, encoding):
    text = "sub-01\tÄ\n"
    mark = "\ufeff" if encoding.startswith("utf-16-") else ""
    (tmp_path / "a.tsv").write_bytes((mark + text).encode(encoding))
    assert read_text(tmp_path / "a.tsv").removeprefix("\ufeff") == text


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "a.tsv").write_bytes(b"\xff\x00\xfa")
    with pytest.raises(ValueError, match="codec can't decode"):
        read_text(tmp_path / "a.tsv")

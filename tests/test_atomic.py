"""Files appear whole or not at all, and JSON is JSON."""

import json
import os

import numpy as np
import pytest

from mri2qmap_bids.atomic import json_text, write_atomically, write_json, write_text
from mri2qmap_bids.errors import OutputError


def test_what_is_written_is_read_again(tmp_path):
    write_text(tmp_path / "a" / "b" / "x.txt", "ä\n")
    assert (tmp_path / "a" / "b" / "x.txt").read_text(encoding="utf-8") == "ä\n"
    content = {"name": "Zoë", "values": [1, None]}
    write_json(tmp_path / "x.json", content)
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == content


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x.txt"
    write_text(path, "old")

    def fail(temporary):
        temporary.write_text("half")
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_writer_gets_a_hidden_name_with_the_same_extension(tmp_path):
    names = []
    write_atomically(tmp_path / "x.nii.gz", lambda path: names.append(path.name) or path.touch())
    assert names[0].startswith(".") and names[0].endswith(".nii.gz")


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_others_may_read_what_the_umask_lets_them(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_text(tmp_path / "x", "")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file.*: must be writable"):
        write_text(tmp_path / "file" / "x", "")


def refuse(constant):
    raise ValueError(constant)


@pytest.mark.parametrize("indent", [None, 2])
def test_what_is_no_number_becomes_null_at_every_depth(indent):
    content = {"a": [1.5, float("nan"), (np.float64("inf"), {"b": -float("inf")})], "c": "NaN"}
    parsed = json.loads(json_text(content, indent), parse_constant=refuse)
    assert parsed == {"a": [1.5, None, [None, {"b": None}]], "c": "NaN"}


def test_a_written_file_holds_no_nan(tmp_path):
    write_json(tmp_path / "a.json", {"noise": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text(), parse_constant=refuse) == {"noise": None}

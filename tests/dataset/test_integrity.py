"""Files of a run: their content, their sidecars, and errors that stay with the run."""

import json
import logging

import pytest

from mri2qmap_bids.dataset.integrity import Sidecars, guard, missing
from mri2qmap_bids.errors import SidecarError, UnexpectedError


def test_an_error_that_is_not_the_packages_own_becomes_one_line_with_file_and_cause(
    tmp_path, caplog
):
    with (
        caplog.at_level(logging.DEBUG, logger="mri2qmap_bids"),
        pytest.raises(UnexpectedError) as caught,
        guard(tmp_path / "x.h5"),
    ):
        raise KeyError("no\nkey")
    assert str(caught.value).startswith(f"{tmp_path / 'x.h5'}: unexpected KeyError: ")
    assert "\n" not in str(caught.value)
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}
    with pytest.raises(SidecarError, match=r"^a: b must be c$"), guard(tmp_path):
        raise SidecarError("a: b must be c")
    with pytest.raises(KeyboardInterrupt), guard(tmp_path):
        raise KeyboardInterrupt


def test_a_file_without_its_content_says_how_to_get_it(tmp_path):
    link, pointer, whole = (tmp_path / name for name in ("link", "pointer", "whole"))
    link.symlink_to(".git/annex/objects/aa/bb/MD5E-s1--c.h5")
    pointer.write_text("/annex/objects/MD5E-s345678--d41d8cd98f00b204e9800998ecf8427e.h5\n")
    whole.write_text("anything")
    for path in (link, pointer):
        assert missing(path).endswith(f"try: datalad get {path}")
    assert missing(whole) is None
    assert missing(tmp_path / "nowhere") is None


def test_nearer_folders_and_longer_names_count_more(tmp_path):
    data = tmp_path / "sub-1" / "anat" / "sub-1_acq-a_run-2_MRF.h5"
    data.parent.mkdir(parents=True)
    contents = {
        tmp_path / "MRF.json": {"A": 1, "B": 1, "C": 1, "D": 1},
        tmp_path / "acq-a_MRF.json": {"B": 2},
        tmp_path / "acq-b_MRF.json": {"A": 9},
        tmp_path / "T1w.json": {"A": 9},
        tmp_path / "sub-1" / "sub-1_MRF.json": {"C": 3, "D": None},
    }
    for path, content in contents.items():
        path.write_text(json.dumps(content))
    assert Sidecars(tmp_path).metadata(data) == {"A": 1, "B": 2, "C": 3}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{broken", "must be JSON, got: Expecting"),
        (b"[1, 2]", "must be a JSON object, got list"),
        (b"3", "must be a JSON object, got int"),
        ('{"A": "é"}'.encode("latin-1"), "must be encoded in UTF-8"),
        ('{"A": 1}'.encode("utf-16"), "must be encoded in UTF-8"),
        (b"", "must be JSON"),
        (b"[" * 100_000, "must be JSON"),
        (b"/annex/objects/MD5E-s1--c.json\n", "datalad get"),
        (None, "must be a readable file, got: Is a directory"),
    ],
)
def test_what_is_no_sidecar_is_named(tmp_path, content, words):
    path = tmp_path / "MRF.json"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(SidecarError, match=words) as caught:
        Sidecars(tmp_path).metadata(tmp_path / "sub-1_MRF.h5")
    assert str(path) in str(caught.value)

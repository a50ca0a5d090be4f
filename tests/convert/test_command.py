"""What holds for every source."""

import sys

import pytest

from mri2qmap_bids import tools
from mri2qmap_bids.convert.arguments import SOURCES


def test_a_missing_library_is_named_with_the_extra_that_brings_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "twixtools", None)
    (tmp_path / "scan.dat").write_bytes(bytes(20000))
    words = ["siemens", str(tmp_path / "scan.dat"), str(tmp_path / "bids")]
    assert tools.main(["convert", *words, "--participant-label", "01"]) == 66
    error = capsys.readouterr().err
    assert "pip install 'mri2qmap_bids[siemens]'" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "bids").exists()


@pytest.mark.parametrize("source", SOURCES)
def test_labels_and_missing_files_are_checked_first(tmp_path, capsys, source):
    words = [
        "convert",
        source,
        "absent.npz",
        *["absent"] * (source == "bart"),
        str(tmp_path / "bids"),
    ]
    words += ["--fov", "240", "240", "5", "--matrix", "16"]
    assert tools.main([*words, "--participant-label", "a_b"]) == 64
    assert "--participant-label must be letters and digits, got 'a_b'" in capsys.readouterr().err
    assert tools.main([*words, "--participant-label", "sub-01"]) in (1, 66)
    assert "absent" in capsys.readouterr().err
    assert tools.main([*words, "--participant-label", "01", "--matrix", "-1"]) == 64
    assert "--matrix must be 1 to 3 numbers above 0" in capsys.readouterr().err
    assert not (tmp_path / "bids").exists()

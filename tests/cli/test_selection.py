"""Which runs a call processes."""

import json
import shutil

from helpers.command import one_error, run


def test_a_filter_file_that_is_not_there(small_dataset, tmp_path, capfd):
    words = (small_dataset, tmp_path / "out", "participant", "--bids-filter-file", "nowhere.json")
    assert run(*words) == 66
    assert "--bids-filter-file nowhere.json: must be a file" in one_error(capfd)


def test_dataset_without_mrf_files(tmp_path, capfd):
    (tmp_path / "bids" / "sub-01" / "anat").mkdir(parents=True)
    assert run(tmp_path / "bids", tmp_path / "out", "participant", "-w", tmp_path / "w") == 16
    assert "must hold raw MRF files" in one_error(capfd)
    assert not (tmp_path / "out").exists()


def test_participant_that_is_not_there(small_dataset, tmp_path, capfd):
    words = (small_dataset, tmp_path / "out", "participant", "--participant-label", "99")
    assert run(*words, "-w", tmp_path / "w") == 18
    assert "--participant-label must be among 01, 02, got 99" in one_error(capfd)


def test_a_dataset_of_nothing_but_a_broken_sidecar_says_so(tmp_path, capfd):
    anat = tmp_path / "bids" / "sub-1" / "anat"
    anat.mkdir(parents=True)
    (anat / "sub-1_MRF.h5").touch()
    (anat / "sub-1_MRF.json").write_text("{broken")
    words = (tmp_path / "bids", tmp_path / "out", "participant", "-w", tmp_path / "w")
    for more in ((), ("--dry-run",)):
        assert run(*words, *more) == 1
        line = one_error(capfd)
        assert line.startswith("sub-1: failed: ")
        assert "sub-1_MRF.json" in line


def test_a_second_call_does_only_what_is_missing_or_changed(small_dataset, tmp_path, capfd):
    """Without the work directory: from the derivatives alone."""
    copy, out = tmp_path / "bids", tmp_path / "out"
    shutil.copytree(small_dataset, copy)
    call = 0

    def done(*words) -> dict[str, str]:
        nonlocal call
        call += 1
        common = [copy, out, "participant", "-w", tmp_path / f"w{call}", "--nprocs", "1"]
        assert run(*common, "--participant-label", "01", "--recon-method", "gridding", *words) == 0
        lines = capfd.readouterr().err.splitlines()
        names = ("sub-01_ses-1_acq-2d", "sub-01_ses-2_acq-2d")
        return {
            name: next(
                kind for line in lines for kind in ("skipped", "done") if f"{name}: {kind}" in line
            )
            for name in names
        }

    first, second = "sub-01_ses-1_acq-2d", "sub-01_ses-2_acq-2d"
    assert done() == {first: "done", second: "done"}
    stamp = {path: path.stat().st_mtime_ns for path in out.rglob("*.nii.gz")}
    assert done() == {first: "skipped", second: "skipped"}
    assert stamp == {path: path.stat().st_mtime_ns for path in out.rglob("*.nii.gz")}
    next(out.rglob("sub-01_ses-1*_desc-head_mask.nii.gz")).unlink()
    assert done() == {first: "done", second: "skipped"}
    sidecar = next(copy.rglob("sub-01_ses-2*_MRF.json"))
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"Note": "changed"}))
    assert done() == {first: "skipped", second: "done"}
    assert done("--matrix", "24") == {first: "done", second: "done"}
    assert done("--matrix", "24", "--force") == {first: "done", second: "done"}

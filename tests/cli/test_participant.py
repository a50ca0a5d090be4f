"""The participant level's call."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.command import errors_in, run, settings

from mri2qmap_bids.cli.participant import _listed
from mri2qmap_bids.dataset.failures import RunFailure, keep_failures, read_failures
from mri2qmap_bids.dataset.query import MRFRun, Selection


def drop_flip_angles(path: Path) -> None:
    sidecar = path.with_suffix(".json")
    content = json.loads(sidecar.read_text())
    del content["FlipAngle"]
    sidecar.write_text(json.dumps(content))
    with h5py.File(path, "r+") as file:  # nor may the header give them
        xml = file["dataset/xml"][0].decode()
        while "<flipAngle_deg>" in xml:
            start, end = xml.index("<flipAngle_deg>"), xml.index("</flipAngle_deg>")
            xml = xml[:start] + xml[end + len("</flipAngle_deg>") :]
        file["dataset/xml"][0] = xml.encode()


def shorten_flip_angles(path: Path) -> None:
    sidecar = path.with_suffix(".json")
    content = json.loads(sidecar.read_text())
    content["FlipAngle"] = content["FlipAngle"][:-1]
    sidecar.write_text(json.dumps(content))


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def replace_by_text(path: Path) -> None:
    path.write_text("this is no ISMRMRD file")


def put_nan(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        record = file["dataset/data"][5]
        record["data"][3] = np.nan
        file["dataset/data"][5] = record


def drop_trajectory(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        records = file["dataset/data"][:]
        records["head"]["trajectory_dimensions"] = 0
        for record in records:
            record["traj"] = np.zeros(0, np.float32)
        file["dataset/data"][:] = records


@pytest.mark.slow
def test_bad_runs_fail_alone_each_with_its_reason(small_dataset, tmp_path, capfd):
    """Every way a run can be bad, side by side with a good one."""
    damages = {
        drop_flip_angles: "FlipAngle must be given",
        shorten_flip_angles: "got 60 frames from 0 to 59 and 59 flip angles",
        truncate: "must be a complete ISMRMRD (HDF5) file",
        replace_by_text: "must be a complete ISMRMRD (HDF5) file",
        put_nan: "k-space must be finite, got 1 NaN or infinite values in acquisition 5",
        drop_trajectory: "must carry a trajectory",
    }
    bids = tmp_path / "bids"
    source = small_dataset / "sub-01" / "ses-1" / "anat" / "sub-01_ses-1_acq-2d_MRF.h5"
    for number, damage in enumerate([None, *damages]):
        path = bids / f"sub-{number}" / "anat" / f"sub-{number}_MRF.h5"
        path.parent.mkdir(parents=True)
        shutil.copy(source, path)
        shutil.copy(source.with_suffix(".json"), path.with_suffix(".json"))
        if damage:
            damage(path)
    (bids / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.11.1"}')
    assert run(bids, tmp_path / "out", "participant", "-w", tmp_path / "w") == 1
    errors = sorted(errors_in(capfd))
    assert len(errors) == len(damages)
    for number, (line, words) in enumerate(zip(errors, damages.values(), strict=True), start=1):
        assert line.startswith(f"sub-{number}: failed: ")
        assert f"sub-{number}_MRF" in line.split("[")[0].split("failed: ")[1]
        assert words in line
    maps = sorted(path.name for path in (tmp_path / "out").rglob("*_T?map.nii.gz"))
    ends = ("T1map", "T2map", "desc-std_T1map", "desc-std_T2map")
    assert maps == sorted(f"sub-0_{end}.nii.gz" for end in ends)
    assert not [p for p in (tmp_path / "out").rglob("*") if p.name.startswith(".tmp")]


def test_the_first_failure_stops_the_others_if_asked(small_dataset, tmp_path, capfd):
    copy = tmp_path / "bids"
    shutil.copytree(small_dataset, copy)
    for file in copy.rglob("sub-01*_MRF.h5"):
        put_nan(file)
    words = [copy, tmp_path / "out", "participant", "-w", tmp_path / "w", "--nprocs", "1"]
    words += ["--recon-method", "gridding", "--stop-on-first-crash"]
    assert run(*words) == 1
    assert "0 done, 0 skipped, 1 failed, 2 not run" in capfd.readouterr().err
    # Whoever has not begun has no page that says so in red.
    assert [path.name for path in (tmp_path / "out").glob("sub-*.html")] == ["sub-01.html"]
    # What the headers tell stops all others before they begin.
    for file in copy.rglob("sub-01_ses-1*_MRF.h5"):
        truncate(file)
    assert run(*words) == 1
    assert "0 done, 0 skipped, 1 failed, 2 not run" in capfd.readouterr().err


def test_failures_are_told_until_they_are_mended(small_dataset, tmp_path, capfd):
    """Also if no run begins: the failures come and go with calls that reconstruct nothing."""
    copy, out = tmp_path / "bids", tmp_path / "out"
    shutil.copytree(small_dataset, copy)
    words = [copy, out, "participant", "-w", tmp_path / "w", "--nprocs", "1", "--recon-method"]
    words += ["gridding", "--matrix", "16", "--participant-label", "01"]
    words += ["--aggregate-session-reports", "1", "--session-label"]
    assert run(*words, "1") == 0
    page, failed = out / "sub-01.html", out / "logs" / "sub-01_failures.json"
    assert page.is_file()
    sidecars = [next(copy.rglob(f"sub-01_ses-{n}_*_MRF.json")) for n in (1, 2)]
    contents = [sidecar.read_text() for sidecar in sidecars]
    for sidecar in sidecars:
        sidecar.write_text("{")
    assert run(*words, "1") == 1
    assert "must be JSON" in (out / "logs" / "sub-01_ses-1_acq-2d.log").read_text()
    assert "must be JSON" in page.read_text() and "must be JSON" in failed.read_text()
    # Another session, which fails, too: each has its page from now on.
    assert run(*words, "2") == 1
    assert not page.exists()
    pages = [out / f"sub-01_ses-{n}.html" for n in (1, 2)]
    assert ["must be JSON" in page.read_text() for page in pages] == [True, True]
    for sidecar, content in zip(sidecars, contents, strict=True):
        sidecar.write_text(content)
    assert run(*words, "1") == 0
    assert "1 skipped, 0 failed" in capfd.readouterr().err
    assert ["must be JSON" in page.read_text() for page in pages] == [False, True]
    assert "ses-2" in failed.read_text() and "ses-1" not in failed.read_text()


def test_notes_of_runs_that_do_not_run_are_kept(small_dataset, tmp_path, capfd, monkeypatch):
    """A failure that stops the others, or an interruption, mends nothing."""
    copy, out = tmp_path / "bids", tmp_path / "out"
    shutil.copytree(small_dataset, copy)
    first, second, third = "sub-01_ses-1_acq-2d", "sub-01_ses-2_acq-2d", "sub-02_ses-1_acq-3d"
    notes = [RunFailure(name, "why", time="then") for name in (first, second, third)]
    keep_failures(out, (), notes)
    put_nan(next(copy.rglob(f"{first}_MRF.h5")))
    earlier = out / "logs" / f"{third}.log"
    earlier.write_text("of an earlier call\n")
    words = [copy, out, "participant", "-w", tmp_path / "w", "--nprocs", "1", "--matrix", "16"]
    words += ["--recon-method", "gridding"]

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mri2qmap_bids.workflow.graph.Workflow.run", interrupt)
        assert run(*words) == 130
    assert [*read_failures(out, "01"), *read_failures(out, "02")] == notes
    assert [path.name for path in (out / "logs").glob("*sub-*.log*")] == [earlier.name]
    assert earlier.read_text() == "of an earlier call\n"
    assert run(*words, "--stop-on-first-crash") == 1
    assert earlier.read_text().startswith("of an earlier call\n")
    assert "must be finite" in (out / "logs" / f"{first}.log").read_text()
    assert not list((out / "logs").glob(".*"))
    assert "0 done, 0 skipped, 1 failed, 2 not run" in capfd.readouterr().err
    kept = {failure.run: failure.reason for failure in read_failures(out, "01")}
    assert "must be finite" in kept.pop(first) and kept == {second: "why"}
    assert read_failures(out, "02") == notes[2:]
    # One is mended beside one that fails: the page says so of both.
    assert run(*words) == 1
    assert "2 done, 0 skipped, 1 failed" in capfd.readouterr().err
    assert [failure.run for failure in read_failures(out, "01")] == [first]
    assert read_failures(out, "02") == []
    page = (out / "sub-01.html").read_text()
    assert "must be finite" in page and "why</" not in page and f"{second}_desc" in page
    assert "why</" not in (out / "sub-02.html").read_text()


@pytest.mark.parametrize(
    ("words", "kept"), [((), False), (("--session-label", "1"), True), (("--run-label", "1"), True)]
)
def test_the_note_of_a_participant_is_kept_if_it_may_be_of_a_run_left_out(words, kept):
    """A run may be named by its participant alone."""
    selected = MRFRun(Path("x.h5"), {"sub": "01", "ses": "1"})
    listed = _listed(Selection((selected,), (("sub-02_ses-1", "why"),)), settings(*words))
    assert listed == (set() if kept else {"sub-01", "sub-02"})


def test_a_participant_that_is_a_run_is_not_mended_by_being_listed():
    runs = (MRFRun(Path("x.h5"), {"sub": "01"}), MRFRun(Path("y.h5"), {"sub": "01", "acq": "a"}))
    assert _listed(Selection(runs, (("sub-02", "why"),)), settings()) == set()

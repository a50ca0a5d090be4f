"""Many participants: one call does all that can be done, and the next one nothing."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from mri2qmap_bids import tools
from mri2qmap_bids.cli import main
from mri2qmap_bids.dataset.query import Filters, find_runs

BROKEN, TRUNCATED, DANGLING = "sub-08", "sub-15", "sub-23_run-1"


def names_of(participant: int) -> list[str]:
    """The runs of one participant: every tenth has sessions, acquisitions or runs."""
    name = f"sub-{participant:02d}"
    ends = {1: ("_ses-a", "_ses-b"), 2: ("_acq-fast", "_acq-slow"), 3: ("_run-1", "_run-2")}
    return [name + end for end in ends.get(participant % 10, ("",))]


def raw_file(bids: Path, name: str) -> Path:
    parts = [part for part in name.split("_") if part.startswith(("sub-", "ses-"))]
    path = bids.joinpath(*parts, "anat", f"{name}_MRF.h5")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Fifty participants with one tiny scan under many names, three of them damaged."""
    root = tmp_path_factory.mktemp("many")
    words = ["simulate", str(root / "one"), "--noise", "0", "--coils", "2", "--frames", "30"]
    words += ["--matrix", "16", "--acceleration", "1", "--sub", "01"]
    assert tools.main(words) == 0
    source = next((root / "one").rglob("*_MRF.h5"))
    bids = root / "bids"
    bids.mkdir()
    for name in ("dataset_description.json", ".bidsignore", "README.md"):
        shutil.copy(root / "one" / name, bids)
    shutil.copy(source.with_suffix(".json"), bids / "MRF.json")
    rows = ["participant_id", *(f"sub-{n:02d}" for n in range(1, 51))]
    (bids / "participants.tsv").write_text("\n".join(rows) + "\n")
    for participant in range(1, 51):
        for name in names_of(participant):
            path = raw_file(bids, name)
            if name == DANGLING:
                path.symlink_to("../../.git/annex/objects/aa/bb/MD5E-s1--c.h5")
            elif name == TRUNCATED:
                path.write_bytes(source.read_bytes()[:100_000])
            else:
                os.link(source, path)
    raw_file(bids, BROKEN).with_suffix(".json").write_text('{"FlipAngle": [1, 2,')
    return bids


@contextmanager
def files_opened():
    """Names of all files that this process opens inside the block."""
    names, is_inside = [], True

    def note(event, arguments):
        if is_inside and event == "open":
            names.append(str(arguments[0]))

    sys.addaudithook(note)  # which stays until the process ends
    try:
        yield names
    finally:
        is_inside = False


@pytest.mark.slow
def test_one_call_does_all_that_can_be_done_and_the_next_one_nothing(
    dataset, tmp_path, capfd, validator
):
    words = [str(dataset), str(tmp_path / "out"), "participant", "-w", str(tmp_path / "work")]
    words += ["--recon-method", "gridding"]
    every = [name for participant in range(1, 51) for name in names_of(participant)]
    damaged = {
        BROKEN: "_MRF.json: must be JSON, got: Expecting value: line 1 column 21",
        TRUNCATED: "_MRF.h5: must be a complete ISMRMRD (HDF5) file",
        DANGLING: f"try: datalad get {raw_file(dataset, DANGLING)}",
    }

    assert main(words) == 1
    log = capfd.readouterr().err
    for name in every:
        if name in damaged:
            (line,) = (line for line in log.splitlines() if f" {name}: failed: " in line)
            assert damaged[name] in line
        else:
            assert log.count(f" {name}: done") == 1
    assert "62 done, 0 skipped, 3 failed" in log
    maps = {path.name for path in (tmp_path / "out").rglob("*_T1map.nii.gz")}
    assert {f"{name}_T1map.nii.gz" for name in every if name not in damaged} <= maps
    assert validator(tmp_path / "out") == (0, "")

    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert main(words) == 1
    assert "0 done, 62 skipped, 3 failed" in capfd.readouterr().err
    assert stamps == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}


def test_one_of_three_hundred_participants_is_found_without_a_look_at_the_others(dataset, tmp_path):
    bids = tmp_path / "bids"
    bids.mkdir()
    train = json.loads((dataset / "MRF.json").read_text())
    longer = {**train, "FlipAngle": train["FlipAngle"] * 30}
    for participant in range(1, 301):
        for session in ("a", "b"):
            path = raw_file(bids, f"sub-{participant:03d}_ses-{session}")
            path.touch()
            path.with_suffix(".json").write_text(json.dumps(longer))
            path.with_name(path.name.replace("_MRF.h5", "_T1w.nii.gz")).touch()
    whole = raw_file(dataset, "sub-50")
    for path in (bids / "sub-142").rglob("*_MRF.h5"):
        path.unlink()
        os.link(whole, path)
        path.with_suffix(".json").write_text(json.dumps(train))

    with files_opened() as opened:
        assert len(find_runs(bids, Filters(("142",))).runs) == 2
    own = [path for path in opened if "sub-142" in path]
    others = [path for path in opened if path.startswith(f"{bids}/sub-") and path not in own]
    assert own and not others

    words = [sys.executable, "-m", "mri2qmap_bids", str(bids), str(tmp_path / "out")]
    words += ["participant", "--dry-run", "--participant-label", "142"]
    process = subprocess.run(words, capture_output=True, text=True, check=True)
    assert [line.split("\t")[0] for line in process.stdout.splitlines() if "\t" in line] == [
        "sub-142_ses-a",
        "sub-142_ses-b",
    ]

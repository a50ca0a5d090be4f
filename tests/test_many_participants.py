"""Many participants: one call does all that can be done, and the next one nothing."""

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest

from mri2qmap_bids import tools
from mri2qmap_bids.cli import main
from mri2qmap_bids.dataset.filters import Filters
from mri2qmap_bids.dataset.query import find_runs


def broken_sidecar(raw):
    raw.with_suffix(".json").write_text('{"FlipAngle": [1, 2,')


def truncated(raw):
    raw.write_bytes(raw.read_bytes()[:100_000])


def dangling_link(raw):
    raw.unlink()
    raw.symlink_to("../../.git/annex/objects/aa/bb/MD5E-s1--c.h5")


def pointer(raw):
    raw.unlink()
    raw.write_text("/annex/objects/MD5E-s345678--d41d8cd98f00b204e9800998ecf8427e.h5\n")


def text_in_header(raw):
    """A number written as numpy prints it."""
    with h5py.File(raw, "a") as file:
        document = file["dataset/xml"][0].decode()
        file["dataset/xml"][0] = re.sub(r"<x>\d+</x>", "<x>NP.INT64(16)</x>", document)


def header_in_latin_1(raw):
    with h5py.File(raw, "a") as file:
        file["dataset/xml"][0] = b"<?xml version='1.0'?><a>\xe9</a>"


def no_samples(raw):
    with h5py.File(raw, "a") as file:
        rows = file["dataset/data"][:]
        rows["head"]["number_of_samples"] = 0
        rows["head"]["active_channels"] = 0
        file["dataset/data"][:] = rows


def sidecar_in_latin_1(raw):
    raw.with_suffix(".json").write_bytes(b'{"Note": "\xe9"}')


def second_file(raw):
    shutil.copy(raw, raw.with_suffix(".mrd"))


def fewer_frames_in_the_sidecar(raw):
    content = json.loads((raw.parents[2] / "MRF.json").read_text())
    raw.with_suffix(".json").write_text(json.dumps({"FlipAngle": content["FlipAngle"][:20]}))


def b1_map(raw, affine, code):
    path = raw.parents[1] / "fmap" / raw.name.replace("_MRF.h5", "_TB1map.nii.gz")
    path.parent.mkdir()
    image = nib.Nifti1Image(np.full((16, 16, 1), 100, np.float32), affine)
    image.set_sform(affine, code)
    image.set_qform(affine, code)
    nib.save(image, path)


def unplaced_b1(raw):
    b1_map(raw, None, 0)


def b1_elsewhere(raw):
    b1_map(raw, np.array([[1, 0, 0, 1000], [0, 1, 0, 0], [0, 0, 5, 0], [0, 0, 0, 1]]), 1)


DAMAGES = {
    "sub-04": (text_in_header, r"sub-04_MRF\.h5: "),
    "sub-05": (header_in_latin_1, r"sub-05_MRF\.h5: "),
    "sub-06": (no_samples, r"sub-06_MRF\.h5: "),
    "sub-07": (sidecar_in_latin_1, r"sub-07_MRF\.json: must be encoded in UTF-8"),
    "sub-08": (broken_sidecar, r"_MRF\.json: must be JSON, got: Expecting value: line 1 column 21"),
    "sub-14": (second_file, r"one file, got 2: \S*sub-14_MRF\.h5, \S*sub-14_MRF\.mrd"),
    "sub-15": (truncated, r"_MRF\.h5: must be a complete ISMRMRD \(HDF5\) file"),
    "sub-16": (unplaced_b1, r"sub-16_TB1map\.nii\.gz: must say where it lies"),
    "sub-17": (b1_elsewhere, r"sub-17_TB1map\.nii\.gz: must cover the scan, .* got 0%"),
    "sub-18": (pointer, r"try: datalad get \S*sub-18_MRF\.h5"),
    "sub-23_run-1": (dangling_link, r"try: datalad get \S*sub-23_run-1_MRF\.h5"),
    "sub-25": (fewer_frames_in_the_sidecar, r"20"),
}
"""By the name of a run: what is wrong with its files, and the words that say so."""


def names_of(participant: int) -> list[str]:
    """The runs of one participant: every tenth has sessions, acquisitions or runs."""
    name = f"sub-{participant:02d}"
    ends = {1: ("_ses-a", "_ses-b"), 2: ("_acq-fast", "_acq-slow"), 3: ("_run-1", "_run-2")}
    if participant == 9:
        return [f"{name}_ce-gd", f"{name}_ce-none"]
    return [name + end for end in ends.get(participant % 10, ("",))]


N_PARTICIPANTS = 25
EVERY = [name for participant in range(1, N_PARTICIPANTS + 1) for name in names_of(participant)]


def raw_file(bids: Path, name: str) -> Path:
    parts = [part for part in name.split("_") if part.startswith(("sub-", "ses-"))]
    path = bids.joinpath(*parts, "anat", f"{name}_MRF.h5")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Participants with one tiny scan under many names, some of them damaged.

    The dataset lies below folders named as entities.
    """
    root = tmp_path_factory.mktemp("many")
    words = ["simulate", str(root / "one"), "--noise", "0", "--coils", "2", "--frames", "30"]
    words += ["--matrix", "16", "--acceleration", "1", "--sub", "01"]
    assert tools.main(words) == 0
    source = next((root / "one").rglob("*_MRF.h5"))
    bids = root / "sub-99" / "ses-x" / "bids"
    bids.mkdir(parents=True)
    for name in ("dataset_description.json", ".bidsignore", "README.md"):
        shutil.copy(root / "one" / name, bids)
    shutil.copy(source.with_suffix(".json"), bids / "MRF.json")
    rows = ["participant_id", *(f"sub-{n:02d}" for n in range(1, N_PARTICIPANTS + 1))]
    (bids / "participants.tsv").write_text("\n".join(rows) + "\n")
    for name in EVERY:
        path = raw_file(bids, name)
        if name in DAMAGES:
            shutil.copy(source, path)
            DAMAGES[name][0](path)
        else:
            os.link(source, path)
    return bids


def check_reasons(log: str) -> None:
    """One line for each damaged run with its own reason, and no other run failed."""
    for name, (_, words) in DAMAGES.items():
        (line,) = (line for line in log.splitlines() if f" {name}: failed: " in line)
        assert re.search(words, line), line
    assert log.count(": failed: ") == len(DAMAGES)
    assert "Traceback" not in log


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


def test_dry_run_says_what_is_wrong_with_each_run(dataset, tmp_path, capfd):
    words = [str(dataset), str(tmp_path / "out"), "participant", "-w", str(tmp_path / "work")]
    assert main([*words, "--dry-run"]) == 1
    captured = capfd.readouterr()
    check_reasons(captured.err)
    assert captured.out.count("    match ") == len(EVERY) - len(DAMAGES)


@pytest.mark.slow
def test_one_call_does_all_that_can_be_done_and_the_next_one_nothing(
    dataset, tmp_path, capfd, validator
):
    words = [str(dataset), str(tmp_path / "out"), "participant", "-w", str(tmp_path / "work")]
    words += ["--recon-method", "gridding"]
    whole = [name for name in EVERY if name not in DAMAGES]

    assert main(words) == 1
    log = capfd.readouterr().err
    check_reasons(log)
    for name in whole:
        assert log.count(f" {name}: done") == 1
    assert f"{len(whole)} done, 0 skipped, {len(DAMAGES)} failed" in log
    maps = {path.name for path in (tmp_path / "out").rglob("*_T1map.nii.gz")}
    assert {name for name in maps if "_desc-" not in name} == {
        f"{name}_T1map.nii.gz" for name in whole
    }
    assert validator(tmp_path / "out") == (0, "")

    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert main(words) == 1
    log = capfd.readouterr().err
    check_reasons(log)
    assert f"0 done, {len(whole)} skipped, {len(DAMAGES)} failed" in log
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
    whole = raw_file(dataset, "sub-24")
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

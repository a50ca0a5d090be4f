"""Participants with odd files among others: all that can be done is done, and each failure has its own cause."""

import re
import shutil

import h5py
import nibabel as nib
import numpy as np
import pytest

from mri2qmap_bids import tools
from mri2qmap_bids.cli import main

pytestmark = pytest.mark.slow


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
    raw.with_name(raw.name.replace("_MRF.h5", "_MRF.json")).write_bytes(b'{"Note": "\xe9"}')


def second_file(raw):
    shutil.copy(raw, raw.with_suffix(".mrd"))


def unplaced_b1(raw):
    path = raw.parents[1] / "fmap" / raw.name.replace("_MRF.h5", "_TB1map.nii.gz")
    path.parent.mkdir()
    image = nib.Nifti1Image(np.full((16, 16, 1), 100, np.float32), None)
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    nib.save(image, path)


def pointer(raw):
    raw.unlink()
    raw.write_text("/annex/objects/MD5E-s345678--d41d8cd98f00b204e9800998ecf8427e.h5\n")


ODD = {
    "02": (text_in_header, r"sub-02_MRF.h5: "),
    "03": (header_in_latin_1, r"sub-03_MRF.h5: "),
    "04": (no_samples, r"sub-04_MRF.h5: "),
    "05": (sidecar_in_latin_1, r"sub-05_MRF.json: must be encoded in UTF-8"),
    "06": (
        second_file,
        r"must be the name of one file, got 2: \S*sub-06_MRF.h5, \S*sub-06_MRF.mrd",
    ),
    "07": (unplaced_b1, r"sub-07_TB1map.nii.gz: must say where it lies"),
    "08": (pointer, r"try: datalad get \S*sub-08_MRF.h5"),
}


def test_odd_files_stop_their_own_runs_alone(tmp_path, capfd):
    """The dataset lies below folders named as entities."""
    bids, out = tmp_path / "sub-99" / "ses-x" / "bids", tmp_path / "out"
    words = ["simulate", str(bids), "--noise", "0", "--coils", "2", "--frames", "30"]
    words += ["--matrix", "16", "--acceleration", "1", "--sub", "01"]
    assert tools.main(words) == 0
    shutil.rmtree(bids / "derivatives")
    source = bids / "sub-01" / "anat" / "sub-01_MRF.h5"
    shutil.copy(source.with_suffix(".json"), bids / "MRF.json")
    for label in (*ODD, "09"):
        anat = bids / f"sub-{label}" / "anat"
        anat.mkdir(parents=True)
        names = [f"sub-{label}_MRF.h5"]
        if label == "09":
            names = [f"sub-09_ce-{agent}_MRF.h5" for agent in ("gd", "none")]
        for name in names:
            shutil.copy(source, anat / name)
    for label, (spoil, _) in ODD.items():
        spoil(bids / f"sub-{label}" / "anat" / f"sub-{label}_MRF.h5")
    capfd.readouterr()

    words = [str(bids), str(out), "participant", "-w", str(tmp_path / "work"), "--nprocs", "1"]
    assert main([*words, "--recon-method", "gridding"]) == 1
    log = capfd.readouterr().err
    assert f"3 done, 0 skipped, {len(ODD)} failed" in log
    assert "Traceback" not in log
    for label, (_, words_of_cause) in ODD.items():
        (line,) = (line for line in log.splitlines() if f" sub-{label}: failed: " in line)
        assert re.search(words_of_cause, line), line
    maps = {path.name for path in out.rglob("*_T1map.nii.gz") if "_desc-" not in path.name}
    runs = ("sub-01", "sub-09_ce-gd", "sub-09_ce-none")
    assert maps == {f"{run}_T1map.nii.gz" for run in runs}

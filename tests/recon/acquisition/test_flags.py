"""Every flag of the standard: what becomes of the lines that have it."""

import logging
from itertools import groupby
from pathlib import Path

import ismrmrd
import numpy as np
import pytest
import torch
from helpers.rawfile import acquisition, simple_readouts, write_file

from mri2qmap_bids.errors import RawDataError
from mri2qmap_bids.recon.acquisition.flags import FLAGS, Role
from mri2qmap_bids.recon.acquisition.layout import ReadLayout
from mri2qmap_bids.recon.acquisition.raw import read_raw

THREE = ReadLayout(n_frames=3)
DOCS = Path(__file__).parents[3] / "docs/input.md"


def test_every_flag_of_the_standard_is_in_the_table():
    assert [flag.number for flag in FLAGS] == list(range(1, 65))
    numbers = {f"ACQ_{flag.name}": flag.number for flag in FLAGS}
    named = {n: v for n, v in vars(ismrmrd).items() if n.startswith("ACQ_")}
    assert {name: numbers[name] for name in named} == named


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_a_line_is_used_as_the_table_says(tmp_path, flag, caplog):
    caplog.set_level(logging.INFO)
    extra = simple_readouts(1, seed=7)[0]
    extra.setFlag(flag.number)
    scan = read_raw(write_file(tmp_path / "x.h5", [extra, *simple_readouts()]), THREE)
    samples = scan.slices[0].kspace.shape[1]
    assert samples == (24 if flag.role == Role.IMAGE else 18)
    assert (scan.noise is not None) == (flag.role == Role.NOISE)
    words = f"1 of 4 lines left out: {flag.name.removeprefix('IS_')}"
    assert (words in caplog.text) == (flag.role == Role.OTHER)


@pytest.mark.parametrize("flag", [f for f in FLAGS if f.role != Role.IMAGE], ids=lambda f: f.name)
def test_a_file_in_which_no_image_line_is_left_says_why(tmp_path, flag):
    readouts = simple_readouts()
    for readout in readouts:
        readout.setFlag(flag.number)
    path = write_file(tmp_path / "x.h5", readouts)
    if flag.name == "IS_SURFACECOILCORRECTIONSCAN_DATA":
        assert read_raw(path, THREE).slices[0].kspace.shape == (2, 18)
        return
    with pytest.raises(RawDataError, match="imaging acquisitions, got none among 3 lines") as error:
        read_raw(path, THREE)
    assert (flag.role == Role.NOISE) or flag.name.removeprefix("IS_") in str(error.value)


def test_calibration_lines_that_are_image_lines_too_are_used(tmp_path):
    readouts = simple_readouts()
    expected = read_raw(write_file(tmp_path / "a.h5", readouts), THREE).slices[0]
    readouts[1].setFlag(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION)
    readouts[1].setFlag(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING)
    scan = read_raw(write_file(tmp_path / "b.h5", readouts), THREE)
    assert torch.equal(scan.slices[0].kspace, expected.kspace)


def test_a_converters_habit_on_all_image_lines_is_warned_of(tmp_path, caplog):
    navigator = acquisition(np.ones((2, 7)), None, flags=[ismrmrd.ACQ_IS_NAVIGATION_DATA])
    readouts = simple_readouts()
    expected = read_raw(write_file(tmp_path / "a.h5", readouts), THREE).slices[0]
    for readout in readouts:
        readout.setFlag(ismrmrd.ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA)
    scan = read_raw(write_file(tmp_path / "b.h5", [navigator, *readouts]), THREE)
    assert torch.equal(scan.slices[0].kspace, expected.kspace)
    assert "SURFACECOILCORRECTIONSCAN" in caplog.text


def test_the_document_has_the_table():
    text = DOCS.read_text(encoding="utf-8")
    for (role, meaning), group in groupby(FLAGS, lambda flag: (flag.role, flag.meaning)):
        flags = list(group)
        ends = dict.fromkeys((flags[0], flags[-1]))
        numbers = " to ".join(str(flag.number) for flag in ends)
        names = " to ".join(f"`{flag.name}`" for flag in ends)
        assert f"| {numbers} | {names} | {role} | {meaning} |" in text

"""One readout of a file: what its header says is what it holds, and every value is finite."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.rawfile import simple_readouts, write_file

from mri2qmap_bids.errors import RawDataError
from mri2qmap_bids.recon.acquisition.layout import ReadLayout
from mri2qmap_bids.recon.acquisition.raw import read_raw
from mri2qmap_bids.recon.acquisition.readout import line_of, samples_of

THREE = ReadLayout(n_frames=3)
FILE = Path("x.h5")


def record(n_values=2 * 2 * 5, n_positions=2 * 5, **head):
    """An acquisition of 2 coils and 5 samples in 2 dimensions, as h5py reads it."""
    fields = {
        "active_channels": 2,
        "number_of_samples": 5,
        "trajectory_dimensions": 2,
        "discard_pre": 0,
        "discard_post": 0,
    }
    return {
        "head": fields | head,
        "data": np.arange(n_values, dtype=np.float32),
        "traj": np.arange(n_positions, dtype=np.float32),
    }


def test_coils_lie_one_after_the_other_and_positions_sample_by_sample():
    samples, positions = line_of(FILE, 7, record(discard_pre=1))
    whole = np.arange(0, 20, 2) + 1j * np.arange(1, 20, 2)
    assert np.array_equal(samples, whole.reshape(2, 5)[:, 1:])
    assert np.array_equal(positions, np.arange(10).reshape(5, 2)[1:])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_values": 18}, "must hold data for its 5 samples of 2 coils, got 9 values"),
        ({"active_channels": 3}, "must hold data for its 5 samples of 3 coils, got 10 values"),
        ({"n_positions": 9}, "must hold a trajectory of 2 components for its 5 samples, got 9"),
    ],
)
def test_a_readout_that_disagrees_with_its_header_is_refused(changes, words):
    with pytest.raises(RawDataError, match=f"x.h5: acquisition 7 {words}"):
        line_of(FILE, 7, record(**changes))
    if "trajectory" in words:
        assert samples_of(FILE, 7, record(**changes)).shape == (2, 5)  # as of a noise scan


def test_discarded_samples_are_dropped(tmp_path):
    readouts = simple_readouts(discard_pre=2, discard_post=1)
    scan = read_raw(write_file(tmp_path / "x.h5", readouts), THREE)
    assert np.array_equal(
        scan.slices[0].kspace.numpy(), np.concatenate([r.data[:, 2:5] for r in readouts], axis=1)
    )
    assert len(scan.slices[0].trajectory) == len(scan.slices[0].frame) == 9


def test_nan_in_a_discarded_sample_does_no_harm(tmp_path):
    readouts = simple_readouts(discard_pre=2)
    readouts[0].data[0, 1] = np.nan
    assert torch.isfinite(
        read_raw(write_file(tmp_path / "x.h5", readouts), THREE).slices[0].kspace.abs()
    ).all()


@pytest.mark.parametrize("what", ["data", "traj"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused_with_its_place(tmp_path, what, value):
    readouts = simple_readouts()
    getattr(readouts[1], what)[0, 0] = value
    with pytest.raises(RawDataError, match=r"must be finite, got 1 NaN or infinite.*acquisition 1"):
        read_raw(write_file(tmp_path / "x.h5", readouts), THREE)

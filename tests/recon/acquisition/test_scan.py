"""Scans from arrays: what fits is shared, what does not is refused by name."""

import numpy as np
import pytest
import torch
from helpers.scans import N_FRAMES, grid_arrays, grid_scan

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.acquisition.scan import SliceSamples

pytestmark = pytest.mark.usefixtures("types_unchecked")


def test_arrays_of_numpy_become_tensors_of_the_right_kind():
    given = grid_arrays()
    samples = SliceSamples(**given)
    assert samples.kspace.dtype == torch.complex64
    assert samples.trajectory.dtype == torch.float32
    assert samples.frame.dtype == torch.int64
    assert np.allclose(samples.kspace.numpy(), given["kspace"])
    turned = SliceSamples(**{k: v[..., ::-1] if k == "kspace" else v for k, v in given.items()})
    assert turned.kspace.is_contiguous()
    transposed = SliceSamples(**{**given, "kspace": torch.tensor(given["kspace"]).T.contiguous().T})
    assert transposed.kspace.is_contiguous()
    frozen = given["frame"].copy()
    frozen.flags.writeable = False
    assert torch.equal(SliceSamples(**{**given, "frame": frozen}).frame, samples.frame)
    assert grid_scan(samples).slices[0] is samples


def test_tensors_that_fit_share_their_memory():
    samples = SliceSamples(**grid_arrays())
    again = SliceSamples(samples.kspace, samples.trajectory, samples.frame)
    assert again.kspace.data_ptr() == samples.kspace.data_ptr()


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("kspace", lambda a: a.T, "equally many samples"),
        ("kspace", lambda a: a[0], r"kspace must have the axes \(coil, sample\)"),
        ("kspace", lambda a: a.real, "kspace must be complex numbers, got torch.float64"),
        ("kspace", lambda a: np.where(np.arange(a.shape[1]) == 3, np.nan, a), "kspace must be finite, got 3"),
        ("kspace", lambda a: a[:, :0], "kspace must have the axes"),
        ("kspace", lambda a: "samples", "kspace must be an array of numbers"),
        ("trajectory", lambda a: a.T, "equally many samples"),
        ("trajectory", lambda a: a[:, :1], "trajectory must have the components"),
        ("trajectory", lambda a: a + np.inf, "trajectory must be finite"),
        ("frame", lambda a: a.astype(float), "frame must be whole numbers, got torch.float64"),
        ("frame", lambda a: a > 2, "frame must be whole numbers, got torch.bool"),
        ("frame", lambda a: a - 1, "frame must count from 0, got -1"),
        ("frame", lambda a: a[:-1], "equally many samples"),
    ],
)  # fmt: skip
def test_wrong_arrays_are_refused_by_name(name, change, words):
    given = grid_arrays()
    with pytest.raises(ArgumentError, match=words):
        SliceSamples(**{**given, name: change(given[name])})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_frames": N_FRAMES + 1}, r"frame must be 0 to n_frames - 1 = 12, got up to 11"),
        ({"n_frames": N_FRAMES - 1}, r"frame must be 0 to n_frames - 1 = 10, got up to 11"),
        ({"n_frames": 0}, "n_frames must be a whole number of at least 1"),
        ({"slices": ()}, "slices must be 1 with"),
        ({"is_3d": True}, "slices must be 1 with trajectories of 3 components"),
        ({"noise": np.ones((4, 9)) * 1j}, r"kspace and noise must have equally many coils.*\[3, 4\]"),
        ({"encoded_fov": (5.0, 220.0, 220.0)}, r"encoded_fov along z must be .* m, got 5 \(is it in mm\?\)"),
    ],
)  # fmt: skip
def test_a_scan_that_disagrees_with_itself_is_refused(changes, words):
    with pytest.raises(ArgumentError, match=words):
        grid_scan(**changes)

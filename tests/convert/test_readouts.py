"""Readouts with counters: frames, positions and slices."""

from pathlib import Path

import numpy as np
import pytest
from helpers.readouts import readouts

from mri2qmap_bids.convert.readouts import frames_of, given_positions, ranks_of
from mri2qmap_bids.errors import RawDataError, UsageError

PATH = Path("x.dat")


def test_a_counter_numbers_frames_from_any_number_on():
    several = readouts(4, set=[7, 8, 7, 8])
    assert frames_of(PATH, several, "set", 2).tolist() == [0, 1, 0, 1]
    assert ranks_of(several, np.array([0, 1, 0, 1])).tolist() == [0, 0, 1, 1]


def test_order_numbers_the_readouts_of_each_slice():
    mixed = readouts(8, slice=[0, 0, 1, 1, 0, 0, 1, 1])
    assert frames_of(PATH, mixed, "order", 2).tolist() == [0, 1, 0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize(
    ("counters", "name", "n_frames", "error", "words"),
    [
        ({"set": [0, 2]}, "set", None, RawDataError, "no gap between frames, got 2 numbers from 0 to 2"),
        ({"set": [0, 1]}, "set", 3, RawDataError, "as many frames as the train, 3, got 2 .*set 2"),
        ({}, "order", None, UsageError, "must be given by --frames"),
        ({}, "order", 4, RawDataError, "must be a multiple of the 4 frames, got 2"),
    ],
)  # fmt: skip
def test_frames_that_do_not_fit_are_refused(counters, name, n_frames, error, words):
    with pytest.raises(error, match=words):
        frames_of(PATH, readouts(2, **counters), name, n_frames)


@pytest.mark.parametrize("shape", [(2, 2, 5, 2), (4, 5, 2), (5, 2)])
def test_positions_of_any_shape_come_to_their_readouts(shape):
    frame = np.array([0, 0, 1, 1])
    trajectory = np.random.default_rng(0).standard_normal(shape)
    positions = given_positions(PATH, trajectory, readouts(4), frame)
    joined = np.stack(positions)
    whole = np.broadcast_to(trajectory.reshape(-1, 5, 2), (4, 5, 2))
    np.testing.assert_allclose(joined, whole, rtol=1e-6)
    planar = trajectory[..., 0] + 1j * trajectory[..., 1]
    np.testing.assert_allclose(
        np.stack(given_positions(PATH, planar, readouts(4), frame)), whole, rtol=1e-6
    )


def test_positions_of_another_shape_are_refused():
    with pytest.raises(RawDataError, match=r"\(frame, arm, sample, dim\) = \(2, 2, 5, 2 or 3\)"):
        given_positions(PATH, np.zeros((2, 3, 5, 2)), readouts(4), np.array([0, 0, 1, 1]))

"""The time axis of a readout."""

from pathlib import Path

import numpy as np
import pytest

from mri2qmap_bids.errors import RawDataError
from mri2qmap_bids.recon.acquisition.timing import delayed, sample_times


def heads_of(dwells_us):
    heads = np.zeros(len(dwells_us), [("sample_time_us", "f4"), ("flags", "u8")])
    heads["sample_time_us"] = dwells_us
    return heads


def times_of(trajectory, lengths, dwells_us):
    lengths = np.array(lengths)
    positions = np.asarray(trajectory, np.float32).reshape(-1, 2)
    return sample_times(Path("x.h5"), heads_of(dwells_us), positions, np.cumsum(lengths), lengths)


def test_time_is_zero_at_the_centre_of_kspace_and_one_dwell_time_a_sample():
    outward = np.stack([np.arange(4), np.zeros(4)], 1)
    through = np.stack([np.arange(6) - 3, np.ones(6)], 1)
    times = times_of(np.concatenate([outward, through]), [4, 6], [2.5, 5])
    np.testing.assert_allclose(times[:4], np.arange(4) * 2.5e-6, rtol=1e-6)
    np.testing.assert_allclose(times[4:], (np.arange(6) - 3) * 5e-6, rtol=1e-6)


def test_readouts_of_one_length_have_one_origin():
    """One readout whose samples lie differently does not get a phase of its own."""
    line = np.stack([np.arange(5) - 2, np.ones(5)], 1)
    odd = line + [1, 0]
    times = times_of(np.concatenate([line, odd, line]), [5, 5, 5], [1, 1, 1]).reshape(3, 5)
    np.testing.assert_array_equal(times[0], times[1])


def spirals(inwards):
    """Readouts of 100 samples along a line, to or from the centre."""
    outward = np.stack([np.arange(100), np.zeros(100)], 1)
    return np.concatenate([outward[::-1] if inward else outward for inward in inwards])


@pytest.mark.parametrize("n_inwards", [6, 10, 13])
def test_spirals_inwards_and_outwards_have_origins_of_their_own(n_inwards):
    inwards = np.arange(20) < n_inwards
    times = times_of(spirals(inwards), [100] * 20, [1] * 20).reshape(20, 100)
    np.testing.assert_allclose(times[inwards, -1], 0, atol=1e-12)
    np.testing.assert_allclose(times[~inwards, 0], 0, atol=1e-12)


def test_a_lone_readout_takes_the_origin_of_the_others():
    times = times_of(spirals(np.arange(20) == 7), [100] * 20, [1] * 20).reshape(20, 100)
    assert (times[:, 0] == 0).all()


def test_an_outlier_takes_the_origin_of_its_own_kind():
    """One of the spirals inwards has its centre ten samples before its end."""
    positions = spirals(np.arange(40) < 20).reshape(40, 100, 2)
    positions[3] = np.abs(np.arange(100) - 89)[:, None] * [1, 0]
    times = times_of(positions, [100] * 40, [1] * 40).reshape(40, 100)
    np.testing.assert_array_equal(times[3], times[0])
    assert times[0, -1] == 0 and times[-1, 0] == 0


def test_readouts_whose_centres_are_all_apart_have_one_origin():
    line = np.arange(100) - np.arange(0, 100, 5)[:, None]
    times = times_of(np.stack([line, np.zeros_like(line)], -1), [100] * 20, [1] * 20)
    times = times.reshape(20, 100)
    np.testing.assert_array_equal(times, np.broadcast_to(times[0], times.shape))


def test_the_centre_of_a_line_far_from_the_centre_is_found():
    """Where single precision gives neighbours on the line the same distance."""
    line = np.stack([(np.arange(9) - 6) * 1e-3, np.full(9, 100.0)], 1)
    assert times_of(line, [9], [1])[6] == 0


@pytest.mark.parametrize("dwell", [0, -1, np.nan])
def test_a_file_without_dwell_time_is_refused(dwell):
    with pytest.raises(RawDataError, match="x.h5: sample_time_us must be above 0"):
        times_of(np.ones((3, 2)), [3], [dwell])


def test_delayed_positions_are_those_of_the_samples_before():
    line = np.stack([np.arange(6) * 2.0, np.arange(6) * -1.0], 1).astype(np.float32)
    both = np.concatenate([line, line])
    late = delayed(Path("x.h5"), heads_of([5, 10]), both, np.array([6, 12]), (5e-6, 10e-6))
    np.testing.assert_allclose(late[1:6, 0], line[1:, 0] - 2)
    np.testing.assert_allclose(late[2:6, 1], line[2:, 1] + 2)
    np.testing.assert_allclose(late[7:, 0], line[1:, 0] - 1)
    assert late[0, 0] == line[0, 0]


def test_a_delay_for_fewer_axes_is_refused():
    with pytest.raises(RawDataError, match="MRFGradientDelay must have one time for each of 2"):
        delayed(Path("x.h5"), heads_of([1]), np.ones((3, 2), np.float32), np.array([3]), (1e-6,))

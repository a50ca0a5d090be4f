"""The time axis of a readout."""

from pathlib import Path

import numpy as np
import pytest

from mri2qmap_bids.errors import RawDataError
from mri2qmap_bids.recon.acquisition.timing import sample_times


def heads_of(dwells_us):
    heads = np.zeros(len(dwells_us), [("sample_time_us", "f4")])
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


@pytest.mark.parametrize("dwell", [0, -1, np.nan])
def test_a_file_without_dwell_time_is_refused(dwell):
    with pytest.raises(RawDataError, match="x.h5: sample_time_us must be above 0"):
        times_of(np.ones((3, 2)), [3], [dwell])

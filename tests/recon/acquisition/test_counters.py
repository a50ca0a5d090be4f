"""Counters of acquisitions."""

import ismrmrd
import numpy as np

from mri2qmap_bids.recon.acquisition.counters import (
    COUNTERS,
    FRAME_COUNTERS,
    divides_frames,
    tally,
)


def test_the_table_has_every_counter_of_the_standard():
    names = ismrmrd.hdf5.acquisition_header_dtype["idx"].names
    assert {counter.name for counter in COUNTERS} == set(names)
    assert set(FRAME_COUNTERS) - {"order"} == set(names) - {"user"}


def test_only_several_values_in_one_frame_of_one_slice_divide_it():
    frames, slices = np.array([0, 0, 1, 1]), np.zeros(4, np.int64)
    assert divides_frames(np.array([0, 1, 0, 1]), frames, slices)
    assert not divides_frames(np.array([0, 0, 1, 1]), frames, slices)
    # Every line anew: a count of excitations.
    assert not divides_frames(np.array([0, 1, 2, 3]), frames, slices)


def test_a_tally_counts_every_value():
    assert tally(np.array([0, 0, 3])) == "0: 2 lines, 3: 1 lines"
    text = tally(np.arange(100))
    assert text.startswith("0: 1 lines") and "..." in text and text.endswith("99: 1 lines")

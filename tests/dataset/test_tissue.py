"""Tissue by T1, at any field strength."""

import numpy as np
import pytest

from mri2qmap_bids.dataset.tissue import TISSUES, literature_t1, t1_limits, tissue_classes

FIELDS = (0.5, 1.5, 3.0, 7.0)


@pytest.mark.parametrize("field", FIELDS)
def test_limits_follow_on_one_another_and_hold_their_tissue(field):
    limits = t1_limits(field)
    assert list(limits) == ["WM", "GM", "CSF"]
    edges = [edge for pair in limits.values() for edge in pair]
    assert edges[1:5:2] == edges[2:6:2] and edges == sorted(edges)
    for tissue, (low, high) in limits.items():
        assert low < literature_t1(field)[tissue] < high


def test_white_and_grey_matter_relax_more_slowly_at_higher_fields():
    for tissue in ("WM", "GM"):
        times = [literature_t1(field)[tissue] for field in FIELDS]
        assert times == sorted(times)
        # A power of the field below one half.
        assert 2**0.3 < literature_t1(6.0)[tissue] / literature_t1(3.0)[tissue] < 2**0.5


def test_classes_are_those_of_the_limits_inside_the_mask():
    t1 = np.array([0.2, 0.9, 1.3, 4.0, np.nan, 0.9])
    mask = np.array([True] * 5 + [False])
    expected = [0, TISSUES["WM"], TISSUES["GM"], TISSUES["CSF"], 0, 0]
    assert tissue_classes(t1, mask, 3.0).tolist() == expected

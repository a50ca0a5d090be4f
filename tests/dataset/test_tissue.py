"""Tissue by T1, at any field strength."""

import numpy as np
import pytest

from mri2qmap_bids.dataset.tissue import (
    NAMES,
    TISSUES,
    literature_t1,
    t1_limits,
    tissue_classes,
    tissue_probabilities,
)

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


def test_probabilities_are_the_share_of_draws_within_the_limits():
    rng = np.random.default_rng(0)
    t1, std = np.array([0.6, 1.05, 1.3, 2.4]), np.array([0.1, 0.05, 0.4, 0.5])
    probabilities = tissue_probabilities(t1, std, np.ones(4, bool), 3.0)
    draws = t1 + std * rng.standard_normal((200_000, 4))
    for tissue, (low, high) in t1_limits(3.0).items():
        share = ((draws >= low) & (draws < high)).mean(0)
        # Four standard deviations of a share of 200000 draws.
        assert np.abs(probabilities[tissue] - share).max() < 4 * 0.5 / np.sqrt(200_000)


def test_probabilities_without_a_deviation_are_the_classes_and_0_outside_the_mask():
    t1 = np.array([0.2, 0.9, 1.3, 4.0, 0.9, 0.9])
    std = np.array([0, 0, np.nan, 0, np.inf, 0])
    mask = np.array([True] * 5 + [False])
    probabilities = tissue_probabilities(t1, std, mask, 3.0)
    classes = tissue_classes(t1, mask, 3.0)
    assert set(probabilities) == set(TISSUES) == set(NAMES)
    for tissue, label in TISSUES.items():
        assert np.array_equal(probabilities[tissue], classes == label)


def test_probabilities_add_up_to_that_of_a_t1_above_the_lowest_limit():
    t1 = np.linspace(0.3, 5, 50)
    total = sum(tissue_probabilities(t1, 0.2 * t1, np.ones(50, bool), 3.0).values())
    assert (total <= 1 + 1e-6).all() and (np.diff(total) >= -1e-6).all() and total[-1] > 0.999

"""Simulated coils: unit length everywhere, receivers with phases of their own."""

import numpy as np
import pytest

from mri2qmap_bids.simulate.coils import coil_maps


def test_the_receivers_phases_are_those_of_the_seed_and_magnitudes_are_not():
    one, again, other = (coil_maps((1, 12, 12), False, 4, seed) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert np.allclose(np.abs(one), np.abs(other), atol=1e-6)
    turn = one / other
    assert np.allclose(turn, turn[:, :1, :1, :1], atol=1e-4)  # one phase a coil
    assert np.abs(np.angle(turn)).max() > 0.1


@pytest.mark.parametrize("is_3d", [False, True])
@pytest.mark.parametrize("n_coils", [1, 5])
def test_lengths_are_one_for_any_number_of_coils(n_coils, is_3d):
    maps = coil_maps((6, 10, 12), is_3d, n_coils, 0)
    assert maps.shape == (n_coils, 6, 10, 12)
    assert np.allclose((np.abs(maps) ** 2).sum(0), 1, atol=1e-4)

"""Arms: the form of a spiral."""

import numpy as np
import pytest

from mri2qmap_bids.simulate.arms import SpiralDensity, variable_density_arm

DENSITIES = [
    SpiralDensity(a, p, turns)
    for a in (0.2, 0.6, 1.0)
    for p in (1.0, 1.7, 3.0)
    for turns in (1.5, 10)
]


@pytest.mark.parametrize("density", DENSITIES)
def test_radius_of_a_spiral_follows_its_law_to_the_edge(density):
    """rho(s) = a s + (1 - a) s^p at s, which is the angle in parts of all turns."""
    n = 40
    arm = variable_density_arm(n, density, sample_spacing=0.2)
    angle = np.unwrap(np.arctan2(arm[1:, 1], arm[1:, 0]))
    radius = np.linalg.norm(arm, axis=1)
    s = angle / (2 * np.pi * density.turns)
    law = density.linear * s + (1 - density.linear) * s**density.power
    np.testing.assert_allclose(radius[1:] / (n / 2), law, atol=1e-5)
    assert s[-1] == pytest.approx(1.0)
    assert n / 2 * (1 - 1e-5) < radius.max() <= n / 2
    assert radius.argmax() == len(arm) - 1


@pytest.mark.parametrize("density", [SpiralDensity(1.0, 3.0, 5.0), SpiralDensity(0.2, 1.0, 5.0)])
def test_turns_are_equally_far_apart_where_a_or_p_is_one(density):
    arm = variable_density_arm(50, density, sample_spacing=0.1)
    at_each_turn = np.interp(
        2 * np.pi * np.arange(6), np.linspace(0, 10 * np.pi, len(arm)), np.linalg.norm(arm, axis=1)
    )
    np.testing.assert_allclose(np.diff(at_each_turn), 5.0, rtol=1e-4)


def test_the_centre_is_the_denser_the_smaller_a_and_the_larger_p():
    def inner(a, p):
        arm = variable_density_arm(64, SpiralDensity(a, p, 4.0))
        return (np.linalg.norm(arm, axis=1) < 8).mean()

    assert inner(1.0, 2.0) < inner(0.6, 2.0) < inner(0.2, 2.0)
    assert inner(0.4, 1.0) < inner(0.4, 2.0) < inner(0.4, 3.0)

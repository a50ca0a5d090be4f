"""Cartesian lines: their positions, and oversampling removed."""

import numpy as np
import pytest

from mri2qmap_bids.convert.cartesian import Lines, line_positions, without_oversampling

FOV = (0.4, 0.2, 0.1)


def signal(place, positions):
    """exp(-2 pi i k r) of one point at a place [m]."""
    return np.exp(-2j * np.pi * positions @ np.asarray(place))[None].astype(np.complex64)


@pytest.mark.parametrize("centre", [16, 15, 12])
def test_a_point_in_the_middle_of_the_line_keeps_its_signal(centre):
    lines = Lines(FOV, centre, 8)
    positions = line_positions(lines, 32, 8, None)
    line, new_centre = without_oversampling(signal((0.05, 0), positions), 16, centre)
    assert line.shape == (1, 16)
    shorter = line_positions(Lines((0.2, 0.2, 0.1), new_centre, 8), 16, 8, None)
    # The same signal at the positions that are left: k = 0 and every second one from there.
    difference = np.abs(line - signal((0.05, 0), shorter))
    assert difference[:, 4:-4].max() < 0.1


def test_a_point_beyond_the_field_of_view_is_gone():
    positions = line_positions(Lines(FOV, 16, 8), 32, 8, None)
    inside, outside = (
        without_oversampling(signal((x, 0), positions), 16, 16)[0] for x in (0.05, 0.15)
    )
    assert np.linalg.norm(outside) < 0.15 * np.linalg.norm(inside)


def test_positions_are_steps_of_one_over_the_field_of_view_from_the_centre():
    positions = line_positions(Lines(FOV, 2, 3, 1), 4, 5, 0)
    np.testing.assert_allclose(positions[:, 0], (np.arange(4) - 2) / 0.4, rtol=1e-6)
    np.testing.assert_allclose(positions[:, 1], 2 / 0.2, rtol=1e-6)
    np.testing.assert_allclose(positions[:, 2], -1 / 0.1, rtol=1e-6)

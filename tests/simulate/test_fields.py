"""Random fields in space: their statistics, and the seeds they come from."""

import numpy as np
import pytest

from mri2qmap_bids.simulate.fields import generator, smooth_field, smooth_field_on, transmit_field
from mri2qmap_bids.simulate.grid import make_geometry, voxel_centres


def test_points_a_length_apart_are_correlated_as_a_gaussian_says():
    """Mean over many fields: exp(-d^2 / (2 length^2))."""
    length = 0.02
    points = np.array([[0, 0, 0], [0, length, 0], [0, 0, 3 * length]], float)
    values = np.stack([smooth_field(points, length, generator(s, "x")) for s in range(4000)])
    covariance = values.T @ values / len(values)
    assert covariance[0, 0] == pytest.approx(1, abs=0.08)
    assert covariance[0, 1] == pytest.approx(np.exp(-0.5), abs=0.08)
    assert covariance[0, 2] == pytest.approx(np.exp(-4.5), abs=0.08)


def test_a_point_has_its_value_whatever_others_are_asked_for():
    points = np.random.default_rng(0).random((20, 3))
    whole = smooth_field(points, 0.3, generator(1))
    assert np.allclose(smooth_field(points[5:7], 0.3, generator(1)), whole[5:7])


def test_a_field_on_a_grid_is_the_field_at_its_voxel_centres():
    size, turns = (3e-3, 2e-3, 1e-3), (0.3, -0.2, 0.1)
    geometry = make_geometry((3, 4, 5), size, np.array([0.01, -0.02, 0.03]), turns)
    there = smooth_field(voxel_centres(geometry), 0.02, generator(1))
    assert np.allclose(smooth_field_on(geometry, 0.02, generator(1)).reshape(-1), there, rtol=1e-9)


def test_the_transmit_field_falls_from_the_middle_to_the_surface_of_the_head():
    centre = np.array([0.01, 0.02, 0.03])
    radii = np.linspace(0, 0.2, 50)
    field = transmit_field(centre + radii[:, None] * [0, 0.6, 0.8], centre, 0.2)
    assert field[0] == pytest.approx(1.2) and field[-1] == pytest.approx(0.8)
    assert (np.diff(field) <= 0).all() and (field[radii >= 0.09] == field[-1]).all()
    assert np.allclose(transmit_field(np.zeros((3, 3)), centre, 0.0), 1)


def test_every_purpose_has_its_own_numbers_and_the_same_ones_again():
    purposes = [
        (1, "a"),
        (1, "b"),
        (2, "a"),
        (1, "a", 0),
        (1, "a", 1),
        (1,),
        (1, "ab"),
        (1, "a", "b"),
    ]
    numbers = [generator(*purpose).random() for purpose in purposes]
    assert len(set(numbers)) == len(purposes)
    assert numbers == [generator(*purpose).random() for purpose in purposes]

"""The simulator's grid in the world."""

import numpy as np
import pytest

from mri2qmap_bids.simulate.grid import grid_centre, make_geometry, offsets_in_voxel, voxel_centres

CENTRE = np.array([0.01, 0.02, 0.03])
SIZE = (5e-3, 4e-3, 3e-3)


def test_the_origin_voxel_lies_at_the_centre_whatever_the_angle():
    for oblique in ((0.0, 0.0, 0.0), (0.3, -0.2, 1.0)):
        geometry = make_geometry((3, 4, 5), SIZE, CENTRE, oblique)
        centres = voxel_centres(geometry).reshape(3, 4, 5, 3)
        assert np.allclose(centres[1, 2, 2], CENTRE) and np.allclose(grid_centre(geometry), CENTRE)


def test_without_rotation_x_grows_to_the_left_y_to_the_back_z_to_the_head():
    centres = voxel_centres(make_geometry((3, 4, 5), SIZE, CENTRE)).reshape(3, 4, 5, 3)
    assert np.allclose(centres[0, 0, 1] - centres[0, 0, 0], [-3e-3, 0, 0])  # RAS
    assert np.allclose(centres[0, 1, 0] - centres[0, 0, 0], [0, -4e-3, 0])
    assert np.allclose(centres[1, 0, 0] - centres[0, 0, 0], [0, 0, 5e-3])


@pytest.mark.parametrize("oblique", [(0.4, 0, 0), (0, 0.4, 0), (0, 0, 0.4), (0.5, -1.0, 2.0)])
def test_directions_are_a_right_handed_frame(oblique):
    geometry = make_geometry((3, 4, 5), SIZE, CENTRE, oblique)
    frame = np.stack([geometry.read_dir, geometry.phase_dir, geometry.slice_dir])
    assert np.allclose(frame @ frame.T, np.eye(3)) and np.linalg.det(frame) == pytest.approx(1)


def test_a_turn_about_one_axis_turns_the_other_two_by_its_angle():
    geometry = make_geometry((1, 4, 4), SIZE, CENTRE, (0, 0, np.pi / 2))
    assert np.allclose(geometry.read_dir, [0, 1, 0]) and np.allclose(geometry.phase_dir, [-1, 0, 0])
    geometry = make_geometry((1, 4, 4), SIZE, CENTRE, (np.pi / 2, 0, 0))
    assert np.allclose(geometry.phase_dir, [0, 0, 1]) and np.allclose(geometry.read_dir, [1, 0, 0])
    # Rz Ry Rx: about L first.
    geometry = make_geometry((1, 4, 4), SIZE, CENTRE, (np.pi / 2, 0, np.pi / 2))
    assert np.allclose(geometry.phase_dir, [0, 0, 1]) and np.allclose(geometry.read_dir, [0, 1, 0])


@pytest.mark.parametrize("thickness", [None, 2e-3])
def test_offsets_fill_a_voxel_evenly(thickness):
    geometry = make_geometry((3, 4, 5), SIZE, CENTRE)
    offsets = offsets_in_voxel(geometry, thickness, 1e-3)
    extent = np.array([3e-3, 4e-3, 5e-3 if thickness is None else thickness])
    assert np.allclose(offsets.mean(0), 0, atol=1e-12)
    assert (np.abs(offsets) < extent / 2).all()
    # The variance of a box.
    assert np.allclose(offsets.var(0), extent**2 / 12, rtol=0.3)

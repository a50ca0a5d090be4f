"""Planes are turned so that left is left and up is up, whatever the scan's axes are."""

from itertools import permutations, product

import numpy as np
import pytest

from mri2qmap_bids.report.mosaic import cropped, layout_of, planes_of, single_layout
from mri2qmap_bids.report.planes import position_of, view_of

SHAPE = (7, 8, 9)  # z, y, x


def affines():
    for order in permutations(range(3)):
        for signs in product((1, -1), repeat=3):
            matrix = np.eye(4)
            matrix[:3, :3] = np.diag([2.0, 3.0, 4.0])[:, list(order)] * signs
            yield matrix


@pytest.mark.parametrize("affine", list(affines()))
def test_left_is_left_and_up_is_up(affine):
    indices = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1)
    world = indices[..., ::-1] @ affine[:3, :3].T  # x, y, z of every voxel
    for axis in range(3):
        view = view_of(axis, affine)
        normal = "xyz".index(view.letter)
        across, upward = [a for a in range(3) if a != normal]
        places = [view.turned(world.take(3, axis)[..., a]) for a in (across, upward)]
        assert (np.diff(places[0], axis=1) > 0).all(), "columns go to the right or to the front"
        assert (np.diff(places[1], axis=0) < 0).all(), "rows go down or to the back"
        assert np.allclose(np.diff(places[0], axis=1), view.spacing[1])
        assert np.allclose(np.diff(places[1], axis=0), -view.spacing[0])


def test_positions_are_those_of_the_world():
    affine = np.diag([1.0, 1.0, 2.5, 1.0])
    affine[2, 3] = -10
    assert position_of(0, 4, affine, SHAPE) == pytest.approx(0)


def test_a_plane_alone_is_cut_as_in_its_volume():
    rng = np.random.default_rng(0)
    volume, mask = rng.random(SHAPE), np.zeros(SHAPE, bool)
    mask[2:5, 3:5, 4:8] = True
    affine = np.diag([-1.0, 1, 1, 1])
    for axis in range(3):
        layout = single_layout([(axis, 4)], SHAPE, affine)
        ((inside,),) = planes_of(volume, mask, layout)
        alone = cropped(volume.take(4, axis), mask, layout[0][0])
        assert np.array_equal(inside, alone, equal_nan=True)


def test_slices_are_shown_in_their_own_plane_only():
    mask = np.ones((5, 20, 20), bool)
    layout = layout_of(mask, np.eye(4), is_3d=False)
    assert [[tile.index for tile in row] for row in layout] == [[0, 1, 2, 3, 4]]
    assert {tile.view.name for row in layout for tile in row} == {"axial"}
    names = [row[0].view.name for row in layout_of(np.ones((20, 20, 20), bool), np.eye(4), True)]
    assert names == ["axial", "coronal", "sagittal"]

"""Rigid registration: a known motion is recovered, from the same images always the same."""

import numpy as np
import pytest
from helpers import heads

from mri2qmap_bids.dataset.registration import Volume, register
from mri2qmap_bids.errors import RegistrationError

SMALL = ((5, -4, 7), (6e-3, -8e-3, 5e-3))


def placed(angles, shift, rows=slice(None)):
    """The registration of the scan, or of a slab of it, to the moved T1w image, and its errors [m]."""
    maps, scan = heads.scan()
    affine = scan.affine.copy()
    affine[:3, 3] += affine[:3, 2] * (rows.start or 0)
    slab = Volume(scan.values[rows], affine)
    matrix = heads.motion(angles, shift, scan.affine[:3, 3])
    found = register(slab, maps.mask[rows], heads.moved(heads.t1w(), matrix))
    return found, heads.distances(maps.mask[rows], affine, found.matrix, matrix)


@pytest.mark.parametrize(
    ("angles", "shift"),
    [
        SMALL,
        ((10, 6, -12), (15e-3, -10e-3, 10e-3)),
        ((3, 2, -4), (0.5, 0.3, -0.2)),  # nothing shared in scanner coordinates
    ],
)
def test_a_known_motion_is_recovered_within_a_tenth_of_a_voxel(angles, shift):
    found, errors = placed(angles, shift)
    assert errors.max() < 0.1 * 4.5e-3
    assert found.converged
    assert found.mutual_information > 0.5
    assert np.allclose(found.matrix[:3, :3] @ found.matrix[:3, :3].T, np.eye(3), atol=1e-9)
    moved = found.matrix[:3, :3] @ found.centre + found.matrix[:3, 3] - found.centre
    assert found.distance == pytest.approx(np.linalg.norm(moved))


def test_a_slab_of_nine_slices_is_placed_within_a_quarter_of_a_voxel():
    _, errors = placed(*SMALL, slice(16, 25))
    assert errors.max() < 0.25 * 4.5e-3


def test_the_same_images_give_the_same_numbers():
    first, second = (placed(*SMALL)[0] for _ in range(2))
    assert np.array_equal(first.matrix, second.matrix)
    assert first.mutual_information == second.mutual_information


def test_nothing_to_register_is_refused():
    maps, scan = heads.scan()
    target = heads.t1w()
    with pytest.raises(RegistrationError, match="must show something"):
        register(scan, np.zeros_like(maps.mask), target)
    with pytest.raises(RegistrationError, match="must show something"):
        register(Volume(np.ones_like(scan.values), scan.affine), maps.mask, target)

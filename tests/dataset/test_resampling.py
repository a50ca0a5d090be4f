"""Images on one another's grids: what is at a place in the world stays there."""

import nibabel as nib
import numpy as np
import pytest

from mri2qmap_bids.dataset.resampling import on_grid

AFFINE = np.array([[2.0, 0, 0, -10], [0, 3, 0, 5], [0, 0, 4, 0], [0, 0, 0, 1]])


def places(shape, affine):
    index = np.moveaxis(np.indices(shape), 0, -1)
    return index @ affine[:3, :3].T + affine[:3, 3]


def test_a_linear_field_is_found_again_on_any_grid_inside():
    slope = np.array([0.3, -0.2, 0.1])
    image = nib.Nifti1Image(places((20, 20, 20), AFFINE) @ slope, AFFINE)
    turned = np.diag([-1.0, 1.0, 2.0, 1.0])
    turned[:3, 3] = [20, 20, 10]
    reference = nib.Nifti1Image(np.zeros((8, 9, 10)), turned)
    assert np.allclose(on_grid(image, reference, 1), places((8, 9, 10), turned) @ slope, atol=1e-6)


def test_the_same_grid_changes_nothing():
    values = np.random.default_rng(0).random((4, 5, 6))
    image = nib.Nifti1Image(values, AFFINE)
    for order in (0, 1, 3):
        assert np.array_equal(on_grid(image, image, order), values)


def test_labels_stay_labels_and_outside_is_zero():
    image = nib.Nifti1Image(np.full((4, 4, 4), 7.0), np.eye(4))
    shifted = np.eye(4)
    shifted[0, 3] = 1.6
    labels = on_grid(image, nib.Nifti1Image(np.zeros((4, 4, 4)), shifted), 0)
    assert set(np.unique(labels)) == {0, 7}
    assert labels[:2].min() == 7 and labels[3].max() == 0
    assert labels.shape == (4, 4, 4) and labels.sum() == pytest.approx(7 * 32)

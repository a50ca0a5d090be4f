"""Heads as labels: where they lie, and how much of a voxel is which tissue."""

import nibabel as nib
import numpy as np
import pytest
from helpers.training import DAMAGES, damage, write_labels

from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.simulate.anatomy import Anatomy, brainweb, centre_and_extent, fractions
from mri2qmap_bids.simulate.fields import generator
from mri2qmap_bids.simulate.grid import make_geometry
from mri2qmap_bids.simulate.tissue import MNI152_TISSUES


def box(affine=None):
    """A box of tissue 2 in a shell of background."""
    labels = np.zeros((30, 40, 50), np.uint8)
    labels[10:20, 10:30, 10:40] = 2
    affine = np.diag([1e-3, 1e-3, 1e-3, 1.0]) if affine is None else affine
    return Anatomy(labels, affine, MNI152_TISSUES)


@pytest.mark.parametrize("size", [1e-3, 2e-3])
def test_middle_and_extent_are_those_of_the_labelled_part(size):
    affine = np.diag([size, -size, size, 1.0])
    affine[:3, 3] = [0.1, 0.2, 0.3]
    centre, extent = centre_and_extent(box(affine))
    assert np.allclose(centre, [0.1 + 14.5 * size, 0.2 - 19.5 * size, 0.3 + 24.5 * size])
    assert np.allclose(extent, [9 * size, 19 * size, 29 * size])


def test_voxels_are_shared_out_among_tissues_and_the_volume_is_kept():
    anatomy = box()
    centre, _ = centre_and_extent(anatomy)
    geometry = make_geometry((20, 20, 20), (3e-3, 3e-3, 3e-3), centre)
    parts = fractions(anatomy, geometry, None, generator(0, "shape"))
    assert parts.shape == (4, 20, 20, 20)
    assert np.allclose(parts.sum(0), 1, atol=1e-5) and parts.min() >= 0
    assert parts[[1, 3]].max() == 0
    volume = float(parts[2].sum()) * 27e-9
    # A subject's head differs in size by a few per cent along every axis.
    assert volume == pytest.approx(10 * 20 * 30 * 1e-9, rel=0.15)


def test_beyond_the_labels_there_is_background():
    far = make_geometry((2, 4, 4), (5e-3,) * 3, np.array([1.9, 1.9, 1.9]))
    assert (fractions(box(), far, 5e-3, generator(0))[0] == 1).all()


@pytest.mark.parametrize("how", DAMAGES)
def test_a_file_that_is_no_whole_image_is_refused(tmp_path, how):
    path = write_labels(tmp_path / "x.nii.gz", numbers=(1, 2, 3, 4))
    assert brainweb(path).labels.max() == 4
    damage(path, how)
    with pytest.raises(UsageError, match=r"x.nii.gz: must be a complete image file, got: "):
        brainweb(path)


def test_a_minc_file_that_is_cut_off_is_refused(tmp_path):
    for content in (b"\x89HDF\r\n\x1a\n" + bytes(200), b"CDF\x01" + bytes(8), b"CDF\x01\x00"):
        (tmp_path / "x.mnc").write_bytes(content)
        with pytest.raises(UsageError, match=r"x.mnc: must be a complete image file, got: "):
            brainweb(tmp_path / "x.mnc")


@pytest.mark.parametrize("value", [np.nan, 0, 12, -1])
def test_a_volume_of_other_values_is_refused(tmp_path, value):
    path, values = tmp_path / "x.nii", np.full((3, 4, 5), value, np.float32)
    nib.save(nib.Nifti1Image(values, np.eye(4)), path)
    with pytest.raises(UsageError, match=r"x.nii: must be a 3D volume of labels 0\.\.11"):
        brainweb(path)

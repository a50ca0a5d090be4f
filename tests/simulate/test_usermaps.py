"""Measured maps on another grid."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.training import DAMAGES, damage, write_labels

from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.simulate.grid import make_geometry
from mri2qmap_bids.simulate.usermaps import MapFiles, MeasuredMaps, from_maps, read_maps


def maps(shape=(8, 9, 10), size=2e-3):
    """Uniform white matter."""
    return MeasuredMaps(
        t1=np.full(shape, 0.8, np.float32),
        t2=np.full(shape, 0.06, np.float32),
        m0=np.ones(shape, np.complex64),
        labels=np.full(shape, 2, np.uint8),
        mask=np.ones(shape, bool),
        affine=np.diag([size, size, size, 1.0]),
    )


def test_middle_and_extent_are_those_of_the_mask():
    mask = np.zeros((8, 9, 10), bool)
    mask[2:5, 3:8, 4] = True
    part = replace(maps(), mask=mask)
    assert np.allclose(part.centre, 2e-3 * np.array([3, 5, 4]))
    assert np.allclose(part.extent, 2e-3 * np.array([2, 4, 0]))


@pytest.mark.parametrize("oblique", [(0.0, 0.0, 0.0), (0.3, 0.2, 0.1)])
def test_uniform_maps_stay_uniform_on_any_grid(oblique):
    measured = maps()
    geometry = make_geometry((3, 4, 4), (3e-3, 3e-3, 3e-3), measured.centre, oblique)
    brain = from_maps(measured, geometry, seed=0)
    inside = brain.labels > 0
    assert inside[1, 1:3, 1:3].all() and set(np.unique(brain.labels)) <= {0, 2}
    assert np.allclose(brain.t1[inside], 0.8, rtol=2e-3)
    assert np.allclose(np.abs(brain.m0[inside]), 1, rtol=1e-3)


def test_rates_are_averaged_not_times():
    measured = maps()
    measured.t1[:, :, ::2] = 1.6
    geometry = make_geometry((4, 4, 4), (2e-3, 2e-3, 2e-3), measured.centre)
    t1 = from_maps(measured, geometry, seed=0).t1
    assert np.allclose(t1, 2 / (1 / 0.8 + 1 / 1.6), rtol=0.05)


def test_a_phase_of_ones_own_is_kept():
    measured = maps()
    turned = replace(measured, m0=measured.m0 * np.complex64(np.exp(1j)))
    geometry = make_geometry((4, 4, 4), (2e-3, 2e-3, 2e-3), measured.centre)
    assert np.allclose(np.angle(from_maps(turned, geometry, seed=0).m0), 1, atol=1e-3)
    smooth = np.angle(from_maps(measured, geometry, seed=0).m0)
    assert not np.allclose(smooth, 0, atol=1e-3)


def test_maps_of_different_shapes_are_refused(tmp_path):
    import nibabel as nib

    for name, shape in (("t1", (4, 4, 4)), ("t2", (4, 4, 5))):
        nib.save(nib.Nifti1Image(np.ones(shape, np.float32), np.eye(4)), tmp_path / f"{name}.nii")
    with pytest.raises(UsageError, match=r"t2.nii: must have shape \(4, 4, 4\)"):
        read_maps(MapFiles(tmp_path / "t1.nii", tmp_path / "t2.nii"))
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.float32), np.eye(4)), tmp_path / "t2.nii")
    with pytest.raises(UsageError, match="must have voxels with T1, T2 and M0 above 0"):
        read_maps(MapFiles(tmp_path / "t1.nii", tmp_path / "t2.nii"))


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_map_is_named(tmp_path, how):
    path = write_labels(tmp_path / "t1.nii.gz")
    damage(path, how)
    with pytest.raises(UsageError, match=r"t1.nii.gz: must be a complete image file, got: "):
        read_maps(MapFiles(path, path, path))


def test_labels_that_are_not_finite_are_mixed(tmp_path):
    import nibabel as nib

    labels = np.full((4, 4, 4), 2, np.float32)
    labels[0], labels[1] = np.nan, np.inf
    for name, values in (("t1", np.ones_like(labels)), ("labels", labels)):
        nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / f"{name}.nii")
    t1 = tmp_path / "t1.nii"
    found = read_maps(MapFiles(t1, t1, labels=tmp_path / "labels.nii")).labels
    assert (found[:2] == 4).all() and (found[2:] == 2).all()


@pytest.mark.parametrize("name", ["t1", "t2", "labels"])
def test_only_m0_may_be_complex(tmp_path, name):
    import nibabel as nib

    real = np.ones((4, 4, 4), np.float32)
    for each in ("t1", "t2", "m0", "labels"):
        values = real * np.complex64(1 + 1j) if each in (name, "m0") else real
        nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / f"{each}.nii")
    files = [tmp_path / f"{each}.nii" for each in ("t1", "t2", "m0", "labels")]
    with pytest.raises(UsageError, match=rf"{name}.nii: must have real values, got complex64"):
        read_maps(MapFiles(*files))
    nib.save(nib.Nifti1Image(real, np.eye(4)), tmp_path / f"{name}.nii")
    assert np.allclose(np.angle(read_maps(MapFiles(*files)).m0), np.pi / 4)

"""A run as it is read from disk."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from helpers.diagnostics import some_run

from mri2qmap_bids.dataset.derivatives import MapDocument, write_maps
from mri2qmap_bids.dataset.figures import figure_path
from mri2qmap_bids.errors import DatasetError
from mri2qmap_bids.recon.physics.maps import QuantitativeMaps
from mri2qmap_bids.report.run import load_run

ENTITIES = {"sub": "01", "ses": "a"}


@pytest.fixture
def maps():
    shape = (3, 4, 5)
    rng = np.random.default_rng(0)
    t1, t2 = rng.uniform(0.5, 2, shape), rng.uniform(0.05, 0.2, shape)
    m0 = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    affine = np.diag([2e-3, 3e-3, 4e-3, 1.0])
    mask = rng.random(shape) > 0.3
    return QuantitativeMaps(
        t1.astype("f4"), t2.astype("f4"), m0.astype("c8"), mask, affine, t1_std=t1.astype("f4")
    )


def test_maps_come_back_with_axes_and_units_of_the_report(tmp_path, maps):
    write_maps(MapDocument(ENTITIES, maps, metadata={"MagneticFieldStrength": 3}), tmp_path)
    run = load_run(tmp_path, ENTITIES)
    assert run.t1.shape == maps.t1.shape
    assert np.allclose(run.t1, np.where(maps.mask, maps.t1, 0))
    assert np.allclose(run.m0, np.where(maps.mask, np.abs(maps.m0), 0))
    assert np.array_equal(run.mask, maps.mask)
    assert run.voxel_size == pytest.approx((4, 3, 2))
    assert run.field_strength == 3.0
    assert run.name == "sub-01_ses-a"
    assert run.t1_std is not None and run.t2_std is None
    assert run.diagnostics is None and run.conditions is None and run.synthetic == {}


def test_diagnostics_that_cannot_be_read_are_none(tmp_path, maps):
    write_maps(MapDocument(ENTITIES, maps), tmp_path)
    path = tmp_path / figure_path(ENTITIES, "MRF", ".npz", "diagnostics")
    path.parent.mkdir(parents=True)
    for content in (b"", b"PK broken"):
        path.write_bytes(content)
        assert load_run(tmp_path, ENTITIES).diagnostics is None
    with path.open("wb") as file:
        np.savez(file, other=1)
    assert load_run(tmp_path, ENTITIES).diagnostics is None


def test_a_map_that_cannot_be_read_is_named(tmp_path, maps):
    write_maps(MapDocument(ENTITIES, maps), tmp_path)
    path = next(tmp_path.rglob("*_T2map.nii.gz"))
    path.write_bytes(b"no image")
    with pytest.raises(DatasetError, match="T2map.nii.gz: must be a complete image file"):
        load_run(tmp_path, ENTITIES)
    nib.save(nib.Nifti1Image(np.zeros((2, 2)), np.eye(4)), path)
    with pytest.raises(DatasetError, match="T2map.nii.gz: must be a map"):
        load_run(tmp_path, ENTITIES)


def test_without_diagnostics_a_thick_stack_counts_as_a_volume():
    run = some_run()
    assert not run.is_3d  # as the diagnostics say
    old = replace(run, diagnostics=None)
    assert not old.is_3d
    assert replace(old, mask=np.ones((16, 20, 20), bool)).is_3d


def test_the_mask_of_version_0_1_0_is_read(tmp_path, maps):
    write_maps(MapDocument(ENTITIES, maps), tmp_path)
    mask = next(tmp_path.rglob("*_desc-head_mask.nii.gz"))
    mask.rename(mask.with_name(mask.name.replace("head", "brain")))
    assert np.array_equal(load_run(tmp_path, ENTITIES).mask, maps.mask)

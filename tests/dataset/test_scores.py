"""Scores of maps whose errors are known."""

import shutil
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from mri2qmap_bids.dataset.derivatives import MapDocument, write_maps
from mri2qmap_bids.dataset.scores import compare_datasets
from mri2qmap_bids.errors import DatasetError
from mri2qmap_bids.recon.physics.maps import QuantitativeMaps

SHAPE = (3, 20, 24)


def true_maps():
    """Stripes of grey and white matter and fluid."""
    labels = np.broadcast_to(1 + np.arange(SHAPE[2]) // 8, SHAPE).astype(np.uint8)
    t1 = np.choose(labels - 1, [1.4, 0.85, 4.0]).astype(np.float32)
    t2 = np.choose(labels - 1, [0.09, 0.06, 1.5]).astype(np.float32)
    m0 = np.linspace(0.5, 1, SHAPE[1], dtype=np.float32)[None, :, None] * np.ones(
        SHAPE, np.complex64
    )
    affine = np.diag([-2e-3, -2e-3, 4e-3, 1.0])
    return QuantitativeMaps(t1, t2, m0.astype(np.complex64), np.ones(SHAPE, bool), affine), labels


def scores(tmp_path, **changes):
    maps, labels = true_maps()
    for name, document_maps in (("truth", maps), ("estimate", replace(maps, **changes))):
        write_maps(MapDocument({"sub": "01"}, document_maps, labels=labels), tmp_path / name)
    return compare_datasets(tmp_path / "estimate", tmp_path / "truth").set_index("tissue")


def test_equal_maps_have_no_error(tmp_path):
    table = scores(tmp_path)
    assert list(table.index) == ["GM", "WM", "CSF", "GM+WM"]
    for column in ("T1_MAPE", "T1_bias", "T1_sd", "T2_MAPE", "M0_NRMSE"):
        assert np.allclose(table[column], 0, atol=1e-4)
    for column in ("T1_SSIM", "T2_SSIM", "M0_SSIM"):
        assert np.allclose(table[column], 1, atol=1e-6)
    assert (table.coverage == 100).all()


def test_errors_are_relative_and_signed(tmp_path):
    maps, labels = true_maps()
    sign = np.where(np.arange(SHAPE[1]) % 2, 1.0, -1.0)[None, :, None]
    t2 = (maps.t2 * np.where(labels == 1, 1 + 0.05 * sign, 0.9)).astype(np.float32)
    table = scores(tmp_path, t2=t2)
    assert table.loc["GM", ["T2_MAPE", "T2_bias", "T2_sd"]].tolist() == pytest.approx(
        [5, 0, 5], abs=1e-3
    )
    assert table.loc["WM", ["T2_MAPE", "T2_bias", "T2_sd"]].tolist() == pytest.approx(
        [10, -10, 0], abs=1e-3
    )
    assert table.loc["GM+WM", "T2_MAPE"] == pytest.approx(7.5, abs=1e-3)
    assert table.loc["GM", "T1_MAPE"] == pytest.approx(0, abs=1e-4)


def test_the_scale_of_m0_does_not_count(tmp_path):
    maps, _ = true_maps()
    assert np.allclose(scores(tmp_path, m0=7 * maps.m0).M0_NRMSE, 0, atol=1e-3)


def test_voxels_outside_the_mask_count_as_wrong(tmp_path):
    mask = np.ones(SHAPE, bool)
    mask[:, :5] = False
    table = scores(tmp_path, mask=mask)
    assert np.allclose(table.coverage, 75)
    assert np.allclose(table.T1_MAPE, 25, atol=1e-3)


def test_grids_meet_in_the_world(tmp_path):
    """The same maps stored with one axis turned round."""
    maps, _ = true_maps()
    turned = maps.affine @ np.array(
        [[-1, 0, 0, SHAPE[2] - 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], float
    )
    flipped = {name: getattr(maps, name)[:, :, ::-1] for name in ("t1", "t2", "m0", "mask")}
    assert np.allclose(scores(tmp_path, affine=turned, **flipped).T1_MAPE, 0, atol=1e-3)


def test_datasets_without_a_common_run_are_refused(tmp_path):
    maps, labels = true_maps()
    write_maps(MapDocument({"sub": "01"}, maps, labels=labels), tmp_path / "truth")
    with pytest.raises(DatasetError, match="got none of them"):
        compare_datasets(tmp_path / "empty", tmp_path / "truth")


def test_errors_and_other_grids_are_no_runs(tmp_path):
    maps, labels = true_maps()
    document = MapDocument({"sub": "01"}, maps, labels=labels)
    write_maps(replace(document, maps=replace(maps, t1_std=maps.t1, t2_std=maps.t2)), tmp_path)
    write_maps(replace(document, entities={"sub": "01", "space": "T1w"}), tmp_path)
    table = compare_datasets(tmp_path, tmp_path)
    assert list(table.run) == ["sub-01"] * 4


@pytest.mark.parametrize("label", [0, 9])
def test_known_maps_without_tissue_are_refused(tmp_path, label):
    maps, labels = true_maps()
    labels = np.full_like(labels, label)
    write_maps(MapDocument({"sub": "01"}, maps, labels=labels), tmp_path)
    with pytest.raises(DatasetError, match=r"sub-01_dseg.nii.gz: must have voxels of \[1, 2, 3\]"):
        compare_datasets(tmp_path, tmp_path)


def run_in_both(tmp_path):
    maps, labels = true_maps()
    for name in ("truth", "estimate"):
        write_maps(MapDocument({"sub": "01"}, maps, labels=labels), tmp_path / name)
    return tmp_path / "estimate", tmp_path / "truth"


@pytest.mark.parametrize("truth", ["mistyped", "estimate_of_none"])
def test_a_truth_without_runs_is_named(tmp_path, truth):
    estimate, _ = run_in_both(tmp_path)
    (tmp_path / "estimate_of_none").mkdir()
    with pytest.raises(DatasetError, match=f"^{tmp_path / truth}: must hold maps"):
        compare_datasets(estimate, tmp_path / truth)


def test_files_of_no_subject_are_no_runs(tmp_path):
    estimate, truth = run_in_both(tmp_path)
    folder = truth / "sub-01" / "anat"
    shutil.copy(folder / "sub-01_T1map.nii.gz", folder / "mean_T1map.nii.gz")
    assert set(compare_datasets(estimate, truth).run) == {"sub-01"}


@pytest.mark.parametrize("dataset", ["estimate", "truth"])
def test_damaged_files_are_named(tmp_path, dataset):
    estimate, truth = run_in_both(tmp_path)
    path = tmp_path / dataset / "sub-01" / "anat" / "sub-01_T2map.nii.gz"
    # Noise, which has no short zip: the header stays whole.
    noise = np.random.default_rng(0).random(SHAPE[::-1]).astype(np.float32)
    nib.save(nib.Nifti1Image(noise, nib.load(path).affine), path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DatasetError, match=f"^{path}: must be a complete image file, got: "):
        compare_datasets(estimate, truth)


@pytest.mark.parametrize(
    ("dataset", "name"),
    [("estimate", "T2map"), ("estimate", "desc-head_mask"), ("truth", "T2map"), ("truth", "dseg")],
)
def test_files_of_another_shape_than_the_t1_map_are_named(tmp_path, dataset, name):
    estimate, truth = run_in_both(tmp_path)
    path = tmp_path / dataset / "sub-01" / "anat" / f"sub-01_{name}.nii.gz"
    assert path.exists()
    nib.save(nib.Nifti1Image(np.ones((4, 5, 6), np.float32), np.eye(4)), path)
    rule = r"must have the shape of the run's T1map \(24, 20, 3\), got \(4, 5, 6\)"
    with pytest.raises(DatasetError, match=f"^{path}: {rule}"):
        compare_datasets(estimate, truth)
    four = nib.Nifti1Image(np.ones((4, 5, 6, 2), np.float32), np.eye(4))
    nib.save(four, path)
    with pytest.raises(DatasetError, match=f"^{path}: must be a volume of 3 dimensions"):
        compare_datasets(estimate, truth)

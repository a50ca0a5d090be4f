"""Training data from disk."""

import nibabel as nib
import numpy as np
from helpers.training import CONTRASTS, damage, write_volume

from mri2qmap_bids.training.data import load_folder


def test_volumes_of_a_subject_are_paired_and_missing_contrasts_known(folder):
    slices = load_folder(folder, CONTRASTS)
    kinds = {tuple(item.present.tolist()) for item in slices}
    none = (False, False)
    assert kinds == {(True, False, False, True, *none), (False, True, False, False, *none)}
    for item in slices:
        assert item.images.shape[0] == 6
        assert (item.images[~item.present] == 0).all()
        assert 0.9 < item.images[item.present].max() < 2
    assert {item.group for item in slices} == {"sub-01", "sub-02", "IXI001-HH"}


def test_bad_volumes_are_skipped_by_name(folder, caplog):
    (folder / "sub-03_T1w.nii.gz").write_bytes(b"no NIfTI")
    write_volume(folder / "sub-04_bold.nii.gz")
    nan = np.full((64, 60, 20), np.nan, np.float32)
    nib.save(nib.Nifti1Image(nan, np.eye(4)), folder / "sub-05_T2w.nii.gz")
    write_volume(folder / "sub-06_T1w.nii.gz")
    damage(folder / "sub-06_T1w.nii.gz", "corrupt")
    write_volume(folder / "sub-07_T1w.nii.gz", shape=(40, 40, 20))
    below = nib.Nifti1Image(-np.arange(76800.0, dtype="f4").reshape(64, 60, 20), np.eye(4))
    nib.save(below, folder / "sub-08_T1w.nii.gz")
    n_good = len(load_folder(folder / "sub-01", CONTRASTS))
    slices = load_folder(folder, CONTRASTS)
    assert len(slices) > n_good
    for name in (
        "sub-03_T1w",
        "sub-04_bold",
        "sub-05_T2w",
        "sub-06_T1w",
        "sub-07_T1w",
        "sub-08_T1w",
    ):
        assert any(
            name in record.getMessage() and "skipped" in record.getMessage()
            for record in caplog.records
        )


def test_a_fourth_axis_of_length_one_counts_as_none(tmp_path):
    for name in ("T1w", "T2w"):
        write_volume(tmp_path / f"sub-01_{name}.nii.gz")
    expected = load_folder(tmp_path, CONTRASTS)
    image = nib.load(tmp_path / "sub-01_T1w.nii.gz")
    longer = nib.Nifti1Image(np.asarray(image.dataobj)[..., None], image.affine)
    nib.save(longer, tmp_path / "sub-01_T1w.nii.gz")
    slices = load_folder(tmp_path, CONTRASTS)
    assert len(slices) == len(expected) > 0
    for found, known in zip(slices, expected, strict=True):
        assert np.array_equal(found.images, known.images)

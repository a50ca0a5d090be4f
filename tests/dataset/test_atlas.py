"""Whose segmentation a run gets, and what its labels are called."""

import nibabel as nib
import numpy as np
import pytest

from mri2qmap_bids.dataset.atlas import SegmentationFile, find_segmentations, load_segmentation
from mri2qmap_bids.errors import DatasetError


def save(path, labels=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = np.arange(8).reshape(2, 2, 2) if labels is None else labels
    nib.save(nib.Nifti1Image(labels.astype(np.int16), np.eye(4)), path)
    return path


def names(files):
    return {file.name: file.path.name for file in files}


def test_the_session_goes_before_the_participant(tmp_path):
    save(tmp_path / "sub-1" / "anat" / "sub-1_dseg.nii.gz")
    entities = {"sub": "1", "ses": "a"}
    assert names(find_segmentations("d", tmp_path, entities)) == {"d": "sub-1_dseg.nii.gz"}
    save(tmp_path / "sub-1" / "ses-a" / "anat" / "sub-1_ses-a_dseg.nii")
    assert names(find_segmentations("d", tmp_path, entities)) == {"d": "sub-1_ses-a_dseg.nii"}
    assert names(find_segmentations("d", tmp_path, {"sub": "1"})) == {"d": "sub-1_dseg.nii.gz"}


@pytest.mark.parametrize(("space", "native"), [("T1w", True), ("orig", True), ("MNI152", False)])
def test_a_templates_space_is_not_the_participants(tmp_path, space, native):
    save(tmp_path / "sub-1" / "anat" / f"sub-1_space-{space}_dseg.nii.gz")
    assert bool(find_segmentations("d", tmp_path, {"sub": "1"})) == native


def test_kinds_of_segmentation_are_told_apart_and_runs_of_one_are_not(tmp_path):
    anat = tmp_path / "sub-1" / "anat"
    for name in ("desc-aseg", "desc-aparc", "run-1_desc-x", "run-2_desc-x"):
        save(anat / f"sub-1_{name}_dseg.nii.gz")
    files = find_segmentations("d", tmp_path, {"sub": "1", "run": "2"})
    assert set(names(files)) == {"d:aseg", "d:aparc", "d:x"}
    assert names(files)["d:x"] == "sub-1_run-2_desc-x_dseg.nii.gz"
    with pytest.raises(DatasetError, match=r"segmentation d:x must be one image"):
        find_segmentations("d", tmp_path, {"sub": "1", "run": "3"})


def test_labels_are_those_of_bids_only_if_no_other_occurs(tmp_path):
    tissue = save(tmp_path / "a_dseg.nii.gz", np.array([[[0, 1], [2, 3]]]))
    other = save(tmp_path / "b_dseg.nii.gz", np.array([[[0, 1], [2, 9]]]))
    for path, expected in (
        (tissue, {1: "GM", 2: "WM", 3: "CSF"}),
        (other, {1: "label-1", 2: "label-2", 9: "label-9"}),
    ):
        reference = nib.load(path)
        assert load_segmentation(SegmentationFile("d", path, None), reference).names == expected


def test_an_image_of_four_axes_is_refused(tmp_path):
    path = save(tmp_path / "a_dseg.nii.gz", np.zeros((2, 2, 2, 2)))
    with pytest.raises(DatasetError, match="a_dseg.nii.gz: must have three axes"):
        load_segmentation(SegmentationFile("d", path, None), nib.load(path))


def test_labels_that_are_not_finite_are_refused(tmp_path):
    path = tmp_path / "a_dseg.nii.gz"
    nib.save(nib.Nifti1Image(np.full((2, 2, 2), np.nan, np.float32), np.eye(4)), path)
    with pytest.raises(DatasetError, match=r"a_dseg.nii.gz: must .* finite values, got .* nan"):
        load_segmentation(SegmentationFile("d", path, None), nib.load(path))


def test_a_fourth_axis_of_length_one_counts_as_none(tmp_path):
    labels = np.array([[[0, 1], [2, 3]]])
    reference = nib.load(save(tmp_path / "a_dseg.nii.gz", labels))
    path = save(tmp_path / "b_dseg.nii.gz", labels[..., None])
    found = load_segmentation(SegmentationFile("d", path, None), reference)
    assert np.array_equal(found.labels, labels)

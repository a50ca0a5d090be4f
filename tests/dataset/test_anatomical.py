"""The T1w image of a participant: which one, and what it must be."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mri2qmap_bids.dataset.anatomical import AnatomicalImage, choose, read_t1w, too_thin
from mri2qmap_bids.dataset.entities import entities_in
from mri2qmap_bids.errors import SidecarError


def image_named(words):
    path = Path(f"sub-01_{words}T1w.nii.gz")
    return AnatomicalImage(path, f"bids:raw:{path}", entities_in(path))


@pytest.mark.parametrize(
    ("names", "session", "chosen"),
    [
        ([], "a", None),
        (["ses-b_", "ses-a_run-2_", "ses-a_run-1_"], "a", "ses-a_run-1_"),
        (["ses-c_", "ses-b_"], "a", "ses-b_"),
        ([""], "a", ""),
        (["ses-a_part-phase_", "ses-a_desc-preproc_", "ses-a_space-x_", "ses-b_"], "a", "ses-b_"),
        (["part-mag_"], None, "part-mag_"),
    ],
)
def test_the_first_of_the_session_is_taken_else_of_any(names, session, chosen):
    entities = {"sub": "01"} | ({"ses": session} if session else {})
    image = choose([image_named(name) for name in names], entities)
    assert image == (None if chosen is None else image_named(chosen))


def written(path, values, affine=None, code=1):
    image = nib.Nifti1Image(values, np.diag([-2.0, 3.0, 4.0, 1.0]) if affine is None else affine)
    image.set_sform(image.affine, code)
    image.set_qform(image.affine, code)
    nib.save(image, path)
    return path


def test_values_and_place_are_read(tmp_path):
    values = np.arange(120, dtype=np.float32).reshape(4, 5, 6)
    values[0, 0, 0] = np.nan
    volume = read_t1w(written(tmp_path / "x_T1w.nii.gz", values[..., None]))
    assert volume.values.shape == (6, 5, 4)
    assert volume.values[3, 2, 1] == values[1, 2, 3]
    assert volume.values[0, 0, 0] == 0
    assert np.allclose(volume.affine, np.diag([-2e-3, 3e-3, 4e-3, 1]))


@pytest.mark.parametrize(
    ("values", "code", "rule"),
    [
        (np.ones((4, 5, 6, 2), np.float32), 1, "must be one volume"),
        (np.ones((4, 5, 1), np.float32), 1, "must be one volume"),
        (np.ones((4, 5, 6), np.float32), 1, "must show a head, got the value 1 everywhere"),
        (np.arange(120, dtype=np.float32).reshape(4, 5, 6), 0, "must say where it lies"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path, values, code, rule):
    with pytest.raises(SidecarError, match=rule):
        read_t1w(written(tmp_path / "x_T1w.nii", values, code=code))


def test_what_is_no_image_is_refused(tmp_path):
    path = tmp_path / "x_T1w.nii.gz"
    path.write_bytes(b"no image")
    with pytest.raises(SidecarError, match="must be a complete image file"):
        read_t1w(path)


@pytest.mark.parametrize(
    ("shape", "size", "reason"),
    [
        ((20, 64, 64), (2, 3, 3), None),
        ((1, 64, 64), (5, 3, 3), "got 1 voxels over 5 mm"),
        ((7, 64, 64), (10, 3, 3), "got 7 voxels over 70 mm"),
        ((12, 64, 64), (3, 3, 3), "got 12 voxels over 36 mm"),
    ],
)
def test_thin_scans_are_not_registered(shape, size, reason):
    text = too_thin(shape, size)
    assert text is None if reason is None else text.endswith(reason)

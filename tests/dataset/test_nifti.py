"""Maps as NIfTI files."""

import json

import nibabel as nib
import numpy as np

from mri2qmap_bids.dataset.nifti import save_nifti, write_volume
from mri2qmap_bids.recon.physics.maps import QuantitativeMaps

AFFINE = np.array([[-2e-3, 0, 0, 0.1], [0, 3e-3, 0, -0.2], [0, 0, 4e-3, 0.05], [0, 0, 0, 1]])


def test_a_volume_is_where_it_was_in_mm(tmp_path):
    volume = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    write_volume(tmp_path / "a.nii.gz", volume, AFFINE)
    image = nib.load(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(np.asarray(image.dataobj), volume.T)
    np.testing.assert_allclose(image.affine[:3], 1e3 * AFFINE[:3], rtol=1e-6)
    assert image.header.get_xyzt_units() == ("mm", "sec")
    assert image.header["sform_code"] == image.header["qform_code"] == 1


def test_maps_are_zero_outside_the_mask_and_have_their_units(tmp_path):
    shape = (2, 3, 4)
    mask = np.zeros(shape, bool)
    mask[:, 1:] = True
    maps = QuantitativeMaps(
        t1=np.full(shape, 1.2, np.float32),
        t2=np.full(shape, 0.08, np.float32),
        m0=np.full(shape, 3 - 4j, np.complex64),
        mask=mask,
        affine=AFFINE,
    )
    files = save_nifti(maps, tmp_path / "new" / "maps")
    assert [path.name for path in files] == [
        "T1map.nii.gz",
        "T2map.nii.gz",
        "M0map.nii.gz",
        "R1map.nii.gz",
        "R2map.nii.gz",
        "desc-head_mask.nii.gz",
    ]
    for path, value in zip(files, (1.2, 0.08, 5.0, 1 / 1.2, 12.5, 1.0), strict=True):
        values = np.asarray(nib.load(path).dataobj).T
        np.testing.assert_allclose(values[mask], value, rtol=1e-6)
        assert (values[~mask] == 0).all()
    sidecar = json.loads((tmp_path / "new" / "maps" / "T1map.json").read_text())
    assert sidecar["Units"] == "s"

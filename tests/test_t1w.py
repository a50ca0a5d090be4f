"""A participant with a T1w image, by the whole command: transform, maps on its grid, reruns, bad files."""

import json
import shutil

import nibabel as nib
import numpy as np
import pytest
from helpers import heads
from nibabel.processing import resample_from_to

from mri2qmap_bids.cli import main
from mri2qmap_bids.dataset.transform import transform_path
from mri2qmap_bids.recon.physics.contrasts import synthesise_all
from mri2qmap_bids.recon.physics.maps import QuantitativeMaps

pytestmark = pytest.mark.slow

ENTITIES = {"sub": "02", "ses": "1", "acq": "3d"}
MOTION = heads.motion((4, -3, 6), (5e-3, -6e-3, 4e-3), np.zeros(3))


@pytest.fixture
def dataset(small_dataset, tmp_path):
    """The volume of the small dataset, and a T1w image of its true maps that is finer and moved."""
    root = tmp_path / "dataset"
    shutil.copytree(small_dataset, root, ignore=shutil.ignore_patterns("sub-01"))
    truth = root / "derivatives" / "mri2qmap-simulate" / "sub-02" / "ses-1" / "anat"
    images = [
        nib.load(truth / f"sub-02_ses-1_acq-3d_{s}.nii.gz") for s in ("T1map", "T2map", "M0map")
    ]
    t1, t2, m0 = (np.asarray(image.dataobj, np.float32) for image in images)
    weighted = synthesise_all(QuantitativeMaps(t1, t2, m0 + 0j, t1 > 0, np.eye(4)))["T1w"]
    to_mm = np.diag([1e3, 1e3, 1e3, 1.0])
    moved = to_mm @ MOTION @ np.linalg.inv(to_mm) @ images[0].affine
    size, centre = 4.0, moved @ [*(np.array(t1.shape) / 2), 1]
    grid = np.diag([-size, size, size, 1.0])
    grid[:3, 3] = centre[:3] - grid[:3, :3] @ [30, 32, 31]
    source = nib.Nifti1Image(np.where(t1 > 0, weighted, 0).astype(np.float32), moved)
    image = resample_from_to(source, ((60, 64, 62), grid), order=1)
    image.set_sform(grid, 1)
    nib.save(image, root / "sub-02" / "ses-1" / "anat" / "sub-02_ses-1_T1w.nii.gz")
    return root


def test_the_whole_way(dataset, tmp_path, validator, capfd):
    out = tmp_path / "out"
    words = [str(dataset), str(out), "participant", "-w", str(tmp_path / "work")]
    words += ["--recon-method", "subspace", "--sloppy"]
    assert main([*words, "--output-spaces", "T1w"]) == 0
    text = (out / transform_path(ENTITIES)).read_text()
    numbers = np.array(text.split("Parameters: ")[1].splitlines()[0].split(), float)
    flip = np.array([-1, -1, 1])
    back = np.linalg.inv(MOTION)
    assert np.allclose(numbers[:9].reshape(3, 3), np.outer(flip, flip) * back[:3, :3], atol=0.02)
    assert np.allclose(numbers[9:], 1e3 * flip * back[:3, 3], atol=1.5)
    anat = out / "sub-02" / "ses-1" / "anat"
    uri = "bids:raw:sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz"
    sidecar = json.loads((anat / "sub-02_ses-1_acq-3d_space-T1w_T1map.json").read_text())
    assert sidecar["SpatialReference"] == uri
    placed = nib.load(anat / "sub-02_ses-1_acq-3d_space-T1w_T1map.nii.gz")
    assert placed.shape == (60, 64, 62)
    page = (out / "sub-02.html").read_text()
    assert "Registration to the T1w image" in page
    assert "registered rigidly" in (out / "logs" / "CITATION.md").read_text()
    assert validator(out) == (0, "")
    capfd.readouterr()
    assert main([*words, "--output-spaces", "T1w"]) == 0
    assert "1 skipped" in capfd.readouterr().err
    (out / transform_path(ENTITIES)).unlink()
    assert main([*words, "--output-spaces", "T1w"]) == 0
    assert "1 done" in capfd.readouterr().err
    assert (out / transform_path(ENTITIES)).is_file()
    # Without the image nothing of it stays.
    assert main([*words, "--ignore", "t1w"]) == 0
    assert not list(out.rglob("*space-T1w*")) + list(out.rglob("*xfm*"))
    assert "Registration to the T1w image" not in (out / "sub-02.html").read_text()


def test_a_bad_image_fails_only_a_run_that_is_to_be_on_its_grid(dataset, tmp_path, capfd):
    image = dataset / "sub-02" / "ses-1" / "anat" / "sub-02_ses-1_T1w.nii.gz"
    nib.save(nib.Nifti1Image(np.ones((8, 8, 8, 3), np.float32), np.eye(4)), image)
    words = [str(dataset), str(tmp_path / "out"), "participant", "-w", str(tmp_path / "work")]
    words += ["--recon-method", "gridding", "--sloppy"]
    assert main([*words, "--output-spaces", "T1w"]) == 1
    assert f"{image}: must be one volume of at least 4 voxels" in capfd.readouterr().err
    assert not list(tmp_path.glob("out/sub-02"))
    assert main(words) == 0
    log = (tmp_path / "out" / "logs" / "sub-02_ses-1_acq-3d.log").read_text()
    assert "Not registered to sub-02_ses-1_T1w.nii.gz" in log
    assert main([*words, "--output-spaces", "T1w", "--ignore", "t1w"]) == 64

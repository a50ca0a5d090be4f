"""A simulated field of 20 %: with its B1 map the maps are right, without it T2 is not."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mri2qmap_bids import tools
from mri2qmap_bids.cli import main
from mri2qmap_bids.dataset.scores import compare_datasets

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("b1") / "dataset"
    words = ["simulate", str(root), "--noise", "0", "--coils", "4", "--frames", "80", "--b1", "0.2"]
    words += ["--matrix", "24", "--acceleration", "1", "--oblique", "10", "-5", "20"]
    assert tools.main([*words, "--sub", "01"]) == 0
    return root


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("work")


def scores(dataset: Path, out: Path, work: Path, *words: str):
    """Errors over grey and white matter."""
    common = [str(dataset), str(out), "participant", "-w", str(work), "--nprocs", "1"]
    assert main([*common, *words]) == 0
    table = compare_datasets(out, dataset / "derivatives" / "mri2qmap-simulate")
    return table.set_index("tissue").loc["GM+WM"]


def test_the_dataset_with_its_b1_map_passes_the_validator(dataset, validator):
    assert len(list(dataset.glob("sub-01/fmap/*_TB1map.nii.gz"))) == 1
    assert validator(dataset)[0] == 0


@pytest.mark.parametrize("method", ["subspace", "mri2qmap"])
def test_the_map_takes_the_bias_out_of_t2(dataset, work, tmp_path, validator, method):
    words = ("--recon-method", method)
    with_map = scores(dataset, tmp_path / "known", work, *words)
    ignored = scores(dataset, tmp_path / "ignored", work, *words, "--ignore", "b1")
    assert with_map.T1_MAPE < 2
    assert with_map.T2_MAPE < 2
    assert ignored.T2_MAPE > 4 * with_map.T2_MAPE
    assert ignored.T2_sd > 2 * with_map.T2_sd
    sidecar = next((tmp_path / "known").rglob("*_T2map.json"))
    source = "bids:raw:sub-01/fmap/sub-01_TB1map.nii.gz"
    assert source in json.loads(sidecar.read_text())["Sources"]
    sidecar = next((tmp_path / "ignored").rglob("*_T2map.json"))
    assert source not in json.loads(sidecar.read_text())["Sources"]
    assert validator(tmp_path / "known") == (0, "")


def test_another_b1_map_makes_a_run_anew(dataset, work, tmp_path, capfd):
    words = [str(dataset), str(tmp_path / "out"), "participant", "-w", str(work), "--nprocs", "1"]
    words += ["--recon-method", "gridding"]
    assert main(words) == 0
    assert main(words) == 0
    assert "0 done, 1 skipped" in capfd.readouterr().err
    path = next(dataset.rglob("*_TB1map.nii.gz"))
    image = nib.load(path)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj) * 1.01, image.affine), path)
    assert main(words) == 0
    assert "1 done, 0 skipped" in capfd.readouterr().err

"""Simulated off-resonance, by the whole command: with its B0 map the maps are right, without it they are not."""

import json

import pytest

from mri2qmap_bids import tools
from mri2qmap_bids.cli import main
from mri2qmap_bids.dataset.scores import compare_datasets

pytestmark = pytest.mark.slow


def test_the_map_takes_off_resonance_out(tmp_path):
    dataset = tmp_path / "dataset"
    words = ["simulate", str(dataset), "--noise", "0.02", "--coils", "4", "--frames", "80"]
    words += [
        "--matrix",
        "32",
        "--acceleration",
        "1",
        "--arms",
        "2",
        "--sub",
        "01",
        "--slices",
        "1",
    ]
    assert tools.main([*words, "--off-resonance", "100", "--dwell-time", "20"]) == 0
    (field,) = dataset.rglob("*_fieldmap.nii.gz")
    errors = {}
    for name, more in (("known", []), ("ignored", ["--ignore", "b0"])):
        out = tmp_path / name
        common = [str(dataset), str(out), "participant", "-w", str(tmp_path / "work")]
        assert main([*common, "--nprocs", "1", "--recon-method", "subspace", *more]) == 0
        table = compare_datasets(out, dataset / "derivatives" / "mri2qmap-simulate")
        errors[name] = table.set_index("tissue").loc["GM+WM"]
        sidecar = json.loads(next(out.rglob("*_T2map.json")).read_text())
        source = f"bids:raw:sub-01/fmap/{field.name}"
        assert (source in sidecar["Sources"]) is (name == "known")
        assert sidecar["QualityMeasures"]["Signal-to-noise ratio"] > 10
    assert errors["known"].T2_MAPE < 3
    assert errors["ignored"].T2_MAPE > 2 * errors["known"].T2_MAPE

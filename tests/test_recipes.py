"""The recipes of CONTRIBUTING.md, done: a toy of each kind, outside the package, by the whole command."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from mri2qmap_bids.cli import main
from mri2qmap_bids.dataset.sidecar import read_scan
from mri2qmap_bids.recon.acquisition.raw import read_samples
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.reconstruct import reconstruct

ROOT = Path(__file__).parents[1]


def recipe(heading: str) -> str:
    """The code of a recipe."""
    text = (ROOT / "CONTRIBUTING.md").read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]


def install(folder: Path, heading: str, entry_points: str) -> dict[str, str]:
    """A package with one module of the recipe's code, and the environment that finds it."""
    code = recipe(heading)
    assert len(code.splitlines()) <= 40
    (folder / "toy.py").write_text(code)
    information = folder / "toy-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(entry_points)
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}


def run(
    environment: dict[str, str],
    dataset: Path,
    output: Path,
    *words: object,
    levels: tuple[str, ...] = ("participant",),
) -> None:
    for level in levels:
        command = [
            sys.executable,
            "-m",
            "mri2qmap_bids",
            dataset,
            output,
            level,
            "-w",
            output / "w",
        ]
        one = ("--participant-label", "01", "--session-label", "1")
        command += ["--nprocs", 1, *one, *(words if level == "participant" else ())]
        process = subprocess.run(
            [str(word) for word in command],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, process.stderr


def sidecar_of(output: Path) -> dict:
    return json.loads(next(output.glob("sub-*/**/*_T1map.json")).read_text())


@pytest.mark.slow
def test_a_method(small_dataset, tmp_path):
    environment = install(
        tmp_path, "Add a method", "[mri2qmap_bids.methods]\nblurred = toy:BLURRED\n"
    )
    listed = subprocess.run(
        [sys.executable, "-m", "mri2qmap_bids", small_dataset, tmp_path / "o", "participant",
         "-w", tmp_path / "w", "--recon-method", "blurred", "--dry-run"],
        env=environment, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "solve" in listed
    output = tmp_path / "output"
    run(environment, small_dataset, output, "--recon-method", "blurred")
    sidecar = sidecar_of(output)
    assert sidecar["ReconMethodName"] == "Blurred least squares"
    assert sidecar["MRFReconstruction"]["settings"] == {"width": 1.0}
    # A blurred image is far from the samples: no fault of the scan.
    assert "Delay" not in sidecar["QualityMeasures"]
    assert all("noise scan" in warning for warning in sidecar["QualityWarnings"])
    labels, values = (sidecar[f"ReconMethodParameter{name}"] for name in ("Labels", "Values"))
    assert dict(zip(labels, values, strict=True))["settings.width"] == 1.0
    assert "Blurred by a Gaussian of 1 voxel" in (output / "logs" / "CITATION.md").read_text()
    pages = list(output.glob("sub-*.html"))
    assert pages and "blurred" in pages[0].read_text()


@pytest.mark.slow
def test_a_denoiser(small_dataset, tmp_path, capfd):
    environment = install(
        tmp_path, "Add a denoiser", "[mri2qmap_bids.denoisers]\nmean = toy:MEAN\n"
    )
    weights = tmp_path / "mean.safetensors"
    save_file({"share": torch.tensor(0.5)}, weights)
    checksum = hashlib.sha256(weights.read_bytes()).hexdigest()
    card = {"architecture": "mean", "network": {"width": 3}, "sha256": checksum}
    weights.with_suffix(".json").write_text(json.dumps(card))
    output = tmp_path / "output"
    run(environment, small_dataset, output, "--denoiser", weights)
    assert sidecar_of(output)["MRFReconstruction"]["denoiser"] == str(weights)
    assert "weights mean.safetensors" in (output / "logs" / "CITATION.md").read_text()
    # Without the package that has the architecture, the weights are refused by name.
    words = [small_dataset, tmp_path / "o", "participant", "-w", tmp_path / "w"]
    assert main([*map(str, words), "--denoiser", str(weights)]) == 1
    assert "architecture must be one of residual-unet, got 'mean'" in capfd.readouterr().err


@pytest.mark.slow
def test_a_denoiser_of_python_callers_is_asked(small_dataset):
    namespace: dict = {}
    exec(recipe("Add a denoiser"), namespace)
    mean, shapes = namespace["Mean"](namespace["MeanShape"](3)).requires_grad_(False), []

    def forward(images, sigma):
        shapes.append(tuple(images.shape))
        return type(mean).forward(mean, images, sigma)

    mean.forward = forward
    path = next(small_dataset.glob("sub-01/ses-1/**/*_acq-2d_MRF.h5"))
    metadata = json.loads(path.with_suffix(".json").read_text())
    sequence, lines = read_scan(metadata, path)
    scan = read_samples(lines)
    options = ReconOptions(device="cpu", grid_step=0.1, rank=4)
    maps, usual = (
        reconstruct(scan, sequence, options, denoiser=denoiser) for denoiser in (mean, None)
    )
    assert shapes and all(shape[1] == 6 for shape in shapes)
    assert not np.array_equal(maps.t1, usual.t1)


@pytest.mark.slow
def test_a_pulse_sequence(small_dataset, tmp_path, capfd):
    environment = install(
        tmp_path,
        "Add a pulse sequence",
        "[mri2qmap_bids.sequences]\nStimulatedEcho = toy:STIMULATED_ECHO\n",
    )
    frames = np.arange(40)
    keys = {
        "PulseSequenceType": "StimulatedEcho",
        "EchoTime": (0.01 + 0.002 * (frames % 20)).round(4).tolist(),
        "MixingTime": (0.01 + 0.03 * frames).round(4).tolist(),
        "RecoveryTime": 1.5,
    }
    (tmp_path / "train.json").write_text(json.dumps(keys))
    dataset, output = tmp_path / "dataset", tmp_path / "output"
    words = ["simulate", dataset, "--sidecar", tmp_path / "train.json", "--matrix", 24]
    words += ["--acq", "2d", "--sub", "01", "--ses", "1", "--slices", 1, "--coils", 4, "--noise", 0]
    subprocess.run(
        [sys.executable, "-m", "mri2qmap_bids.tools", *map(str, words)],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    path = next(dataset.glob("sub-01/**/*_MRF.json"))
    metadata = json.loads(path.read_text())
    # The simulator writes the events, which need no package; here its own keys shall be read.
    assert len(metadata.pop("PulseSequenceEvents")) == 12 * len(frames)
    path.write_text(json.dumps({**metadata, **keys}))
    run(environment, dataset, output, "--recon-method", "subspace")
    assert sidecar_of(output)["PulseSequenceType"] == "StimulatedEcho"
    assert "acquisition was a stimulated echo" in (output / "logs" / "CITATION.md").read_text()
    assert "StimulatedEcho, 40 frames" in next(output.glob("sub-*.html")).read_text()
    truth = next(dataset.glob("derivatives/*/sub-01/**/*_T1map.nii.gz"), None)
    maps = {
        name: nib.load(next(output.glob(f"sub-*/**/*_acq-2d_{name}.nii.gz"))).get_fdata()
        for name in ("T1map", "T2map")
    }
    assert truth is not None
    for name, values in maps.items():
        known = nib.load(str(truth).replace("T1map", name)).get_fdata()
        tissue = (known > 0.03) & (values > 0)
        assert np.median(np.abs(values / np.where(tissue, known, 1) - 1)[tissue]) < 0.1
    # Without the package, its type is refused by name.
    words = [dataset, tmp_path / "o", "participant", "-w", tmp_path / "w"]
    assert main([*map(str, words)]) == 1
    assert "PulseSequenceType must be one of FISP, bSSFP" in capfd.readouterr().err


@pytest.mark.slow
def test_an_output_map(small_dataset, tmp_path):
    environment = install(
        tmp_path, "Add an output map", "[mri2qmap_bids.outputs]\nwater = toy:PROTON_DENSITY\n"
    )
    output = tmp_path / "output"
    words = ("--recon-method", "subspace")
    run(environment, small_dataset, output, *words, levels=("participant", "group"))
    path = next(output.glob("sub-*/**/*_PDmap.nii.gz"))
    t1 = nib.load(str(path).replace("PDmap", "T1map")).get_fdata()
    inside = t1 > 0
    expected = 100 / (0.916 + 0.436 / np.maximum(t1[inside], 0.1))
    assert np.allclose(nib.load(path).get_fdata()[inside], expected, rtol=1e-5)
    keys = json.loads(Path(str(path).replace(".nii.gz", ".json")).read_text())
    assert (keys["Units"], keys["Description"]) == ("percent", "Water content, from T1")
    page = next(output.glob("sub-*.html")).read_text()
    assert path.name in page and "PD [percent]" in page
    table = pd.read_csv(output / "group_PDmap.tsv", sep="\t")
    assert 50 < float(table[table.region == "mask"]["median"].iloc[0]) < 100
    assert "PDmap" in (output / "group.html").read_text()
    # A run whose further map is missing is not up to date.
    written = path.stat().st_mtime_ns
    path.unlink()
    run(environment, small_dataset, output, *words)
    assert path.stat().st_mtime_ns > written

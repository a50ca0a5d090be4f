"""The recipes of CONTRIBUTING.md, done: a toy of each kind, outside the package, by the whole command."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mri2qmap_bids.dataset.sidecar import read_layout, read_sequence
from mri2qmap_bids.recon.acquisition.header import read_header
from mri2qmap_bids.recon.acquisition.raw import read_raw
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


def run(environment: dict[str, str], dataset: Path, output: Path, *words: object) -> str:
    for level in ("participant", "group"):
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
    return process.stderr


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
    assert "blurred by a Gaussian of 1 voxel" in (output / "logs" / "CITATION.md").read_text()
    pages = list(output.glob("sub-*.html"))
    assert pages and "blurred" in pages[0].read_text()


@pytest.mark.slow
def test_a_denoiser(small_dataset, tmp_path):
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
    alone = subprocess.run(
        [sys.executable, "-m", "mri2qmap_bids", small_dataset, tmp_path / "o", "participant",
         "-w", tmp_path / "w", "--denoiser", weights],
        env={**environment, "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert alone.returncode == 1
    assert "architecture must be one of residual-unet, got 'mean'" in alone.stderr


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
    sequence = read_sequence(metadata, read_header(path), path)
    scan = read_raw(path, read_layout(metadata, sequence.n_frames, path))
    options = ReconOptions(device="cpu", grid_step=0.1, rank=4)
    maps, usual = (
        reconstruct(scan, sequence, options, denoiser=denoiser) for denoiser in (mean, None)
    )
    assert shapes and all(shape[1] == 6 for shape in shapes)
    assert not np.array_equal(maps.t1, usual.t1)

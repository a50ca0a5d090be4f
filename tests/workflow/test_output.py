"""What the written derivatives say of the run."""

import json

import torch

from mri2qmap_bids.cli import main
from mri2qmap_bids.recon.denoisers.registry import save_denoiser
from mri2qmap_bids.recon.denoisers.unet import UNet, UNetShape


def test_the_sidecar_names_the_denoiser_that_was_used(small_dataset, tmp_path):
    """Weights of volumes do not fit a slice: those of the package are used, and no others are named."""
    torch.manual_seed(0)
    weights = tmp_path / "volume.safetensors"
    save_denoiser(UNet(UNetShape(width=4, n_dims=3)), {}, weights)
    words = [small_dataset, tmp_path / "out", "participant", "-w", tmp_path / "work"]
    words += ["--participant-label", "01", "--session-label", "1", "--denoiser", weights]
    assert main([str(word) for word in words]) == 0
    (sidecar,) = (tmp_path / "out").glob("sub-01/ses-1/anat/*acq-2d_T1map.json")
    keys = json.loads(sidecar.read_text())
    assert "denoiser" not in keys["MRFReconstruction"]
    assert any("is of 3 dimensions" in text for text in keys["QualityWarnings"])

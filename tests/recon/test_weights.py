"""Weights that fit a grid."""

import logging

import pytest
import torch

from mri2qmap_bids.recon.denoisers.registry import packaged_weights, save_denoiser
from mri2qmap_bids.recon.denoisers.unet import UNet, UNetShape
from mri2qmap_bids.recon.methods.registry import weights_file
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.weights import fitting_options, fitting_options_with_warning

ISOTROPIC = (1e-3, 1e-3, 1e-3)


def fitted(options, shape, sizes):
    fitting = fitting_options(options, shape, sizes)
    assert fitting_options_with_warning(options, shape, sizes) == fitting
    return weights_file(fitting)


@pytest.fixture
def volume_weights(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "volume.safetensors"
    save_denoiser(UNet(UNetShape(width=4, n_dims=3)), {}, path)
    return path


def test_weights_of_volumes_are_for_volumes(volume_weights, caplog):
    options = ReconOptions(denoiser=str(volume_weights))
    assert fitted(options, (16, 20, 24), ISOTROPIC) == volume_weights
    assert not caplog.records


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        ((20, 24), (1e-3, 1e-3)),
        ((7, 20, 24), ISOTROPIC),
        ((16, 20, 24), (5e-3, 1e-3, 1e-3)),
    ],
)
def test_other_grids_fall_back_to_the_package_with_a_warning(volume_weights, caplog, shape, sizes):
    options = ReconOptions(denoiser=str(volume_weights))
    with caplog.at_level(logging.WARNING):
        assert fitted(options, shape, sizes) == packaged_weights("joint")
    assert "volume.safetensors is of 3 dimensions" in caplog.text


def test_weights_of_slices_fit_everything_and_some_methods_have_none(caplog):
    assert fitted(ReconOptions(), (3, 20, 24), ISOTROPIC) == packaged_weights("joint")
    assert fitted(ReconOptions(method="lrtv"), (20, 24), (1e-3, 1e-3)) is None
    assert not caplog.records

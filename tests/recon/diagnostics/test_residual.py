"""What the maps leave of the data: nothing where they predict it, noise where there is noise."""

import numpy as np
import pytest
import torch
from helpers.scans import random_encoding
from helpers.trains import train

from mri2qmap_bids.recon.diagnostics.residual import residual_image, residual_of, residual_samples
from mri2qmap_bids.recon.encoding.forward import forward
from mri2qmap_bids.recon.physics.dictionary import TissueGrid, build_dictionary
from mri2qmap_bids.recon.physics.matching import TissueMaps, each_map, signal_of

SHAPE = (12, 10)


@pytest.fixture(scope="module")
def dictionary():
    return build_dictionary(train(n_frames=20), TissueGrid(step=0.3), rank=3)


@pytest.fixture
def encoding():
    return random_encoding(SHAPE, n_samples=20_000)


def noise(sigma, n):
    """Complex, with E|n|^2 = sigma^2."""
    return sigma * torch.randn(n, dtype=torch.complex64)


def test_data_predicted_from_the_maps_leave_nothing(dictionary, encoding):
    t1, t2 = 0.5 + torch.rand(SHAPE), 0.05 + 0.05 * torch.rand(SHAPE)
    maps = TissueMaps(t1, t2, torch.randn(SHAPE) + 1j, torch.ones(SHAPE))
    predicted = signal_of(maps, dictionary)
    kspace = forward(encoding, predicted)
    rest = residual_samples(encoding, kspace, torch.zeros_like(predicted), maps, dictionary)
    assert float(rest.abs().max()) < 1e-4 * float(kspace.abs().max())
    # Outside the maps' field of view the image stands for them.
    inner = each_map(maps, lambda m: m[2:-2, 1:-1].contiguous())
    same = residual_samples(encoding, kspace, predicted, inner, dictionary)
    assert float(same.abs().max()) < 1e-4 * float(kspace.abs().max())


def test_noise_is_measured_over_frames_and_radii_and_outliers_do_not_count(encoding):
    rest = noise(0.7, len(encoding.omega))
    residual = residual_of(encoding, rest)
    assert residual.noise == pytest.approx(0.7, rel=0.03)
    assert np.nanmean(residual.frames) == pytest.approx(0.7, rel=0.03)
    assert np.nanmean(residual.radii[4:24]) == pytest.approx(0.7, rel=0.1)
    rest[::50] *= 100
    assert residual_of(encoding, rest).noise == pytest.approx(0.7, rel=0.05)


def test_the_image_of_noise_alone_is_one(encoding):
    image = residual_image(encoding, noise(0.7, len(encoding.omega)), 0.7)
    assert image.shape == SHAPE
    assert float(image.square().mean().sqrt()) == pytest.approx(1, rel=0.15)
    brighter = residual_image(encoding, noise(1.4, len(encoding.omega)), 0.7)
    assert float(brighter.square().mean().sqrt()) == pytest.approx(2, rel=0.15)

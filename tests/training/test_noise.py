"""Noise of training."""

import pytest
import torch
from helpers.training import CONTRASTS

from mri2qmap_bids.recon.physics.contrasts import DENOISED_CONTRASTS
from mri2qmap_bids.training.data import contrasts_of
from mri2qmap_bids.training.maps import RandomMaps
from mri2qmap_bids.training.noise import (
    coloured,
    directly,
    through_maps,
)


def test_added_noise_has_the_level_that_is_told():
    clean, level = torch.zeros(40, 4, 64, 64), torch.rand(40, 4) * 0.3 + 0.01
    noisy, sigma = directly(clean, level, torch.Generator().manual_seed(0))
    ratio = noisy.flatten(2).std(2) / sigma.flatten(2).square().mean(2).sqrt()
    assert 0.95 < float(ratio.log().mean().exp()) < 1.05
    assert float(ratio.log().std()) < 0.25


def test_coloured_noise_is_normal_with_variance_one():
    noise = coloured((30, 3, 64, 64), torch.Generator().manual_seed(0))
    assert float(noise.std()) == pytest.approx(1, rel=0.02)
    assert float(noise.mean()) == pytest.approx(0, abs=0.05)
    assert float(noise.square().square().mean()) == pytest.approx(3, rel=0.1)


def test_noise_through_maps_has_the_level_that_is_told(tables):
    """Small noise, so that its way through the maps is straight."""
    generator = torch.Generator().manual_seed(0)
    shape = (40, 64, 64)
    maps = RandomMaps(torch.full(shape, 1.2), torch.full(shape, 0.08), torch.full(shape, 0.8))
    level = torch.full((40,), 0.004)
    noisy, sigma = through_maps(maps, tables, level, generator)
    error = noisy - contrasts_of(maps, CONTRASTS)
    ratio = error.flatten(2).std(2) / sigma.flatten(2).square().mean(2).sqrt()
    assert 0.9 < float(ratio.log().mean().exp()) < 1.1
    plain = [not DENOISED_CONTRASTS[name].normalised for name in CONTRASTS]
    assert float(sigma[:, plain].mean()) == pytest.approx(0.004, rel=0.15)

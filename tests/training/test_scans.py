"""Contrasts of matched images with the noise and the resolution of a scan."""

import pytest
import torch

from mri2qmap_bids.recon.denoisers.unet import UNetShape
from mri2qmap_bids.training.data import contrasts_of
from mri2qmap_bids.training.maps import RandomMaps
from mri2qmap_bids.training.scans import coarse, random_dictionaries, scanned, without_margin

NAMES, N, MARGIN = UNetShape().contrasts, 22, 5


@pytest.fixture(scope="module")
def dictionary():
    return random_dictionaries(1, 0, torch.device("cpu"))[0]


def even_maps(t1=1.2, t2=0.08, m0=0.8):
    return RandomMaps(*(torch.full((2, N, N, N), value) for value in (t1, t2, m0)))


def scan(dictionary, maps, level, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return scanned(maps, dictionary, NAMES, torch.full((2,), level), MARGIN, generator)


def test_without_noise_the_contrasts_are_the_true_ones(dictionary):
    noisy, _ = scan(dictionary, even_maps(), 1e-6)
    clean = without_margin(contrasts_of(even_maps(), NAMES), MARGIN)
    assert noisy.shape == clean.shape == (2, 6, N - 10, N - 10, N - 10)
    assert (noisy / clean - 1).square().mean().sqrt() < 0.005


def test_the_deviations_told_are_those_of_the_noise(dictionary):
    """Of even maps, where the smoothness term takes nothing away but noise."""
    noisy, told = scan(dictionary, even_maps(), 0.02)
    clean = without_margin(contrasts_of(even_maps(), NAMES), MARGIN)
    actual = (noisy - clean).flatten(2).std(2)
    ratio = actual / told.flatten(2).mean(2)
    assert 0.5 < ratio.log().mean().exp() < 1.5


def test_more_noise_is_larger_and_told_as_larger(dictionary):
    clean = without_margin(contrasts_of(even_maps(), NAMES), MARGIN)
    errors, levels = zip(
        *((float((noisy - clean).square().mean()), float(told.mean()))
          for noisy, told in (scan(dictionary, even_maps(), level) for level in (0.01, 0.1))),
        strict=True,
    )  # fmt: skip
    assert errors[1] > 4 * errors[0] and levels[1] > 2 * levels[0]


def test_air_alone_gives_finite_contrasts(dictionary):
    for level in (1e-3, 1.0):
        noisy, told = scan(dictionary, even_maps(0.0, 0.0, 0.0), level)
        assert torch.isfinite(noisy).all() and torch.isfinite(told).all()


def test_parts_of_volumes():
    values = torch.arange(10.0**3).view(10, 10, 10)
    assert torch.equal(without_margin(values, 3), values[3:7, 3:7, 3:7])
    assert torch.equal(coarse(values), values[1::3, 1::3, 1::3])

"""Corrections by the residual: noise moves nothing, a common error of neighbours is undone."""

import pytest
import torch
from helpers.trains import train

from mri2qmap_bids.recon.physics.dictionary import TissueGrid, build_dictionary
from mri2qmap_bids.recon.physics.matching import TissueMaps, signal_of
from mri2qmap_bids.recon.physics.uncertainty import time_deviations
from mri2qmap_bids.recon.priors.residual_correction import corrected_by_residual

LEVEL = 0.02
QUANTITIES = ("t1", "t2", "m0")


@pytest.fixture(scope="module", params=["FISP", "bSSFP"])
def dictionary(request):
    return build_dictionary(train(request.param, n_frames=120), TissueGrid(step=0.05), rank=6)


def tissue(shape):
    t1 = torch.linspace(0.8, 1.4, shape[-1]).expand(shape)
    m0 = torch.polar(torch.full(shape, 0.8), torch.linspace(0, 2, shape[-1]).expand(shape))
    return TissueMaps(t1, 0.07 * t1, m0, torch.ones(shape))


def noisy(maps, dictionary):
    torch.manual_seed(0)
    image = signal_of(maps, dictionary)
    return image + torch.view_as_complex(LEVEL * torch.randn(*image.shape, 2))


def change(maps, reference, name):
    """Relative, by magnitude."""
    return (getattr(maps, name) / getattr(reference, name)).abs() - 1


@pytest.mark.parametrize("shape", [(40, 48), (16, 20, 24)])
def test_noise_alone_moves_little(dictionary, shape):
    """By a small part of the noise that a voxel's own match has."""
    maps = tissue(shape)
    deviation = torch.full((6,), LEVEL)
    corrected = corrected_by_residual(maps, noisy(maps, dictionary), dictionary, deviation)
    noise = torch.cat([values.flatten() for values in time_deviations(maps, dictionary, deviation)])
    moved = torch.cat([(corrected.t1 - maps.t1).flatten(), (corrected.t2 - maps.t2).flatten()])
    assert float((moved / noise).square().mean().sqrt()) < 0.2


@pytest.mark.parametrize("shape", [(40, 48), (16, 20, 24)])
@pytest.mark.parametrize("name", QUANTITIES)
def test_an_error_that_neighbours_share_is_undone(dictionary, shape, name):
    truth, deviation = tissue(shape), torch.full((6,), LEVEL)
    patch = torch.zeros(shape)
    patch[tuple(slice(4, 14) for _ in shape)] = 1
    values = {q: getattr(truth, q) for q in QUANTITIES}
    values[name] = values[name] * (1 + 0.3 * patch)
    wrong = TissueMaps(**values, correlation=truth.correlation)
    corrected = corrected_by_residual(wrong, noisy(truth, dictionary), dictionary, deviation)
    inside = tuple(slice(6, 12) for _ in shape)
    assert float(change(corrected, truth, name)[inside].mean().abs()) < 0.1
    for other in set(QUANTITIES) - {name}:
        assert float(change(corrected, truth, other)[inside].mean().abs()) < 0.06


def test_maps_that_fit_stay_and_units_do_not_matter(dictionary):
    maps, deviation = tissue((24, 24)), torch.full((6,), LEVEL)
    exact = corrected_by_residual(maps, signal_of(maps, dictionary), dictionary, deviation)
    for name in QUANTITIES:
        assert float(change(exact, maps, name).abs().max()) < 1e-4
    image = noisy(maps, dictionary)
    wrong = TissueMaps(maps.t1 * 1.1, maps.t2, maps.m0, maps.correlation)
    scaled = TissueMaps(wrong.t1, wrong.t2, 1000 * wrong.m0, wrong.correlation)
    one = corrected_by_residual(wrong, image, dictionary, deviation)
    other = corrected_by_residual(scaled, 1000 * image, dictionary, 1000 * deviation)
    assert torch.allclose(one.t1, other.t1, rtol=1e-4)
    assert torch.allclose(one.t2, other.t2, rtol=1e-4)
    assert torch.allclose(1000 * one.m0, other.m0, rtol=1e-3)


def test_voxels_without_signal_stay_finite(dictionary):
    maps = tissue((24, 24))
    dark = TissueMaps(maps.t1, maps.t2, torch.zeros_like(maps.m0), maps.correlation)
    corrected = corrected_by_residual(
        dark, noisy(dark, dictionary), dictionary, torch.full((6,), LEVEL)
    )
    for name in QUANTITIES:
        assert getattr(corrected, name).isfinite().all()

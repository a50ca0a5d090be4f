"""Corrections by the residual: noise moves nothing, a common error of neighbours is undone."""

import pytest
import torch
from helpers.trains import train
from scipy.ndimage import gaussian_filter

from mri2qmap_bids.recon.physics.dictionary import TissueGrid, build_dictionary
from mri2qmap_bids.recon.physics.matching import TissueMaps, signal_of
from mri2qmap_bids.recon.physics.uncertainty import time_deviations
from mri2qmap_bids.recon.priors import residual_correction
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


def white(shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.view_as_complex(LEVEL * torch.randn(*shape, 2, generator=generator))


def spread(shape, seed):
    """Noise as thin sampling leaves it: correlated between neighbours, as strong as white noise."""
    noise = gaussian_filter(white(shape, seed).numpy(), (0, *[1.5] * (len(shape) - 1)))
    return torch.from_numpy(noise * 2**0.5 * LEVEL / noise.std())


def correct(maps, truth, dictionary, noise=white, unit=1.0):
    """Correction by the image of ``truth`` with one draw of the noise, given another draw."""
    image = signal_of(truth, dictionary)
    deviation = torch.full((6,), unit * LEVEL)
    draws = [unit * noise(image.shape, seed) for seed in (0, 1)]
    return corrected_by_residual(maps, image + draws[0], draws[1], dictionary, deviation)


def change(maps, reference, name):
    """Relative, by magnitude."""
    return (getattr(maps, name) / getattr(reference, name)).abs() - 1


@pytest.mark.parametrize("shape", [(40, 48), (16, 20, 24)])
def test_noise_alone_moves_little(dictionary, shape):
    """By a small part of the noise that a voxel's own match has."""
    maps = tissue(shape)
    deviation = torch.full((6,), LEVEL)
    corrected = correct(maps, maps, dictionary)
    noise = torch.cat([values.flatten() for values in time_deviations(maps, dictionary, deviation)])
    moved = torch.cat([(corrected.t1 - maps.t1).flatten(), (corrected.t2 - maps.t2).flatten()])
    assert float((moved / noise).square().mean().sqrt()) < 0.2


@pytest.mark.parametrize("shape", [(40, 48), (16, 20, 24)])
@pytest.mark.parametrize("kind", [white, spread])
def test_noise_is_told_from_a_residual_whatever_its_correlation(dictionary, shape, kind):
    """Where S is below its threshold in both passes maps do not move: in about a quarter of all voxels."""
    maps = tissue(shape)
    corrected = correct(maps, maps, dictionary, kind)
    assert 0.1 < float((change(corrected, maps, "t2").abs() < 1e-5).float().mean()) < 0.5


def test_the_narrower_width_takes_hardly_any_noise_that_neighbours_share(dictionary, monkeypatch):
    maps = tissue((16, 20, 24))
    moved = []
    for scales in (residual_correction._SCALES, residual_correction._SCALES[:1]):
        monkeypatch.setattr(residual_correction, "_SCALES", scales)
        corrected = correct(maps, maps, dictionary, spread)
        moved.append(float(change(corrected, maps, "t2").square().mean().sqrt()))
    both, wide = moved
    assert both < 1.1 * wide


@pytest.mark.parametrize("shape", [(40, 48), (16, 20, 24)])
@pytest.mark.parametrize("name", QUANTITIES)
def test_an_error_that_neighbours_share_is_undone(dictionary, shape, name):
    truth = tissue(shape)
    patch = torch.zeros(shape)
    patch[tuple(slice(4, 14) for _ in shape)] = 1
    values = {q: getattr(truth, q) for q in QUANTITIES}
    values[name] = values[name] * (1 + 0.3 * patch)
    wrong = TissueMaps(**values, correlation=truth.correlation)
    corrected = correct(wrong, truth, dictionary)
    inside = tuple(slice(6, 12) for _ in shape)
    assert float(change(corrected, truth, name)[inside].mean().abs()) < 0.1
    for other in set(QUANTITIES) - {name}:
        assert float(change(corrected, truth, other)[inside].mean().abs()) < 0.06


def test_maps_that_fit_stay_and_units_do_not_matter(dictionary):
    maps, deviation = tissue((24, 24)), torch.full((6,), LEVEL)
    image = signal_of(maps, dictionary)
    exact = corrected_by_residual(maps, image, white(image.shape, 1), dictionary, deviation)
    for name in QUANTITIES:
        assert float(change(exact, maps, name).abs().max()) < 1e-4
    wrong = TissueMaps(maps.t1 * 1.1, maps.t2, maps.m0, maps.correlation)
    scaled = TissueMaps(wrong.t1, wrong.t2, 1000 * wrong.m0, wrong.correlation)
    brighter = TissueMaps(maps.t1, maps.t2, 1000 * maps.m0, maps.correlation)
    one = correct(wrong, maps, dictionary)
    other = correct(scaled, brighter, dictionary, unit=1000.0)
    assert torch.allclose(one.t1, other.t1, rtol=1e-4)
    assert torch.allclose(one.t2, other.t2, rtol=1e-4)
    assert torch.allclose(1000 * one.m0, other.m0, rtol=1e-3)


def test_voxels_without_signal_stay_finite(dictionary):
    maps = tissue((24, 24))
    dark = TissueMaps(maps.t1, maps.t2, torch.zeros_like(maps.m0), maps.correlation)
    corrected = correct(dark, dark, dictionary)
    for name in QUANTITIES:
        assert getattr(corrected, name).isfinite().all()


def test_t1_does_not_go_below_the_shortest_t2():
    """There the dictionary would be extrapolated, by large weights."""
    dictionary = build_dictionary(
        train("FISP", n_frames=60), TissueGrid((0.005, 3.0), (0.01, 2.0), 0.1), rank=6
    )
    shape = (8, 8)
    short = torch.full(shape, 0.0105)
    ones = torch.ones(shape)
    maps = TissueMaps(short, short, ones.to(torch.complex64), ones)
    moved = residual_correction._moved(maps, -ones.expand(4, *shape), dictionary)
    for values in (moved.t1, moved.t2):
        assert torch.equal(values, dictionary.t2[0].expand(shape))
    signal = signal_of(moved, dictionary).norm(dim=0) / moved.m0.abs()
    assert (signal < 2 * dictionary.atoms.norm(dim=1).max()).all()

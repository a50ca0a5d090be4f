"""Corrections by the residual: noise moves nothing, a common error of neighbours is undone."""

from dataclasses import replace

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


def test_a_phase_error_that_neighbours_share_is_undone(dictionary):
    truth = tissue((40, 48))
    phase = torch.zeros(40, 48)
    phase[4:14, 4:14] = 0.3
    wrong = replace(truth, m0=truth.m0 * torch.polar(torch.ones_like(phase), phase))
    corrected = correct(wrong, truth, dictionary)
    assert float((corrected.m0 / truth.m0).angle()[6:12, 6:12].mean().abs()) < 0.03


@pytest.mark.parametrize("name", QUANTITIES)
def test_a_component_of_noise_alone_does_not_keep_an_error_from_being_undone(dictionary, name):
    """Components are weighted by their own noise."""
    truth = tissue((40, 48))
    wrong = replace(truth, **{name: 1.3 * getattr(truth, name)})
    deviation = LEVEL * torch.tensor([1.0, 1, 1, 1, 1, 1000])
    image = signal_of(truth, dictionary)
    draws = [white(image.shape, seed) * deviation.view(6, 1, 1) / LEVEL for seed in (0, 1)]
    corrected = corrected_by_residual(wrong, image + draws[0], draws[1], dictionary, deviation)
    assert float(change(corrected, truth, name).mean().abs()) < 0.1


@pytest.mark.parametrize("length", [1.4, 1.6, 2.0, 3.0, 10.0])
def test_a_step_is_shortened_by_the_square_of_its_threshold_over_its_length(
    dictionary, monkeypatch, length
):
    """Of one voxel whose |m0| is 10 % too large: the length is that of the residual, squared."""
    monkeypatch.setattr(residual_correction, "_SCALES", (3.0,))
    truth = tissue((1, 1))
    wrong = replace(truth, m0=1.1 * truth.m0)
    image = signal_of(truth, dictionary)
    deviation = (0.1 * image.norm() / length**0.5).expand(6)
    corrected = corrected_by_residual(wrong, image, torch.zeros_like(image), dictionary, deviation)
    gain = max(0, 1 - (residual_correction._NOISE / length) ** 2)
    step = float((corrected.m0 / wrong.m0).abs().log())
    assert step == pytest.approx(-gain / 11, rel=1e-3, abs=1e-6)
    assert float(change(corrected, truth, "t1").abs()) < 1e-4


@pytest.mark.parametrize("scale", residual_correction._SCALES)
def test_neighbours_weigh_by_a_gaussian_of_distance_and_likeness(scale):
    """All weights of one voxel, from impulses at its neighbours; the guide differs from row to row."""
    reach, n = int(2 * scale), 4 * int(scale) + 1
    guide = torch.linspace(0, 3, n)[None, :, None].expand(1, n, n)
    y, x = torch.meshgrid(*[torch.arange(n) - reach] * 2, indexing="ij")
    weight = torch.exp(-(y**2 + x**2) / (2 * scale**2) - (guide[0] - 1.5) ** 2 / 2)
    weight[y**2 + x**2 > reach**2] = 0
    impulses = torch.eye(n * n).view(n * n, n, n)
    mean, shrinkage = residual_correction._over_alike(impulses, guide, scale)
    middle = mean[:, reach, reach].view(n, n)
    assert torch.allclose(middle, weight / weight.sum(), atol=1e-6)
    assert float(shrinkage[reach, reach]) == pytest.approx(float(middle.square().sum()), rel=1e-4)


def test_a_phase_of_fingerprints_that_goes_with_t1_makes_no_difference(dictionary):
    """That of m0 takes it up: the phase counts as unknown."""
    truth = tissue((24, 24))
    wrong = replace(truth, t1=1.1 * truth.t1)
    image = signal_of(truth, dictionary)
    noise, sample = (white(image.shape, seed) for seed in (0, 1))

    def turn(t1):
        return torch.polar(torch.ones_like(t1), t1.log() / 2)

    atoms = dictionary.atoms.view(len(dictionary.t1), -1) * turn(dictionary.t1)[:, None]
    turned = replace(dictionary, atoms=atoms.view(dictionary.atoms.shape))
    plain, other = (
        corrected_by_residual(maps, image + noise, sample, own, torch.full((6,), LEVEL))
        for maps, own in (
            (wrong, dictionary),
            (replace(wrong, m0=wrong.m0 / turn(wrong.t1)), turned),
        )
    )
    for name in QUANTITIES:
        expected = getattr(plain, name).abs()
        assert torch.allclose(getattr(other, name).abs(), expected, rtol=2e-3)


def test_maps_of_a_transmit_field_are_corrected_by_the_fingerprints_of_that_field():
    fields = (0.6, 0.7, 0.8, 0.9, 1.0)
    dictionary = build_dictionary(train(n_frames=120), TissueGrid(step=0.1, b1=fields), rank=6)
    alone = replace(dictionary, atoms=dictionary.atoms.chunk(5)[1], b1=torch.ones(1))
    truth = tissue((24, 24))
    wrong = replace(truth, t2=1.2 * truth.t2)
    field = torch.full((24, 24), 0.7)
    expected = correct(wrong, truth, alone)
    corrected = correct(replace(wrong, b1=field), replace(truth, b1=field), dictionary)
    for name in QUANTITIES:
        values = getattr(corrected, name)
        assert torch.allclose(values, getattr(expected, name), rtol=1e-3)


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

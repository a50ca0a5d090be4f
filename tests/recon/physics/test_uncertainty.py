"""The Cramer-Rao bound against what noise really does."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.trains import train

from mri2qmap_bids.recon.physics.dictionary import TissueGrid, build_dictionary
from mri2qmap_bids.recon.physics.epg import simulate
from mri2qmap_bids.recon.physics.matching import TissueMaps, match, tangents
from mri2qmap_bids.recon.physics.uncertainty import noise_factors, time_deviations


@pytest.fixture(scope="module", params=["FISP", "bSSFP", "complex"])
def case(request):
    if request.param == "complex":  # a phase of its own in every frame: M0's phase is not apart
        sequence = train(n_frames=120, rf_phase=np.deg2rad(20.0) * np.arange(120) ** 2)
    else:
        sequence = train(request.param, n_frames=120)
    return sequence, build_dictionary(sequence, TissueGrid(step=0.05), rank=6)


def spread_and_bound(case, tissue, deviation, n=4000, m0=0.8):
    """Maps of one tissue matched many times, and the deviations that the bound says."""
    sequence, dictionary = case
    torch.manual_seed(0)
    deviation = deviation[: dictionary.basis.shape[1]]
    signal = simulate(sequence, *(torch.tensor([value]) for value in tissue))[0]
    atom = (signal.to(dictionary.basis.dtype) @ dictionary.basis.conj())[:, None]
    noise = torch.view_as_complex(deviation[:, None, None] * torch.randn(atom.shape[0], n, 2))
    maps = match(m0 * atom + noise, dictionary)
    t1, t2 = time_deviations(maps, dictionary, deviation)
    factors = noise_factors(maps, dictionary, deviation).mean(0) / m0
    return maps, (float(maps.t1.std() / t1.mean()), float(maps.t2.std() / t2.mean())), factors


@pytest.mark.parametrize("tissue", [(0.85, 0.06), (1.4, 0.09)])
def test_bound_is_the_spread_of_maps_matched_in_white_noise(case, tissue):
    maps, ratios, factors = spread_and_bound(case, tissue, torch.full((6,), 0.004))
    assert ratios == pytest.approx((1, 1), abs=0.06)
    spread = torch.cov(torch.stack([maps.t1, maps.t2, maps.m0.abs()]).log())
    least = float(spread.abs().min())
    assert torch.allclose(factors @ factors.T, spread, rtol=0.2, atol=0.1 * least)


@pytest.mark.parametrize("tissue", [(0.85, 0.06), (1.4, 0.09)])
def test_uneven_noise_spreads_maps_a_little_more_than_the_bound(case, tissue):
    """Matching weighs all components alike: it cannot reach the bound then, but comes near."""
    uneven = torch.tensor([0.0036, 0.0039, 0.0035, 0.0044, 0.0047, 0.0041])
    _, ratios, _ = spread_and_bound(case, tissue, uneven)
    assert all(0.95 < ratio < 1.15 for ratio in ratios)


def test_tangents_are_slopes_of_the_atoms(case):
    sequence, dictionary = case
    t1, t2 = torch.tensor([0.9, 1.7]), torch.tensor([0.055, 0.12])
    step = 1e-2
    atom, along_t1, along_t2 = tangents(dictionary, t1, t2)
    up, down = torch.exp(torch.tensor(step)), torch.exp(torch.tensor(-step))

    def compressed(t1, t2):
        return simulate(sequence, t1, t2).to(dictionary.basis.dtype) @ dictionary.basis.conj()

    for slope, high, low in (
        (along_t1, compressed(t1 * up, t2), compressed(t1 * down, t2)),
        (along_t2, compressed(t1, t2 * up), compressed(t1, t2 * down)),
    ):
        expected = (high - low) / (2 * step)
        assert (slope - expected).norm() < 0.02 * expected.norm()
    assert (atom - compressed(t1, t2)).norm() < 1e-3 * atom.norm()


def test_tangents_follow_the_transmit_field():
    sequence = train(n_frames=60)
    fields = (0.7, 0.75, 0.8, 0.85, 0.9)
    dictionary = build_dictionary(sequence, TissueGrid((0.5, 2.0), (0.04, 0.2), 0.08, fields))
    t1, t2, b1 = torch.tensor([1.0]), torch.tensor([0.08]), torch.tensor([0.77])
    atom, _, along_t2 = tangents(dictionary, t1, t2, b1)
    up, down = (
        simulate(sequence, t1, t2 * factor, b1) @ dictionary.basis for factor in (1.01, 0.99)
    )
    assert torch.allclose(atom, (up + down) / 2, atol=3e-3 * float(atom.norm()))
    slope = (up - down) / (2 * 0.01)
    assert (along_t2 - slope).norm() < 0.03 * slope.norm()


def test_slopes_are_per_unit_of_their_own_logarithm():
    """On a grid whose steps along T1 and T2 differ."""
    sequence = train(n_frames=60)
    dictionary = build_dictionary(sequence, TissueGrid((0.3, 3.0), (0.06, 0.075), 0.15), rank=6)
    step_t1, step_t2 = (float((v[1] / v[0]).log()) for v in (dictionary.t1, dictionary.t2))
    assert abs(step_t1 / step_t2 - 1) > 0.02
    t1, t2 = torch.tensor([0.9]), torch.tensor([0.067])
    _, along_t1, along_t2 = tangents(dictionary, t1, t2)
    factor = 1.01
    for slope, high, low in (
        (along_t1, (t1 * factor, t2), (t1 / factor, t2)),
        (along_t2, (t1, t2 * factor), (t1, t2 / factor)),
    ):
        up, down = (tangents(dictionary, *tissue)[0] for tissue in (high, low))
        expected = (up - down) / (2 * np.log(factor))
        assert (slope - expected).norm() < 0.005 * expected.norm()


def test_a_phase_that_goes_with_t1_makes_no_difference():
    """The phase of M0 is unknown, and takes up that of the fingerprints."""
    dictionary = build_dictionary(train(n_frames=120), TissueGrid(step=0.05), rank=6)
    phase = torch.polar(torch.ones_like(dictionary.t1), dictionary.t1.log() / 2)
    atoms = dictionary.atoms.view(len(dictionary.t1), -1) * phase[:, None]
    turned = replace(dictionary, atoms=atoms.view(dictionary.atoms.shape))
    t1, t2 = torch.tensor([0.85, 1.4]), torch.tensor([0.06, 0.09])
    maps = TissueMaps(t1, t2, torch.ones(2, dtype=torch.complex64), torch.ones(2))
    plain, other = (
        noise_factors(maps, own, torch.full((6,), 0.004)) for own in (dictionary, turned)
    )
    assert torch.allclose(other, plain, rtol=5e-3, atol=5e-3 * float(plain.abs().max()))

"""Scores of the inversion efficiency against differences of the residual, and the uncertainty of an estimate."""

from dataclasses import replace

import pytest
import torch
from helpers.trains import train

from mri2qmap_bids.recon.physics.dictionary import TissueGrid, build_dictionary
from mri2qmap_bids.recon.physics.efficiency_scores import (
    STEP,
    VoxelAtoms,
    efficiency_scores,
    efficiency_uncertainty,
)
from mri2qmap_bids.recon.physics.epg import simulate
from mri2qmap_bids.recon.physics.inversion_efficiency import (
    EFFICIENCIES,
    atoms_at,
    best_efficiency,
)
from mri2qmap_bids.recon.physics.matching import match

SEQUENCE = train(n_frames=100)
N = 12


@pytest.fixture(scope="module")
def dictionary():
    grid = TissueGrid((0.3, 3.0), (0.02, 0.4), 0.15, efficiencies=EFFICIENCIES)
    return build_dictionary(SEQUENCE, grid, rank=7)


def image_of(dictionary, efficiency, noise=0.0):
    """Two tissues and their mixtures, N x N voxels of SNR about 100 or more."""
    tissues = torch.tensor([[1.4, 0.09], [0.8, 0.06]])
    signal = simulate(replace(SEQUENCE, inversion_efficiency=efficiency), *tissues.T.contiguous())
    atoms = signal.to(dictionary.basis.dtype) @ dictionary.basis.conj()
    columns = torch.arange(N)[None] // 4 % 2
    image = atoms[columns.expand(N, N)].movedim(-1, 0).to(torch.complex64) * 100
    generator = torch.Generator().manual_seed(0)
    return image + noise * torch.randn(image.shape, dtype=image.dtype, generator=generator)


def test_the_score_is_the_slope_of_the_least_residual_and_the_information_its_curvature(dictionary):
    voxels = image_of(dictionary, 0.8, noise=0.01).flatten(1)[:, ::7]

    def least(efficiency):
        maps = match(voxels, atoms_at(dictionary, efficiency))
        power = voxels.abs().square().sum(0).double()
        return power * (1 - maps.correlation.double().square()) / 2

    at = 0.7
    sides = [VoxelAtoms(atoms_at(dictionary, at + step), None) for step in (-STEP, 0.0, STEP)]
    scores = efficiency_scores(voxels, *sides, 2 * STEP)
    step = 0.02
    low, middle, high = (least(at + s).sum() for s in (-step, 0.0, step))
    assert float(scores.score.sum()) == pytest.approx(-float(high - low) / (2 * step), rel=0.03)
    curvature = float(high - 2 * middle + low) / step**2
    assert float(scores.information.sum()) == pytest.approx(curvature, rel=0.2)


def test_no_change_of_phase_or_scale_passes_for_efficiency(dictionary):
    voxels = image_of(dictionary, 0.8).flatten(1)[:, ::7]
    sides = [VoxelAtoms(atoms_at(dictionary, 0.7 + step), None) for step in (-STEP, 0.0, STEP)]
    one = efficiency_scores(voxels, *sides, 2 * STEP)
    other = efficiency_scores(voxels * 1j, *sides, 2 * STEP)
    assert torch.allclose(one.score, other.score, rtol=1e-3)
    twice = efficiency_scores(2 * voxels, *sides, 2 * STEP)
    assert torch.allclose(4 * one.information, twice.information, rtol=1e-3)


def test_the_uncertainty_grows_with_noise_and_covers_the_error(dictionary):
    mask = torch.ones(N, N, dtype=torch.bool)
    totals = []
    for noise in (0.01, 2.0):
        image = image_of(dictionary, 0.8, noise)
        estimate = best_efficiency(image.flatten(1), dictionary)
        uncertainty = efficiency_uncertainty(image, mask, dictionary, estimate)
        assert abs(estimate - 0.8) < 3 * uncertainty.total + 2e-3
        totals.append(uncertainty.spread)
    assert totals[0] < 0.01 < totals[1]


def test_an_estimate_at_its_bound_is_far_from_what_the_data_ask_for(dictionary):
    image, mask = image_of(dictionary, 0.4), torch.ones(N, N, dtype=torch.bool)
    estimate = best_efficiency(image.flatten(1), dictionary)
    assert estimate == EFFICIENCIES[0]
    uncertainty = efficiency_uncertainty(image, mask, dictionary, estimate)
    assert uncertainty.beyond == pytest.approx(-0.1, abs=0.02)
    assert uncertainty.total > 0.08


def test_nothing_is_told_of_an_image_beyond_the_dictionary(dictionary):
    image = torch.zeros(dictionary.basis.shape[1], 4, 4, dtype=torch.complex64)
    image[0] = 1
    mask = torch.zeros(4, 4, dtype=torch.bool)
    mask[0, 0] = True
    edge = replace(dictionary, t1=dictionary.t1 * 0 + 1.0)
    assert efficiency_uncertainty(image, mask, edge, 0.8).total == 0

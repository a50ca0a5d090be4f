"""Uncertainty of maps with and without a prior, resolution in metres, and warnings."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.trains import train

from mri2qmap_bids.recon.acquisition.geometry import Geometry
from mri2qmap_bids.recon.diagnostics.model import Convergence, Figures, SliceQuality
from mri2qmap_bids.recon.methods.base import Solution
from mri2qmap_bids.recon.physics.dictionary import TissueGrid, build_dictionary
from mri2qmap_bids.recon.physics.matching import TissueMaps
from mri2qmap_bids.recon.quality import (
    convergence_in,
    resolution_of,
    uncertainty,
    warn_of_energy_left,
    warn_of_motion,
)

ONES = torch.ones(3)
MAPS = TissueMaps(1.2 * ONES, 0.08 * ONES, ONES.to(torch.complex64), ONES)
ERROR = (torch.tensor([0.01, 0.05, 0.2]), torch.tensor([0.001, 0.004, 0.02]))


@pytest.fixture(scope="module")
def dictionary():
    return build_dictionary(train(n_frames=40), TissueGrid(step=0.1), rank=5)


def solution(level, prior_error=None, maps=MAPS):
    image = torch.zeros(5, 3, dtype=torch.complex64)
    return Solution(maps, torch.full((5,), level), image, prior_error=prior_error)


def test_noise_goes_with_its_level_and_against_the_signal(dictionary):
    one = uncertainty(solution(1e-3), dictionary)
    twice = uncertainty(solution(2e-3), dictionary)
    brighter = uncertainty(solution(1e-3, maps=replace(MAPS, m0=4 * MAPS.m0)), dictionary)
    for std, louder, quieter in zip(one, twice, brighter, strict=True):
        assert torch.allclose(louder, 2 * std, rtol=1e-4)
        assert torch.allclose(quieter, std / 4, rtol=1e-4)


@pytest.mark.parametrize("level", [1e-6, 1e-3, 1.0])
def test_precisions_of_data_and_prior_add(dictionary, level):
    noise = uncertainty(solution(level), dictionary)
    both = uncertainty(solution(level, ERROR), dictionary)
    for std, alone, error in zip(both, noise, ERROR, strict=True):
        assert torch.allclose(1 / std**2, 1 / alone**2 + 1 / error**2, rtol=1e-3)
        assert (std <= torch.minimum(alone, error) * 1.0001).all()
        assert (std >= torch.minimum(alone, error) / 2**0.5 * 0.9999).all()


def test_blur_adds_to_noise_and_prior(dictionary):
    prior = uncertainty(solution(1e-3, ERROR), dictionary)
    both = uncertainty(replace(solution(1e-3, ERROR), blur_error=ERROR), dictionary)
    for std, alone, blur in zip(both, prior, ERROR, strict=True):
        assert torch.allclose(std**2, alone**2 + blur**2, rtol=1e-4)


def test_gridding_has_neither_a_resolution_nor_a_residual():
    geometry = Geometry((1, 8, 8), (5e-3, 2e-3, 2e-3), np.zeros(3), *np.eye(3))
    assert resolution_of(solution(1.0), geometry) is None
    assert convergence_in(solution(1.0)) is None


@pytest.mark.parametrize(("shell", "part"), [(1, "Inner"), (6, "Outer")])
def test_a_part_of_k_space_that_is_not_fitted_is_named(caplog, shell, part):
    energy = np.zeros((2, 8), np.float32)
    energy[0, shell] = 0.3
    energy[1] = 0.9  # of one component alone: not told
    with caplog.at_level(logging.WARNING, "mri2qmap_bids"):
        warn_of_energy_left(Convergence(energy, True))
        warn_of_energy_left(Convergence(energy / 10, True))
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith(f"{part} k-space is not fitted: 30 %")
    # The iterations of the default method are not the solver's.
    assert "try the method subspace with more iterations" in message
    assert f"at {100 * (shell + 0.5) / 8:.0f} %" in message


def test_a_solution_that_is_no_number_is_told(caplog):
    with caplog.at_level(logging.WARNING):
        warn_of_energy_left(Convergence(np.full((2, 8), np.nan, np.float32), True))
    assert "has diverged" in caplog.text


def moved_by(*displacements, signal=1.0):
    return [
        SliceQuality(signal, 1.0, None, Figures(1.0, 1.0, None, displacement=d))
        for d in displacements
    ]


@pytest.mark.parametrize(
    ("slices", "words"),
    [
        (moved_by(0.1, 0.7, 0.6), "about 0.7 voxels during the scan (slice 2 of 3)"),
        (moved_by(0.7), "about 0.7 voxels during the scan"),
        (moved_by(0.4, None), ""),
        (moved_by(None), ""),
        ([*moved_by(0.1), *moved_by(3.0, signal=0.1)], ""),
    ],
)
def test_motion_is_warned_of_once(caplog, slices, words):
    warn_of_motion(slices)
    assert [record.message for record in caplog.records] == [
        f"The samples look as if the object had moved by {words}" for _ in range(bool(words))
    ]

"""The inverse problem of a slice: its operators, its noise, and what is left out of it."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.scans import disc_brain, random_encoding, raw_scan
from helpers.trains import train

from mri2qmap_bids.recon.acquisition.geometry import Geometry
from mri2qmap_bids.recon.encoding.forward import adjoint, forward
from mri2qmap_bids.recon.grid import tissue_grid
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.dictionary import build_dictionary
from mri2qmap_bids.recon.planning.plan import Plan
from mri2qmap_bids.recon.problem import (
    InverseProblem,
    complex_noise,
    deviation_of,
    inverse_problem,
    noise_like,
    whitening_of,
)
from mri2qmap_bids.recon.shared_data import SharedData
from mri2qmap_bids.simulate.acquire import acquire
from mri2qmap_bids.simulate.coils import coil_maps
from mri2qmap_bids.simulate.trajectory import make_trajectory

SHAPE = (10, 12)


def problem(plan=None, weights=None):
    encoding = random_encoding(SHAPE)
    kspace = forward(encoding, torch.ones((3, *SHAPE), dtype=torch.complex64))
    nothing = torch.zeros((3, *SHAPE))
    return InverseProblem(encoding, kspace, plan or Plan(), weights, unsampled=nothing)


def images(seed):
    generator = torch.Generator().manual_seed(seed)
    return complex_noise((3, *SHAPE), generator)


@pytest.mark.parametrize("weighted", [False, True])
def test_both_plans_apply_the_operator_of_the_projection(weighted):
    weights = torch.rand(400, generator=torch.Generator().manual_seed(1)) if weighted else None
    image = images(2)
    encoding = random_encoding(SHAPE)
    known = adjoint(encoding, forward(encoding, image), weights)
    for normal in ("transforms", "toeplitz"):
        product = problem(Plan(normal=normal), weights).normal(image)
        assert torch.linalg.norm(product - known) < 1e-3 * torch.linalg.norm(known)


def test_a_penalty_is_added_frequency_by_frequency():
    each, image = replace(problem(), unsampled=torch.rand(3, *SHAPE)), images(2)
    before = image.clone()
    penalty = 50 * torch.rand(3, *SHAPE)
    spectrum = torch.fft.fft2(image, norm="ortho")
    added = torch.fft.ifft2(penalty * spectrum, norm="ortho")
    expected = each.normal(image) + added
    assert torch.linalg.norm(each.normal_with(penalty)(image) - expected) < 1e-4 * expected.norm()
    assert torch.equal(image, before)
    support = torch.fft.ifft2(each.support * spectrum, norm="ortho")
    difference = each.normal(image) - problem().normal(image)
    assert torch.linalg.norm(difference - support) < 1e-3 * support.norm()


def test_the_projection_is_the_operator_applied_to_the_image_of_the_samples():
    each = problem()
    image = torch.ones((3, *SHAPE), dtype=torch.complex64)
    difference = each.normal(image) - each.projection
    assert torch.linalg.norm(difference) < 1e-3 * torch.linalg.norm(each.projection)


def test_the_preconditioner_is_symmetric_and_positive():
    inverse, x, y = problem().preconditioner(0.1), images(3), images(4)
    left, right = (
        torch.vdot(x.ravel(), inverse(y).ravel()),
        torch.vdot(inverse(x).ravel(), y.ravel()),
    )
    assert torch.allclose(left, right, rtol=1e-3, atol=1e-6)
    assert torch.vdot(x.ravel(), inverse(x).ravel()).real > 0


def test_replicas_have_the_variance_of_noise_over_weight():
    weights = torch.tensor([1.0, 4.0]).repeat(200)
    generator = torch.Generator().manual_seed(5)
    samples = torch.stack(list(noise_like(problem(weights=weights), 3.0, generator)))
    power = samples.abs().square().mean(0)
    assert power[::2].mean() == pytest.approx(9.0, rel=0.2)
    assert power[1::2].mean() == pytest.approx(9.0 / 4, rel=0.2)


def test_deviation_is_that_of_real_and_imaginary_parts():
    noise = complex_noise((2, 60, 60), torch.Generator().manual_seed(6))
    scale = torch.tensor([1.0, 5.0]).view(2, 1, 1)
    assert (deviation_of(scale * noise) * 2**0.5).tolist() == pytest.approx([1.0, 5.0], rel=0.05)


def test_samples_beyond_the_grids_k_space_are_left_out(caplog):
    n, fov, sequence = 20, 0.2, train(n_frames=40)
    trajectory = make_trajectory("spiral", (n, n), 40, 1.0, None)
    acquired = acquire(
        disc_brain(n, fov, 8), sequence, trajectory, coil_maps((1, n, n), False, 3, 0), 0.1, 0
    )
    geometry = Geometry((1, n, n), (5e-3, fov / n, fov / n), np.zeros(3), *np.eye(3))
    scan = raw_scan(acquired, geometry)
    options = ReconOptions(grid_step=0.3, rank=3)
    dictionary = build_dictionary(sequence, tissue_grid(options), rank=3)
    full = inverse_problem(SharedData(scan, geometry, dictionary, options), 0)
    coarse = replace(
        geometry, matrix=(1, n // 2, n // 2), voxel_size=(5e-3, 2 * fov / n, 2 * fov / n)
    )
    half = inverse_problem(SharedData(scan, coarse, dictionary, options), 0)
    assert len(full.encoding.omega) == scan.slices[0].kspace.shape[1]
    radius = scan.slices[0].trajectory.abs().amax(1) * 2 * fov / n
    assert len(half.encoding.omega) == int((radius <= 0.50005).sum())
    assert half.encoding.omega.abs().max() <= torch.pi * 1.0001
    with caplog.at_level(logging.WARNING):
        assert whitening_of(replace(scan, noise=None)) is None
    assert "No noise scan" in caplog.text

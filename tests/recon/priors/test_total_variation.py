import numpy as np
import pytest
import torch
from helpers.laws import assert_adjoint, assert_linear
from skimage.restoration import denoise_tv_chambolle

from mri2qmap_bids.recon.encoding.circulant import filtered
from mri2qmap_bids.recon.priors.total_variation import (
    TotalVariation,
    differences_spectrum,
    mean_difference,
    total_variation,
)
from mri2qmap_bids.recon.solvers.alternating_directions import SplitTerm, alternating_directions

SPACES = [(9, 7), (5, 4, 6)]


def image(space, seed=0, rank=2):
    torch.manual_seed(seed)
    return torch.randn((rank, *space), dtype=torch.complex128)


def solve(u, weight, n_steps, start=None, rho=1.0):
    """argmin over x of 1/2 |x - u|^2 + weight TV(x), with the preconditioner of `problem.py`."""
    penalty = torch.full((len(u),), rho, dtype=torch.double)
    term = SplitTerm(TotalVariation(), torch.full_like(penalty, weight), penalty)
    response = 1 / (1 + rho * differences_spectrum(tuple(u.shape[1:]), u.device).double())
    return alternating_directions(
        torch.clone,
        u,
        term,
        lambda x: filtered(x, response),
        u if start is None else start,
        n_steps,
        tolerance=1e-8,
    )


def prox(u, weight, n_steps=3000):
    return solve(u, weight, n_steps).image


@pytest.mark.parametrize("space", SPACES)
def test_constants_and_zero_weight_change_nothing(space):
    constant = torch.ones((2, *space), dtype=torch.complex128) * (1 - 2j)
    assert torch.allclose(prox(constant, 0.5), constant)
    u = image(space)
    assert torch.equal(prox(u, 0.0), u)


@pytest.mark.parametrize("space", SPACES)
def test_a_large_weight_leaves_each_component_its_mean(space):
    u = image(space)
    axes = tuple(range(1, u.ndim))
    mean = u.mean(axes, keepdim=True).expand_as(u)
    assert torch.allclose(prox(u, 100.0, 300), mean, atol=1e-3)
    for weight in (0.1, 1.0, 10.0):  # and any weight leaves the mean alone
        assert torch.allclose(prox(u, weight, 20).mean(axes), u.mean(axes))


@pytest.mark.parametrize("space", SPACES)
def test_it_is_non_expansive(space):
    u, v = image(space, 1), image(space, 2)
    assert (prox(u, 0.4) - prox(v, 0.4)).norm() <= (u - v).norm()


@pytest.mark.parametrize("space", SPACES)
def test_scale_phase_and_transposition_pass_through(space):
    u = image(space)
    expected = prox(u, 0.3)
    turned = (1000 * np.exp(0.7j)) * u
    assert torch.allclose(prox(turned, 300.0), (1000 * np.exp(0.7j)) * expected)
    transposed = u.transpose(1, -1)
    assert torch.allclose(prox(transposed, 0.3), expected.transpose(1, -1))


def test_isotropic_discretisation_flips_to_good_accuracy_only_in_smooth_images():
    """Forward differences look one way; a flip costs little where edges are resolved."""
    y, x = np.mgrid[-1:1:32j, -1:1:32j]
    u = torch.from_numpy(1 / (1 + np.exp(20 * (np.hypot(x, y) - 0.6)))).to(torch.complex128)[None]
    flipped = prox(u.flip(2), 0.1, 300).flip(2)
    assert (flipped - prox(u, 0.1, 300)).norm() < 0.01 * u.norm()


@pytest.mark.parametrize("space", [(24, 20), (8, 9, 7)])
@pytest.mark.parametrize("weight", [0.05, 0.3, 1.0])
def test_agrees_with_an_independent_solver(space, weight):
    rng = np.random.default_rng(0)
    u = rng.standard_normal(space) + 2 * (np.indices(space).sum(0) > sum(space) / 2)
    expected = denoise_tv_chambolle(u, weight=weight, eps=1e-12, max_num_iter=4000)
    smooth = prox(torch.from_numpy(u).to(torch.complex128)[None], weight, 2000)[0]
    assert np.linalg.norm(smooth.numpy() - expected) < 0.01 * np.linalg.norm(expected)


@pytest.mark.parametrize("space", SPACES)
def test_no_perturbation_lowers_the_objective(space):
    u, weight = image(space), 0.3
    minimiser = prox(u, weight, 3000)

    def objective(x):
        return 0.5 * float((x - u).norm()) ** 2 + weight * total_variation(x)

    least = objective(minimiser)
    for seed in range(20):
        for size in (1e-2, 1e-1, 1.0):
            assert objective(minimiser + size * image(space, seed)) > least


def test_components_do_not_see_each_other():
    u = image((9, 7), rank=3)
    together = prox(u, 0.3, 50)
    assert torch.allclose(together[1:2], prox(u[1:2], 0.3, 50))


def test_total_variation_of_a_step_is_its_height_times_its_length():
    u = torch.zeros((1, 6, 5), dtype=torch.complex128)
    u[0, 3:] = 2j
    assert total_variation(u) == pytest.approx(10)


@pytest.mark.parametrize("rho", [0.3, 10.0])
def test_neither_start_nor_penalty_moves_the_minimiser(rho):
    u = image((9, 7))
    expected = prox(u, 0.5)
    for start in (u, torch.zeros_like(u), 100 * image((9, 7), 3)):
        solution = solve(u, 0.5, 20_000, start, rho)
        assert solution.converged
        assert (solution.image - expected).norm() < 1e-6 * expected.norm()


def test_zero_weight_is_found_from_anywhere():
    u = image((9, 7))
    solution = solve(u, 0.0, 3000, torch.zeros_like(u))
    assert solution.converged and torch.allclose(solution.image, u)


@pytest.mark.parametrize("space", SPACES)
def test_differences_are_linear_and_have_the_adjoint_they_say(space):
    term = TotalVariation()
    x, z = image(space, 1), image(space, 2)
    split = torch.stack([image(space, 3 + d) for d in range(len(space))])
    assert_adjoint(term.analysis, term.synthesis, x, split, 1e-12)
    assert_linear(term.analysis, x, z, 1e-12)


def test_the_spectrum_is_that_of_differences_away_from_the_boundary():
    """K^H K of a wave that is still at the boundary, by frequency."""
    term, space = TotalVariation(), (12, 9)
    inside = torch.zeros((1, *space), dtype=torch.complex128)
    inside[:, 3:-3, 3:-3] = image((6, 3), rank=1)
    spectrum = differences_spectrum(space, inside.device).double()
    expected = filtered(inside, spectrum)
    assert torch.allclose(term.synthesis(term.analysis(inside)), expected, atol=1e-6)


def test_lengths_of_differences_are_shortened_by_the_threshold_of_their_component():
    split = torch.stack([image((9, 7), seed) for seed in (1, 2)])
    threshold = torch.tensor([0.5, 2.0], dtype=torch.double)
    shorter = TotalVariation().prox(split, threshold)
    before, after = (values.abs().square().sum(0).sqrt() for values in (split, shorter))
    assert torch.allclose(after, (before - threshold.view(-1, 1, 1)).clamp_min(0))
    assert torch.allclose(shorter * before, split * after)
    assert (after == 0).any() and (after > 0).any()


def test_mean_difference_is_total_variation_by_voxel():
    u = image((9, 7))
    means = mean_difference(u)
    assert float(means.sum()) * 63 == pytest.approx(total_variation(u))
    assert torch.allclose(mean_difference(torch.cat([u, 3 * u])), torch.cat([means, 3 * means]))

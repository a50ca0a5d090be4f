import numpy as np
import pytest
import torch
from helpers.laws import assert_adjoint, assert_linear
from skimage.restoration import denoise_tv_chambolle

from mri2qmap_bids.recon.encoding.circulant import filtered
from mri2qmap_bids.recon.priors.total_variation import (
    TotalVariation,
    differences_spectrum,
    edge_weights,
    mean_difference,
    mean_joint_difference,
    total_variation,
)
from mri2qmap_bids.recon.solvers.alternating_directions import SplitTerm, alternating_directions

SPACES = [(9, 7), (5, 4, 6)]


def image(space, seed=0, rank=2):
    torch.manual_seed(seed)
    return torch.randn((rank, *space), dtype=torch.complex128)


def solve(u, weight, n_steps, start=None, rho=1.0, relative=None, voxels=None):
    """argmin over x of 1/2 |x - u|^2 + weight TV(x), with the preconditioner of `problem.py`."""
    relative = torch.ones(len(u)) if relative is None else torch.tensor(relative)
    penalty = rho * relative.double() ** 2
    term = SplitTerm(TotalVariation(voxels), weight * relative.double(), penalty)
    spectrum = differences_spectrum(tuple(u.shape[1:]), u.device).double()
    response = 1 / (1 + penalty.view(-1, *[1] * spectrum.ndim) * spectrum)
    return alternating_directions(
        torch.clone,
        u,
        term,
        lambda x: filtered(x, response),
        u if start is None else start,
        n_steps,
        tolerance=1e-8,
    )


def prox(u, weight, n_steps=3000, relative=None, voxels=None):
    return solve(u, weight, n_steps, relative=relative, voxels=voxels).image


def summands(u, relative):
    """Lengths of the differences of every voxel, by the definition."""
    weighted = relative.view(-1, *[1] * (u.ndim - 1)) * u
    return TotalVariation().analysis(weighted).abs().square().sum((0, 1)).sqrt()


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
    u, weight, relative = image(space), 0.3, torch.tensor([0.7, 1.6]).double()
    minimiser = prox(u, weight, 3000, relative.tolist())

    def objective(x):
        return 0.5 * float((x - u).norm()) ** 2 + weight * total_variation(x, relative)

    least = objective(minimiser)
    for seed in range(20):
        for size in (1e-2, 1e-1, 1.0):
            assert objective(minimiser + size * image(space, seed)) > least


@pytest.mark.parametrize("space", SPACES)
def test_no_perturbation_lowers_the_objective_with_a_weight_for_every_voxel(space):
    u, relative = image(space), torch.tensor([0.7, 1.6]).double()
    voxels = 3 * torch.rand(space, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    minimiser = prox(u, 0.3, 3000, relative.tolist(), voxels)

    def objective(x):
        variation = float((voxels * summands(x, relative)).sum())
        return 0.5 * float((x - u).norm()) ** 2 + 0.3 * variation

    least = objective(minimiser)
    for seed in range(20):
        for size in (1e-2, 1e-1, 1.0):
            assert objective(minimiser + size * image(space, seed)) > least


def test_a_weight_of_one_for_every_voxel_changes_nothing_and_none_leaves_the_image():
    """Also where there are no differences, which no factor can shorten."""
    u = image((9, 7))
    u[:, :4] = 1
    assert torch.allclose(prox(u, 0.3, 300, voxels=torch.ones((9, 7)).double()), prox(u, 0.3, 300))
    assert torch.allclose(prox(u, 0.3, 300, voxels=torch.zeros((9, 7)).double()), u)


def test_edge_weights_are_one_in_flat_areas_and_a_half_at_the_mean_difference():
    u, weight = image((9, 7)), torch.tensor([0.5, 3.0], dtype=torch.double)
    u[:, :4, :4] = 1
    lengths, mean = summands(u, weight), mean_joint_difference(u, weight)
    weights = edge_weights(u, weight)
    assert torch.allclose(weights, mean / (mean + lengths))
    assert torch.equal(weights[:3, :3], torch.ones((3, 3)).double())
    assert torch.allclose(edge_weights(5j * u, weight), weights), "in any unit"
    assert torch.equal(edge_weights(0 * u, weight), torch.ones((9, 7)).double())


def test_total_variation_with_edge_weights_majorises_a_logarithm():
    """At the image they come from value and slope are the same, elsewhere it is above."""
    u, weight = image((9, 7)), torch.tensor([0.5, 3.0], dtype=torch.double)
    weights, mean = edge_weights(u, weight), mean_joint_difference(u, weight)
    for seed, size in ((1, 1e-3), (2, 0.1), (3, 2.0)):
        x = u + size * image((9, 7), seed)
        before, after = summands(u, weight), summands(x, weight)
        penalty = [mean * (1 + lengths / mean).log() for lengths in (before, after)]
        surrogate = penalty[0] + weights * (after - before)
        assert bool((surrogate >= penalty[1] - 1e-12).all())
        if size < 1e-2:
            assert float((surrogate - penalty[1]).abs().max()) < 10 * size**2


def test_edge_weights_keep_the_height_of_an_edge_and_the_area_around_it_flat():
    clean = torch.zeros((1, 24, 24), dtype=torch.complex128)
    clean[:, 8:16, 8:16] = 4
    noisy = clean + 0.5 * image((24, 24), 3, rank=1)
    first = prox(noisy, 0.8, 300)
    # Twice the weight: the same for a voxel whose difference is the mean.
    second = prox(noisy, 1.6, 300, voxels=edge_weights(first, torch.ones(1)))
    height = [float((x[:, 9:15, 9:15].mean() - x[:, :6].mean()).real) for x in (first, second)]
    assert abs(height[1] - 4) < 0.6 * abs(height[0] - 4)
    assert (second - clean).norm() < 0.8 * (first - clean).norm()


@pytest.mark.parametrize("space", SPACES)
def test_components_of_one_shape_are_one_image(space):
    """x_r = c_r u: TV(x) = |c| TV(u), and the minimiser has that shape, too."""
    u, factors = image(space, rank=1), torch.tensor([3.0, -4.0j]).to(torch.complex128)
    factors = factors.view(-1, *[1] * len(space))
    expected = factors * prox(u, 0.5 / 5)
    assert torch.allclose(prox(factors * u, 0.5), expected, atol=1e-6)


def test_a_turn_of_equally_weighted_components_passes_through():
    u = image((9, 7))
    turn = torch.linalg.qr(image((2,), 4))[0]

    def turned(x):
        return torch.einsum("ij,jyx->iyx", turn, x)

    assert torch.allclose(prox(turned(u), 0.5, 300), turned(prox(u, 0.5, 300)))


def test_a_weak_component_keeps_an_edge_that_a_strong_one_has():
    """And loses one that it has alone."""
    u = torch.zeros((2, 16, 16), dtype=torch.complex128)
    u[0, :, 8:], u[1, :, 8:], u[1, :, 3:5] = 10, 1, 1
    alone, together = (prox(each, 2.0)[-1].real for each in (u[1:], u))
    assert float(alone[:, 12].max()) < 0.8
    assert float(together[:, 12].min()) > 0.95
    assert float((together[:, 3:5].mean() - together[:, 1].mean()).abs()) < 0.01


def test_weights_are_a_change_of_unit_of_the_components():
    """TV(x) with weights w is TV(w x) without."""
    u, weight = image((9, 7)), torch.tensor([0.5, 3.0], dtype=torch.double)
    scaled = weight.view(-1, 1, 1) * u
    assert total_variation(u, weight) == pytest.approx(total_variation(scaled, torch.ones(2)))


def test_total_variation_of_a_step_is_its_height_times_its_length():
    u = torch.zeros((2, 6, 5), dtype=torch.complex128)
    u[0, 3:], u[1, 3:] = 3j, 4
    assert total_variation(u, torch.ones(2)) == pytest.approx(25)


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


def test_differences_of_all_components_are_shortened_together():
    """In units of their thresholds: of length 5 (4 and 3), 2 and 0.5, to lengths of 4, 1 and 0."""
    split = torch.zeros((2, 3, 1, 3), dtype=torch.complex128)
    threshold = torch.tensor([0.5, 2.0, 1.0], dtype=torch.double)
    split[0, 0, 0], split[1, 1, 0], split[1, 2, 0] = (
        torch.tensor(values) for values in ([2.0, 0.0, 0.25], [-6.0j, 0, 0], [0, 2.0, 0])
    )
    proximal = TotalVariation().proximal(split, threshold)
    shorter = torch.cat([proximal(part) for part in TotalVariation().parts(3)], 1)
    factors = torch.tensor([1 - 1 / 5, 1 - 1 / 2, 0], dtype=torch.double)
    assert torch.allclose(shorter, split * factors)


def test_mean_differences():
    u = image((9, 7))
    means = mean_difference(u)
    for mean, part in zip(means, (u[:1], u[1:]), strict=True):
        assert float(mean) * 63 == pytest.approx(total_variation(part, torch.ones(1)))


def test_the_mean_joint_difference_is_that_of_the_object():
    """An edge beside more or less background, and the definition."""
    weight = torch.tensor([0.5, 3.0], dtype=torch.double)
    u = image((9, 7))
    lengths = summands(u, weight)
    magnitude = u.abs().square().sum(0).sqrt()
    expected = float((lengths * magnitude).sum() / magnitude.sum())
    assert mean_joint_difference(u, weight) == pytest.approx(expected)
    small, large = (torch.nn.functional.pad(u, [n] * 4) for n in (1, 9))
    assert mean_joint_difference(small, weight) == pytest.approx(
        mean_joint_difference(large, weight)
    )
    assert mean_joint_difference(torch.zeros_like(u), weight) == 0

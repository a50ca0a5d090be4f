"""Alternating directions against closed forms, and what must not change the minimiser."""

import pytest
import torch
from helpers.laws import relative_error

from mri2qmap_bids.recon.solvers.alternating_directions import SplitTerm, alternating_directions

RANK, SPACE = 3, (6, 5)
WEIGHT = torch.tensor([0.5, 1.0, 2.0], dtype=torch.double)


class Magnitudes:
    """g(z) = sum |z|, K the identity."""

    def __init__(self, together=True):
        self.together = together

    def parts(self, rank):
        return [slice(0, rank)] if self.together else [slice(i, i + 1) for i in range(rank)]

    def analysis(self, image):
        return image[None]

    def synthesis(self, split):
        return split[0]

    def proximal(self, split, threshold):
        limits = threshold.view(-1, *[1] * (split.ndim - 2))
        whole = split * (1 - limits / split.abs().clamp_min(1e-30)).clamp_min(0)
        return lambda part: whole[:, part]


class Scaled(Magnitudes):
    """g(K x) = 1/2 |2i x|^2, K = 2i: a K whose adjoint is not its transpose."""

    def analysis(self, image):
        return 2j * image[None]

    def synthesis(self, split):
        return -2j * split[0]

    def proximal(self, split, threshold):
        whole = split / (1 + threshold.view(-1, *[1] * (split.ndim - 2)))
        return lambda part: whole[:, part]


def image(seed=0):
    torch.manual_seed(seed)
    return 3 * torch.randn(RANK, *SPACE, dtype=torch.complex128)


def diagonal(seed=5):
    torch.manual_seed(seed)
    return 0.5 + torch.rand(RANK, *SPACE, dtype=torch.double)


def matrix():
    """A Hermitian positive N that mixes all voxels and components."""
    torch.manual_seed(7)
    n = RANK * SPACE[0] * SPACE[1]
    tall = torch.randn(2 * n, n, dtype=torch.complex128) / n**0.5
    return tall.mH @ tall


def mixed(image):
    return (matrix() @ image.flatten()).view_as(image)


def solve(
    normal, target, regulariser, rho=1.0, start=None, precondition=None, weight=WEIGHT, **more
):
    settings = {"n_iterations": 3000, "tolerance": 1e-9} | more
    return alternating_directions(
        normal,
        target,
        SplitTerm(regulariser, weight, torch.as_tensor(rho, dtype=torch.double).expand(RANK)),
        precondition or (lambda x: x / (1 + torch.as_tensor(rho).max())),
        torch.zeros_like(target) if start is None else start,
        **settings,
    )


@pytest.mark.parametrize("rho", [0.2, 1.0, 5.0])
def test_it_is_soft_thresholding_where_the_quadratic_is_diagonal(rho):
    """argmin of d/2 |x|^2 - Re b^* x + w |x| is (b - w b / |b|)_+ / d."""
    d, b = diagonal(), image()
    solution = solve(lambda x: d * x, b, Magnitudes(), rho)
    limits = WEIGHT.view(-1, 1, 1)
    expected = b * (1 - limits / b.abs()).clamp_min(0) / d
    assert solution.converged
    assert (expected == 0).any() and (expected != 0).any()
    assert relative_error(solution.image, expected) < 1e-7


@pytest.mark.parametrize("rho", [0.2, 1.0, 5.0])
def test_it_is_a_linear_solve_where_the_regulariser_is_quadratic(rho):
    b = image()
    solution = solve(mixed, b, Scaled(), rho, precondition=lambda x: x / (2 + 4 * rho))
    added = (4 * WEIGHT).repeat_interleave(SPACE[0] * SPACE[1])
    expected = torch.linalg.solve(matrix() + torch.diag(added).to(b.dtype), b.flatten())
    assert solution.converged
    assert relative_error(solution.image.flatten(), expected) < 1e-6


def test_parts_worked_on_one_by_one_give_the_same():
    settings = {"rho": [0.2, 1.0, 5.0], "n_iterations": 20, "start": image(3)}
    one = solve(mixed, image(), Magnitudes(together=True), **settings)
    other = solve(mixed, image(), Magnitudes(together=False), **settings)
    assert relative_error(other.image, one.image) < 1e-12


def test_without_weight_it_is_least_squares():
    b = image()
    solution = solve(mixed, b, Magnitudes(), weight=0 * WEIGHT)
    assert (
        relative_error(solution.image.flatten(), torch.linalg.solve(matrix(), b.flatten())) < 1e-6
    )


@pytest.fixture(scope="module")
def minimiser():
    return solve(mixed, image(), Magnitudes()).image


def test_the_penalty_does_not_move_the_minimiser(minimiser):
    for rho in (0.1, 10.0, [0.2, 1.0, 5.0]):
        solution = solve(mixed, image(), Magnitudes(), rho)
        assert solution.converged
        assert relative_error(solution.image, minimiser) < 1e-6


def test_the_start_does_not_move_the_minimiser(minimiser):
    for start in (minimiser, 100 * image(3)):
        copy = start.clone()
        solution = solve(mixed, image(), Magnitudes(), start=start)
        assert solution.converged
        assert relative_error(solution.image, minimiser) < 1e-6
        assert torch.equal(start, copy)


def test_the_preconditioner_does_not_move_the_minimiser_but_saves_steps(minimiser):
    whole = torch.linalg.inv(matrix() + torch.eye(len(matrix())))

    def exact(x):
        return (whole @ x.flatten()).view_as(x)

    def skewed(x):
        return diagonal(9) * x

    steps = {}
    for precondition in (exact, skewed):
        solution = solve(mixed, image(), Magnitudes(), precondition=precondition)
        assert solution.converged
        assert relative_error(solution.image, minimiser) < 1e-6
        steps[precondition] = solution.n_steps
    assert steps[exact] < steps[skewed]


def test_no_perturbation_lowers_the_objective(minimiser):
    b = image()

    def objective(x):
        quadratic = 0.5 * torch.vdot(x.flatten(), mixed(x).flatten()).real
        linear = torch.vdot(b.flatten(), x.flatten()).real
        return float(quadratic - linear + (WEIGHT.view(-1, 1, 1) * x.abs()).sum())

    least = objective(minimiser)
    for seed in range(20):
        for size in (1e-3, 1e-2, 1e-1, 1.0):
            assert objective(minimiser + size * image(seed)) > least


def test_the_unit_of_the_data_passes_through():
    """Weights are in its unit, the penalty has none."""
    small = solve(mixed, image(), Magnitudes(), n_iterations=20)
    large = solve(mixed, 1000j * image(), Magnitudes(), n_iterations=20, weight=1000 * WEIGHT)
    assert relative_error(large.image, 1000j * small.image) < 1e-9


@pytest.mark.parametrize("tolerance", [1e-2, 1e-4])
def test_it_stops_by_its_criterion_and_says_so(minimiser, tolerance):
    steps = []
    solution = solve(mixed, image(), Magnitudes(), tolerance=tolerance, watch=steps.append)
    assert solution.converged and 1 < solution.n_steps == len(steps) < 200
    assert relative_error(solution.image, minimiser) < 10 * tolerance
    assert all(set(figures) == {"step"} for figures in steps)
    cut = solve(
        mixed, image(), Magnitudes(), tolerance=tolerance, n_iterations=solution.n_steps - 1
    )
    assert not cut.converged and cut.n_steps == solution.n_steps - 1


def test_the_correction_is_that_of_the_image_returned():
    """With hardly any penalty it is M (b - N x), whatever z and u are."""
    b = image()
    term = SplitTerm(Magnitudes(), torch.zeros(RANK), torch.full((RANK,), 1e-12))
    solution = alternating_directions(mixed, b, term, lambda x: x / 3, 0 * b, 2, tolerance=0.0)
    expected = (b - mixed(solution.image)) / 3
    assert relative_error(solution.correction, expected) < 1e-6
    assert relative_error(expected, b / 3) > 0.1

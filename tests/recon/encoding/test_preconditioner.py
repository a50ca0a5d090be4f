import pytest
import torch
from helpers.circulant import apply_circulant
from helpers.laws import assert_adjoint, assert_linear, relative_error

from mri2qmap_bids.recon.encoding import preconditioner as preconditioners
from mri2qmap_bids.recon.encoding.circulant import (
    circulant_of,
    filtered,
    inverse,
    support_penalty,
)
from mri2qmap_bids.recon.encoding.forward import Encoding, adjoint, forward
from mri2qmap_bids.recon.encoding.preconditioner import preconditioner, principal_coils
from mri2qmap_bids.recon.encoding.toeplitz import apply, toeplitz_normal
from mri2qmap_bids.recon.solvers.conjugate_gradient import conjugate_gradient
from mri2qmap_bids.simulate.arms import SpiralDensity
from mri2qmap_bids.simulate.trajectory import Readout, make_trajectory

N, RANK, N_FRAMES = 32, 3, 12


def birdcage(n, n_coils):
    """Sensitivities that fall with the distance from elements around, root sum of squares 1."""
    angle = 2 * torch.pi * torch.arange(n_coils) / n_coils
    axis = (torch.arange(n) - n // 2) / n
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    far_y = y - 0.7 * angle.sin()[:, None, None]
    far_x = x - 0.7 * angle.cos()[:, None, None]
    coils = torch.polar(1 / far_y.hypot(far_x), torch.atan2(far_y, far_x))
    return coils / torch.linalg.vector_norm(coils, dim=0)


@pytest.fixture(scope="module")
def operator():
    """A spiral whose centre is far denser than its rim, seen by eight coils."""
    readout = Readout(SpiralDensity(0.2, 3, 4))
    trajectory = make_trajectory("spiral", (N, N), N_FRAMES, 4.0, None, readout)
    positions = torch.from_numpy(trajectory.positions)
    _, n_arms, n_samples, _ = positions.shape
    time = torch.linspace(-1, 1, N_FRAMES)
    courses = torch.stack([time**k for k in range(RANK)], 1)
    return Encoding(
        omega=2 * torch.pi / N * positions.reshape(-1, 2).flip(1),
        frame=torch.arange(N_FRAMES).repeat_interleave(n_arms * n_samples),
        basis=torch.linalg.qr(courses)[0],
        coils=birdcage(N, 8),
    )


@pytest.fixture(scope="module")
def system(operator):
    """N = A^H A + penalty that lifts the weakest directions, C, and the penalty."""
    kernels = toeplitz_normal(operator)
    circulant = circulant_of(operator, kernels)
    penalty = support_penalty(circulant) + 0.1 * circulant.level

    def normal(image):
        return apply(kernels, image) + filtered(image, penalty)

    return normal, circulant, penalty


def image_for(seed):
    torch.manual_seed(seed)
    return torch.randn(RANK, N, N, dtype=torch.complex64)


@pytest.mark.parametrize("at_once", [1, 3, 8])
def test_it_is_hermitian_positive_and_linear(operator, system, at_once):
    _, circulant, penalty = system
    approximate = preconditioner(circulant, operator.coils, penalty, at_once)
    x, z = image_for(1), image_for(2)
    assert_adjoint(approximate, approximate, x, z, 1e-5)
    assert_linear(approximate, x, z, 1e-5)
    for seed in range(5):
        x = image_for(seed)
        energy = torch.vdot(x.flatten(), approximate(x).flatten())
        assert energy.real > 0 and energy.imag.abs() < 1e-4 * energy.real


def test_batches_of_coils_give_the_same(operator, system):
    _, circulant, penalty = system
    x = image_for(1)
    one, more = (preconditioner(circulant, operator.coils, penalty, k)(x) for k in (1, 5))
    assert relative_error(more, one) < 1e-6


def test_without_coils_it_is_the_softened_inverse(operator, system):
    _, circulant, penalty = system
    alone = torch.ones(1, N, N, dtype=torch.complex64)
    x = image_for(1)
    # Softened by C_11 itself, but neither by next to nothing nor by a dense centre's.
    level = circulant.level
    softening = 0.3 * circulant.diagonal[0].clamp(0.05 * level, level)
    expected = apply_circulant(inverse(circulant, penalty + softening), x)
    assert relative_error(preconditioner(circulant, alone, penalty)(x), expected) < 1e-5


def test_the_minimiser_does_not_move(operator, system):
    normal, circulant, penalty = system
    truth = image_for(3)
    samples = forward(operator, truth)
    target = adjoint(operator, samples + 5 * torch.randn_like(samples))
    plain = conjugate_gradient(normal, target, 2000, tolerance=1e-6)
    approximate = preconditioner(circulant, operator.coils, penalty)
    quick = conjugate_gradient(normal, target, 300, tolerance=1e-6, preconditioner=approximate)
    assert plain.converged and quick.converged
    assert relative_error(quick.image, plain.image) < 1e-4


def test_it_needs_far_fewer_steps(operator, system):
    """Closer than 1 % of the image by its true distance, and not so in three times the steps."""
    normal, circulant, penalty = system
    truth = image_for(3)
    target = normal(truth)
    approximate = preconditioner(circulant, operator.coils, penalty)
    n = 20
    quick = conjugate_gradient(normal, target, n, tolerance=0.0, preconditioner=approximate)
    slow = conjugate_gradient(normal, target, 3 * n, tolerance=0.0)
    assert quick.n_steps == n and slow.n_steps == 3 * n
    assert relative_error(quick.image, truth) < 0.01 < relative_error(slow.image, truth)


def steps_to_one_percent(system, approximate):
    normal, _, _ = system
    truth = image_for(3)
    target = normal(truth)
    for n in range(1, 60):
        solution = conjugate_gradient(normal, target, n, tolerance=0.0, preconditioner=approximate)
        if relative_error(solution.image, truth) < 0.01:
            return n
    return 60


def test_a_unitary_combination_of_the_coils_changes_nothing(operator, system):
    _, circulant, penalty = system
    torch.manual_seed(0)
    turn = torch.linalg.qr(torch.randn(8, 8, dtype=torch.complex64))[0]
    turned = (turn @ operator.coils.reshape(8, -1)).view_as(operator.coils)
    x = image_for(1)
    one, other = (
        preconditioner(circulant, coils, penalty)(x) for coils in (operator.coils, turned)
    )
    assert relative_error(other, one) < 1e-5


def test_coils_that_are_combinations_of_three_count_as_three(system):
    _, circulant, penalty = system
    three = birdcage(N, 3)
    torch.manual_seed(0)
    isometry = torch.linalg.qr(torch.randn(8, 3, dtype=torch.complex64))[0]
    eight = (isometry @ three.reshape(3, -1)).view(8, N, N)
    assert len(principal_coils(eight, 1 - 1e-6)) == 3
    x = image_for(1)
    few, many = (preconditioner(circulant, coils, penalty)(x) for coils in (three, eight))
    assert relative_error(many, few) < 1e-5


def test_principal_coils_are_few_and_keep_their_root_sum_of_squares(operator):
    outside = torch.zeros(N, N)
    outside[: N // 4] = 1
    coils = operator.coils * (1 - outside)
    principal = principal_coils(coils)
    assert len(principal) < len(coils)
    assert torch.allclose(torch.linalg.vector_norm(principal, dim=0), 1 - outside, atol=1e-5)


def test_fewer_coils_take_as_many_steps(operator, system, monkeypatch):
    _, circulant, penalty = system
    few = preconditioner(circulant, operator.coils, penalty)
    monkeypatch.setattr(preconditioners, "principal_coils", lambda coils: coils)
    every = preconditioner(circulant, operator.coils, penalty)
    assert steps_to_one_percent(system, few) <= steps_to_one_percent(system, every) + 1 < 30

import pytest
import torch

from mri2qmap_bids.recon.solvers.half_quadratic_splitting import Schedule, plug_and_play


class Prior:
    """Always the same answer, or none at all."""

    def __init__(self, z=None):
        self.z, self.deviations = z, []

    def correct(self, image, deviation):
        self.deviations.append(float(deviation[0]))
        return image if self.z is None else self.z


def problem():
    torch.manual_seed(0)
    matrix = torch.randn(30, 8, dtype=torch.complex128)
    truth = torch.randn(8, dtype=torch.complex128)
    noisy = matrix @ truth + 0.1 * torch.randn(30, dtype=torch.complex128)
    return matrix.mH @ matrix, matrix.mH @ noisy


def iterate(prior, deviation=1.0, sample_deviation=1.0, preconditioner=None, watch=None, **more):
    hermitian, target = problem()
    settings = {"n_iterations": 40, "decay": 1.0, "remaining": 1.0, "n_steps": 8} | more
    solution = plug_and_play(
        lambda x: hermitian @ x,
        target,
        prior,
        torch.zeros_like(target),
        torch.full((8,), deviation),
        sample_deviation,
        Schedule(**settings),
        preconditioner,
        watch,
    )
    return solution, hermitian, target


Z = torch.ones(8, dtype=torch.complex128)


# A data step ends where it is nearer to its minimiser than a tenth of the noise that is believed in
# z. Only the ratio of both deviations makes the minimiser: where a test compares with a direct
# solution to 1e-4, both are small.


def test_a_prior_that_changes_nothing_gives_least_squares():
    solution, hermitian, target = iterate(
        Prior(), deviation=1e-5, sample_deviation=1e-5, tolerance=1e-9
    )
    expected = torch.linalg.solve(hermitian, target)
    assert (solution.image - expected).norm() < 1e-4 * expected.norm()


def test_a_sure_prior_wins_and_an_unsure_one_loses():
    sure, hermitian, target = iterate(Prior(Z), deviation=1e-4)
    assert (sure.image - Z).norm() < 1e-3 * Z.norm()
    unsure, *_ = iterate(Prior(Z), deviation=1e-4, sample_deviation=1e-8)
    expected = torch.linalg.solve(hermitian, target)
    assert (unsure.image - expected).norm() < 1e-3 * expected.norm()


def test_each_step_solves_the_regularised_problem():
    solution, hermitian, target = iterate(
        Prior(Z), 0.5e-5, sample_deviation=3.0e-5, n_iterations=1, remaining=0.4
    )
    mu = (3.0 / (0.4 * 0.5)) ** 2
    expected = torch.linalg.solve(hermitian + mu * torch.eye(8), target + mu * Z)
    assert (solution.image - expected).norm() < 1e-4 * expected.norm()


def exact_inverse(weights=None):
    def of(mu):
        if weights is not None:
            weights.append(mu)
        inverse = torch.linalg.inv(problem()[0] + mu * torch.eye(8))
        return lambda image: inverse @ image

    return of


def test_the_preconditioner_is_told_the_pull_of_the_prior():
    weights = []
    iterate(
        Prior(Z),
        0.5,
        3.0,
        exact_inverse(weights),
        n_iterations=3,
        remaining=0.4,
        decay=0.5,
        tolerance=0.0,
    )
    mu = (3.0 / (0.4 * 0.5)) ** 2
    assert weights == pytest.approx([mu, 4 * mu, 16 * mu])


def test_a_step_ends_below_a_tenth_of_the_noise_in_every_component_and_says_what_is_left():
    """With the exact inverse the correction is exactly the way that is left to the minimiser."""
    for remaining in (0.02, 0.2, 1.0, 5.0):
        solution, hermitian, target = iterate(
            Prior(Z), 0.5, 0.5 * remaining, exact_inverse(), n_iterations=1, remaining=remaining
        )
        minimiser = torch.linalg.solve(hermitian + torch.eye(8), target + Z)
        distance = minimiser - solution.image
        assert torch.allclose(solution.correction, distance, atol=1e-9)
        assert (distance.abs() <= 0.1 * remaining * 0.5 * 2**0.5).all()


def test_a_step_is_not_taken_where_the_start_is_near_enough():
    solution, *_ = iterate(Prior(Z), 1e4, 1e4, n_iterations=1)
    assert not solution.image.any()


@pytest.mark.parametrize(("share", "steps"), [(0.9, False), (1.1, True)])
def test_the_limit_is_a_tenth_of_the_noise_in_real_and_imaginary_part(share, steps):
    """A start so far from the minimiser, in one voxel, is or is not near enough."""
    deviation = 0.5
    distance = share * 0.1 * deviation * 2**0.5
    start = torch.full((1, 1), 1.0, dtype=torch.complex64)
    solution = plug_and_play(
        lambda image: 0 * image,
        0 * start,
        Prior(start + distance),
        start,
        torch.tensor([deviation]),
        deviation,
        Schedule(n_iterations=1, decay=1.0, remaining=1.0, n_steps=5),
    )
    assert torch.equal(solution.image, start) != steps


def test_the_preconditioner_does_not_change_what_is_found():
    small = {"deviation": 1e-5, "sample_deviation": 1e-5}
    plain, *_ = iterate(Prior(Z), **small)
    other, *_ = iterate(Prior(Z), preconditioner=exact_inverse(), **small)
    assert (other.image - plain.image).norm() < 1e-4 * plain.image.norm()


def test_the_prior_is_told_a_falling_noise_level():
    prior, levels = Prior(), []
    solution, *_ = iterate(
        prior,
        deviation=2.0,
        n_iterations=3,
        decay=0.5,
        tolerance=0.0,
        watch=lambda figures: levels.append(figures["level"]),
    )
    assert prior.deviations == [2.0, 1.0, 0.5] == levels
    assert (solution.deviation == 0.25).all()


def test_it_stops_when_nothing_changes():
    prior = Prior(Z)
    iterate(prior, deviation=0.5, tolerance=1e-3)
    assert len(prior.deviations) == 2

import torch

from mri2qmap_bids.recon.pnp.solver import Schedule, plug_and_play


class Prior:
    """Always the same answer, or none at all."""

    def __init__(self, z=None):
        self.z, self.told = z, []

    def correct(self, image, deviation):
        self.told.append(float(deviation[0]))
        return image if self.z is None else self.z


def problem():
    torch.manual_seed(0)
    matrix = torch.randn(30, 8, dtype=torch.complex128)
    truth = torch.randn(8, dtype=torch.complex128)
    noisy = matrix @ truth + 0.1 * torch.randn(30, dtype=torch.complex128)
    return matrix.mH @ matrix, matrix.mH @ noisy


def iterate(prior, deviation=1.0, sample_deviation=1.0, **more):
    hermitian, target = problem()
    settings = {"n_iterations": 40, "decay": 1.0, "remaining": 1.0, "n_steps": 8} | more
    image, last = plug_and_play(
        lambda x: hermitian @ x,
        target,
        prior,
        torch.zeros_like(target),
        torch.full((8,), deviation),
        sample_deviation,
        Schedule(**settings),
    )
    return image, last, hermitian, target


Z = torch.ones(8, dtype=torch.complex128)


def test_a_prior_that_changes_nothing_gives_least_squares():
    image, _, hermitian, target = iterate(Prior(), tolerance=1e-9)
    expected = torch.linalg.solve(hermitian, target)
    assert (image - expected).norm() < 1e-4 * expected.norm()


def test_a_sure_prior_wins_and_an_unsure_one_loses():
    sure, _, hermitian, target = iterate(Prior(Z), deviation=1e-4)
    assert (sure - Z).norm() < 1e-3 * Z.norm()
    unsure, *_ = iterate(Prior(Z), deviation=1e4)
    expected = torch.linalg.solve(hermitian, target)
    assert (unsure - expected).norm() < 1e-3 * expected.norm()


def test_each_step_solves_the_regularised_problem():
    image, _, hermitian, target = iterate(
        Prior(Z), 0.5, sample_deviation=3.0, n_iterations=1, remaining=0.4
    )
    mu = (3.0 / (0.4 * 0.5)) ** 2
    expected = torch.linalg.solve(hermitian + mu * torch.eye(8), target + mu * Z)
    assert (image - expected).norm() < 1e-4 * expected.norm()


def test_the_prior_is_told_a_falling_noise_level():
    prior = Prior()
    _, last, *_ = iterate(prior, deviation=2.0, n_iterations=3, decay=0.5, tolerance=0.0)
    assert prior.told == [2.0, 1.0, 0.5]
    assert (last == 0.25).all()


def test_it_stops_when_nothing_changes():
    prior = Prior(Z)
    iterate(prior, deviation=0.5, tolerance=1e-3)
    assert len(prior.told) == 2

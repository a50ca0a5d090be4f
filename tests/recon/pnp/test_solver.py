import torch

from mri2qmap_bids.recon.pnp.solver import Correction, plug_and_play


class Prior:
    """Always the same answer, or none at all."""

    def __init__(self, z=None, deviation=1.0):
        self.z, self.deviation, self.calls = z, deviation, 0

    def correct(self, image):
        self.calls += 1
        return Correction(image if self.z is None else self.z, self.deviation)


def problem():
    torch.manual_seed(0)
    matrix = torch.randn(30, 8, dtype=torch.complex128)
    truth = torch.randn(8, dtype=torch.complex128)
    noisy = matrix @ truth + 0.1 * torch.randn(30, dtype=torch.complex128)
    return matrix.mH @ matrix, matrix.mH @ noisy


def iterate(prior, **more):
    hermitian, target = problem()
    settings = {"n_iterations": 40, "pull": 1.0, "n_steps": 8} | more
    image = plug_and_play(
        lambda x: hermitian @ x, target, prior, torch.zeros_like(target), **settings
    )
    return image, hermitian, target


Z = torch.ones(8, dtype=torch.complex128)


def test_a_prior_that_changes_nothing_gives_least_squares():
    image, hermitian, target = iterate(Prior(), tolerance=1e-9)
    expected = torch.linalg.solve(hermitian, target)
    assert (image - expected).norm() < 1e-4 * expected.norm()


def test_a_sure_prior_wins_and_an_unsure_one_loses():
    sure, hermitian, target = iterate(Prior(Z, 1e-4))
    assert (sure - Z).norm() < 1e-3 * Z.norm()
    unsure, *_ = iterate(Prior(Z, 1e4))
    expected = torch.linalg.solve(hermitian, target)
    assert (unsure - expected).norm() < 1e-3 * expected.norm()


def test_each_step_solves_the_regularised_problem():
    image, hermitian, target = iterate(Prior(Z, 0.5), n_iterations=1, pull=3.0)
    mu = 3.0 / 0.5**2
    expected = torch.linalg.solve(hermitian + mu * torch.eye(8), target + mu * Z)
    assert (image - expected).norm() < 1e-4 * expected.norm()


def test_it_stops_when_nothing_changes():
    prior = Prior(Z, 0.5)
    iterate(prior, tolerance=1e-3)
    assert prior.calls < 40

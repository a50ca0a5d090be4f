import torch

from mri2qmap_bids.recon.pnp.solver import Correction, plug_and_play


def problem():
    torch.manual_seed(0)
    matrix = torch.randn(30, 8, dtype=torch.complex128)
    truth = torch.randn(8, dtype=torch.complex128)
    noisy = matrix @ truth + 0.1 * torch.randn(30, dtype=torch.complex128)
    return matrix.mH @ matrix, matrix.mH @ noisy, truth


def iterate(correct, **more):
    hermitian, target, _ = problem()
    settings = {"n_iterations": 40, "n_steps": 8, "strength": 1.0} | more
    images = list(
        plug_and_play(
            lambda x: hermitian @ x, target, correct, torch.zeros_like(target), **settings
        )
    )
    return images, hermitian, target


def test_a_prior_that_changes_nothing_gives_least_squares():
    images, hermitian, target = iterate(lambda x: Correction(x, 1.0, ""), tolerance=1e-9)
    expected = torch.linalg.solve(hermitian, target)
    assert (images[-1] - expected).norm() < 1e-4 * expected.norm()


def test_a_sure_prior_wins_and_an_unsure_one_loses():
    z = torch.ones(8, dtype=torch.complex128)
    sure, hermitian, target = iterate(lambda x: Correction(z, 1e-4, ""))
    assert (sure[-1] - z).norm() < 1e-3 * z.norm()
    unsure, *_ = iterate(lambda x: Correction(z, 1e4, ""))
    expected = torch.linalg.solve(hermitian, target)
    assert (unsure[-1] - expected).norm() < 1e-3 * expected.norm()


def test_each_step_solves_the_regularised_problem():
    z = torch.ones(8, dtype=torch.complex128)
    images, hermitian, target = iterate(
        lambda x: Correction(z, 0.5, ""), n_iterations=1, strength=3.0
    )
    mu = 3.0 / 0.5**2
    expected = torch.linalg.solve(hermitian + mu * torch.eye(8), target + mu * z)
    assert (images[0] - expected).norm() < 1e-4 * expected.norm()


def test_it_stops_when_nothing_changes():
    z = torch.ones(8, dtype=torch.complex128)
    images, *_ = iterate(lambda x: Correction(z, 0.5, ""), tolerance=1e-3)
    assert len(images) < 40

import torch

from mri2qmap_bids.recon.pnp.least_squares import conjugate_gradient


def problem(n=12, complex_=True):
    torch.manual_seed(0)
    matrix = torch.randn(3 * n, n, dtype=torch.complex128)
    truth = torch.randn(n, dtype=torch.complex128)
    return matrix, truth


def test_solves_the_normal_equations_in_as_many_steps_as_unknowns():
    matrix, truth = problem()
    hermitian = matrix.mH @ matrix
    found = conjugate_gradient(lambda x: hermitian @ x, hermitian @ truth, 12, tolerance=1e-12)
    assert (found - truth).norm() < 1e-6 * truth.norm()


def test_a_good_start_is_left_alone_and_not_changed_in_place():
    matrix, truth = problem()
    hermitian = matrix.mH @ matrix
    calls = []

    def normal(x):
        calls.append(1)
        return hermitian @ x

    start = truth.clone()
    found = conjugate_gradient(normal, hermitian @ truth, 50, start=start)
    assert len(calls) == 1
    assert torch.equal(found, truth)
    assert torch.equal(start, truth)


def test_residual_falls_with_every_step():
    matrix, truth = problem()
    hermitian = matrix.mH @ matrix
    target = hermitian @ truth
    errors = [
        float(
            torch.vdot(
                e := conjugate_gradient(lambda x: hermitian @ x, target, n) - truth, hermitian @ e
            ).real
        )
        for n in range(1, 8)
    ]
    assert all(later < earlier for earlier, later in zip(errors, errors[1:], strict=False))

import torch

from mri2qmap_bids.recon.solvers.conjugate_gradient import component_lengths, conjugate_gradient


def problem(n=12, complex_=True):
    torch.manual_seed(0)
    matrix = torch.randn(3 * n, n, dtype=torch.complex128)
    truth = torch.randn(n, dtype=torch.complex128)
    return matrix, truth


def badly_scaled(n=12):
    """A Hermitian positive matrix, a preconditioner that is its diagonal, and the truth."""
    matrix, truth = problem(n)
    scale = torch.logspace(0, 3, n, dtype=torch.double)
    hermitian = scale[:, None] * (matrix.mH @ matrix) * scale
    return hermitian, 1 / hermitian.diagonal().real, truth / scale


def test_solves_the_normal_equations_in_as_many_steps_as_unknowns():
    matrix, truth = problem()
    hermitian = matrix.mH @ matrix
    solution = conjugate_gradient(lambda x: hermitian @ x, hermitian @ truth, 12, tolerance=1e-12)
    assert (solution.image - truth).norm() < 1e-6 * truth.norm()


def test_a_good_start_is_left_alone_and_not_changed_in_place():
    matrix, truth = problem()
    hermitian = matrix.mH @ matrix
    calls = []

    def normal(x):
        calls.append(1)
        return hermitian @ x

    start = truth.clone()
    solution = conjugate_gradient(normal, hermitian @ truth, 50, start=start)
    assert len(calls) == 1
    assert torch.equal(solution.image, truth)
    assert torch.equal(start, truth)
    assert solution.n_steps == 0 and solution.converged


def test_residual_falls_with_every_step():
    matrix, truth = problem()
    hermitian = matrix.mH @ matrix
    target = hermitian @ truth
    errors = [
        float(
            torch.vdot(
                e := conjugate_gradient(lambda x: hermitian @ x, target, n).image - truth,
                hermitian @ e,
            ).real
        )
        for n in range(1, 8)
    ]
    assert all(later < earlier for earlier, later in zip(errors, errors[1:], strict=False))


def test_a_preconditioner_changes_the_way_and_not_the_end():
    hermitian, scale, truth = badly_scaled()
    solution = conjugate_gradient(
        lambda x: hermitian @ x,
        hermitian @ truth,
        40,
        tolerance=1e-12,
        preconditioner=lambda x: scale * x,
    )
    assert solution.converged
    assert ((solution.image - truth) / truth).abs().max() < 1e-6
    plain = conjugate_gradient(lambda x: hermitian @ x, hermitian @ truth, solution.n_steps)
    assert ((plain.image - truth) / truth).abs().max() > 0.1


def test_an_exact_preconditioner_takes_one_step_and_its_correction_is_the_distance():
    hermitian, _, truth = badly_scaled()
    exact = torch.linalg.inv(hermitian)
    start = truth + truth.flip(0)

    def solve(n_iterations, tolerance=1e-8):
        return conjugate_gradient(
            lambda x: hermitian @ x,
            hermitian @ truth,
            n_iterations,
            start,
            tolerance,
            lambda x: exact @ x,
        )

    none, one = solve(0), solve(50)
    assert torch.equal(none.image, start) and not none.converged
    assert torch.allclose(none.correction, truth - start, rtol=1e-6)
    assert one.converged and one.n_steps == 1
    assert torch.allclose(one.image, truth, rtol=1e-6)


def test_it_stops_by_its_criterion_and_says_so():
    matrix, truth = problem()
    hermitian = matrix.mH @ matrix
    target = hermitian @ truth
    steps = []
    solution = conjugate_gradient(
        lambda x: hermitian @ x, target, 50, tolerance=1e-3, watch=steps.append
    )
    assert solution.converged and solution.n_steps == len(steps)
    assert solution.correction.norm() <= 1e-3 * target.norm()
    assert steps[-2]["residual"] > 1e-3 >= steps[-1]["residual"]
    cut = conjugate_gradient(lambda x: hermitian @ x, target, solution.n_steps - 1, tolerance=1e-3)
    assert not cut.converged and cut.n_steps == solution.n_steps - 1


def test_a_tolerance_for_each_component_is_met_by_every_one():
    """The weakest component decides, whatever the length of the others."""
    matrix, truth = problem()
    hermitian = matrix.mH @ matrix
    target = hermitian @ truth
    limit = torch.full((12,), 10.0)

    def solve(limit):
        return conjugate_gradient(lambda x: hermitian @ x, target, 50, tolerance=limit)

    loose = solve(limit)
    limit[5] = 1e-6
    strict = solve(limit)
    assert loose.converged and strict.converged
    assert strict.n_steps > loose.n_steps
    assert (component_lengths(strict.correction) <= limit).all()


def test_progress_shows_a_distance_that_the_preconditioned_residual_does_not():
    """Directions of small eigenvalues, of which M r is a small part of the distance."""
    n = 60
    eigenvalues = torch.logspace(-3, 0, n, dtype=torch.double)
    torch.manual_seed(0)
    basis = torch.linalg.qr(torch.randn(n, n, dtype=torch.complex128))[0]
    hermitian = basis @ (eigenvalues[:, None] * basis.mH)
    truth = basis @ torch.randn(n, dtype=torch.complex128)

    def distance(window):
        solution = conjugate_gradient(
            lambda x: hermitian @ x, hermitian @ truth, 500, tolerance=torch.full((n,), 3e-3),
            window=window,
        )  # fmt: skip
        assert solution.converged
        return component_lengths(solution.image - truth).max()

    # Asked for is 3e-3; an extrapolation can be wrong by a factor of two.
    assert distance(0) > 0.3
    assert distance(4) < 6e-3


def test_with_a_window_the_minimiser_itself_is_a_start():
    matrix, truth = problem()
    hermitian = matrix.mH @ matrix
    solution = conjugate_gradient(
        lambda x: hermitian @ x, hermitian @ truth, 50, start=truth, window=2, tolerance=1e-6
    )
    assert solution.converged and torch.allclose(solution.image, truth)


def test_lengths_are_those_of_the_components():
    torch.manual_seed(0)
    image = torch.randn(3, 4, 5, dtype=torch.complex128)
    assert torch.allclose(component_lengths(image), image.flatten(1).norm(dim=1))

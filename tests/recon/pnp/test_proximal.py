import pytest
import torch

from mri2qmap_bids.recon.pnp.proximal import fista, largest_eigenvalue
from mri2qmap_bids.recon.pnp.total_variation import total_variation, total_variation_prox


def problem(n_unknowns=(2, 6, 5), n_rows=120, seed=0):
    """A random A as a matrix over the flattened image, its normal operator, and b."""
    torch.manual_seed(seed)
    size = int(torch.tensor(n_unknowns).prod())
    matrix = torch.randn(n_rows, size, dtype=torch.complex128)
    samples = torch.randn(n_rows, dtype=torch.complex128)
    hermitian = matrix.mH @ matrix

    def normal(image):
        return (hermitian @ image.flatten()).reshape(image.shape)

    return matrix, samples, hermitian, normal, (matrix.mH @ samples).reshape(n_unknowns)


def test_largest_eigenvalue_is_that_of_a_decomposition_and_repeats_itself():
    _, _, hermitian, normal, target = problem()
    exact = float(torch.linalg.eigvalsh(hermitian)[-1])
    assert largest_eigenvalue(normal, target, 200) == pytest.approx(exact, rel=1e-3)
    assert 0.8 * exact < largest_eigenvalue(normal, target) < exact * (1 + 1e-9)
    torch.manual_seed(7)
    assert largest_eigenvalue(normal, target) == largest_eigenvalue(normal, target)


def test_without_a_regulariser_it_is_least_squares():
    matrix, samples, hermitian, normal, target = problem()
    lipschitz = float(torch.linalg.eigvalsh(hermitian)[-1])
    found = fista(normal, target, lambda u: u, lipschitz, 400, tolerance=1e-12)
    expected = torch.linalg.lstsq(matrix, samples[:, None]).solution.reshape(target.shape)
    assert (found - expected).norm() < 1e-6 * expected.norm()


def test_a_soft_threshold_gives_what_the_optimality_conditions_ask():
    """min 1/2 |A x - y|^2 + weight |x|_1: b - N x = weight x / |x|, or at most weight where x = 0."""
    _, _, hermitian, normal, target = problem(n_rows=40)
    lipschitz = float(torch.linalg.eigvalsh(hermitian)[-1])
    weight = 0.3 * float(target.abs().max())

    def shrink(u):
        return u * (1 - weight / lipschitz / u.abs().clamp_min(1e-30)).clamp_min(0)

    found = fista(normal, target, shrink, lipschitz, 5000, tolerance=1e-13)
    slope = target - normal(found)
    zero = found == 0
    assert 0 < int(zero.sum()) < found.numel()
    assert float(slope[zero].abs().max()) <= weight * (1 + 1e-6)
    assert torch.allclose(slope[~zero], weight * found[~zero] / found[~zero].abs(), rtol=1e-5)


def test_objective_falls_and_a_good_start_is_neither_left_nor_changed():
    matrix, samples, hermitian, normal, target = problem(n_rows=40)
    lipschitz, weight = float(torch.linalg.eigvalsh(hermitian)[-1]), 5.0

    def objective(x):
        misfit = float((matrix @ x.flatten() - samples).norm()) ** 2
        return 0.5 * misfit + weight * total_variation(x)

    def prox(u):
        return total_variation_prox(u, weight / lipschitz, 100)[0]

    values = [
        objective(fista(normal, target, prox, lipschitz, n, tolerance=0.0))
        for n in (0, 1, 2, 4, 8, 16, 32, 64, 128)
    ]
    assert all(b <= a * (1 + 1e-9) for a, b in zip(values, values[1:], strict=False))
    best = fista(normal, target, prox, lipschitz, 2000, tolerance=1e-10)
    kept, calls = best.clone(), []

    def counted(u):
        calls.append(1)
        return normal(u)

    again = fista(counted, target, prox, lipschitz, 50, start=best)
    assert len(calls) == 1
    assert torch.equal(best, kept)
    assert (again - best).norm() < 1e-4 * best.norm()


def test_restarts_make_it_fast_where_momentum_alone_swings():
    """Strongly convex: restarts converge linearly; without them the error here is 6e-4."""
    eigenvalues = torch.logspace(0, 3, 200, dtype=torch.float64).to(torch.complex128)
    truth = torch.ones((1, 200), dtype=torch.complex128)
    target = eigenvalues * truth
    found = fista(lambda x: eigenvalues * x, target, lambda u: u, 1000.0, 1200, tolerance=0.0)
    assert (found - truth).norm() < 1e-6 * truth.norm()

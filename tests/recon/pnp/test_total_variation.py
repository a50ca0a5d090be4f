import numpy as np
import pytest
import torch
from skimage.restoration import denoise_tv_chambolle

from mri2qmap_bids.recon.pnp.total_variation import (
    total_variation,
    total_variation_prox,
    warm_total_variation,
)

SPACES = [(9, 7), (5, 4, 6)]


def image(space, seed=0, rank=2):
    torch.manual_seed(seed)
    return torch.randn((rank, *space), dtype=torch.complex128)


def prox(u, weight, n_inner=300):
    return total_variation_prox(u, weight, n_inner)[0]


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
    assert torch.allclose(prox(u, 100.0, 3000), mean, atol=1e-3)
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
    flipped = prox(u.flip(2), 0.1).flip(2)
    assert (flipped - prox(u, 0.1)).norm() < 0.01 * u.norm()


@pytest.mark.parametrize("space", [(24, 20), (8, 9, 7)])
@pytest.mark.parametrize("weight", [0.05, 0.3, 1.0])
def test_agrees_with_an_independent_solver(space, weight):
    rng = np.random.default_rng(0)
    u = rng.standard_normal(space) + 2 * (np.indices(space).sum(0) > sum(space) / 2)
    expected = denoise_tv_chambolle(u, weight=weight, eps=1e-12, max_num_iter=4000)
    found = prox(torch.from_numpy(u).to(torch.complex128)[None], weight, 2000)[0]
    assert np.linalg.norm(found.numpy() - expected) < 0.01 * np.linalg.norm(expected)


@pytest.mark.parametrize("space", SPACES)
def test_no_perturbation_lowers_the_objective(space):
    u, weight = image(space), 0.3
    found = prox(u, weight, 3000)

    def objective(x):
        return 0.5 * float((x - u).norm()) ** 2 + weight * total_variation(x)

    least = objective(found)
    for seed in range(20):
        for size in (1e-2, 1e-1, 1.0):
            assert objective(found + size * image(space, seed)) > least


def test_components_do_not_see_each_other():
    u = image((9, 7), rank=3)
    together = prox(u, 0.3, 50)
    assert torch.allclose(together[1:2], prox(u[1:2], 0.3, 50))


def test_total_variation_of_a_step_is_its_height_times_its_length():
    u = torch.zeros((1, 6, 5), dtype=torch.complex128)
    u[0, 3:] = 2j
    assert total_variation(u) == pytest.approx(10)


def test_a_warm_start_needs_few_steps():
    u, weight = image((24, 20)), 0.5
    warm = warm_total_variation(weight, 3)
    for _ in range(60):
        found = warm(u)
    expected = prox(u, weight, 3000)
    assert (found - expected).norm() < 1e-2 * expected.norm()
    assert (found - expected).norm() < 0.2 * (prox(u, weight, 3) - expected).norm()

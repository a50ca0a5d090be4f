import pytest
import torch

from mri2qmap_bids.recon.priors.low_rank import LocallyLowRank, locally_low_rank_prox

CASES = [((8, 12), 4, (0, 0)), ((9, 7), 4, (1, 3)), ((5, 6, 7), 3, (2, 0, 1)), ((3, 4), 8, (5, 6))]


def image(space, rank=3, seed=0, dtype=torch.complex128):
    torch.manual_seed(seed)
    return torch.randn((rank, *space), dtype=dtype)


def by_svd(u, weight, block, shift):
    """Block by block, along explicit edges, with the singular values of each."""
    result = torch.zeros_like(u)
    edges = [
        sorted({0, n, *range(low % block, n, block)})
        for n, low in zip(u.shape[1:], shift, strict=True)
    ]
    parts = [list(zip(e, e[1:], strict=False)) for e in edges]
    for corner in torch.cartesian_prod(*[torch.arange(len(p)) for p in parts]).tolist():
        where = (slice(None), *(slice(*p[i]) for p, i in zip(parts, corner, strict=True)))
        matrix = u[where].reshape(len(u), -1)
        columns, values, rows = torch.linalg.svd(matrix, full_matrices=False)
        values = (values - weight).clamp_min(0).to(u.dtype)
        result[where] = ((columns * values) @ rows).reshape(u[where].shape)
    return result


@pytest.mark.parametrize(("space", "block", "shift"), CASES)
@pytest.mark.parametrize("weight", [0.5, 2.0])
def test_agrees_with_a_direct_decomposition(space, block, shift, weight):
    u = image(space)
    shrunk = locally_low_rank_prox(u, weight, block, shift)
    assert torch.allclose(shrunk, by_svd(u, weight, block, shift), atol=1e-10)


@pytest.mark.parametrize(("space", "block", "shift"), CASES)
def test_zero_weight_changes_nothing_and_a_large_one_leaves_nothing(space, block, shift):
    u = image(space)
    assert torch.allclose(locally_low_rank_prox(u, 0.0, block, shift), u)
    assert not locally_low_rank_prox(u, 1e3, block, shift).any()


def test_an_image_of_zeros_stays_finite():
    u = torch.zeros((3, 8, 8), dtype=torch.complex64)
    assert torch.equal(locally_low_rank_prox(u, 0.0, 4, (0, 0)), u)
    assert torch.equal(locally_low_rank_prox(u, 1.0, 4, (0, 0)), u)


def test_a_block_of_one_tissue_shrinks_by_the_weight_and_keeps_its_tissue():
    torch.manual_seed(0)
    tissue = torch.randn(4, dtype=torch.complex128)
    u = tissue[:, None, None] * torch.randn((4, 4), dtype=torch.complex128)
    shrunk = locally_low_rank_prox(u, 1.5, 4, (0, 0))
    assert torch.allclose(shrunk, u * (1 - 1.5 / u.norm()))


def test_it_is_non_expansive_and_keeps_scale_and_phase():
    u, v = image((9, 7)), image((9, 7), seed=1)
    first, second = (locally_low_rank_prox(w, 1.0, 4, (1, 2)) for w in (u, v))
    assert (first - second).norm() <= (u - v).norm()
    assert torch.allclose(locally_low_rank_prox(1000j * u, 1000.0, 4, (1, 2)), 1000j * first)


def test_single_precision_is_enough_for_a_dynamic_range_of_a_subspace():
    """Components of 1 to 1e-4 beside one another survive the squares of their sizes."""
    scale = torch.logspace(0, -4, 5)[:, None, None]
    u = scale * image((8, 8), rank=5, dtype=torch.complex64)
    expected = by_svd(u.to(torch.complex128), 1e-4, 4, (0, 0))
    shrunk = locally_low_rank_prox(u, 1e-4, 4, (0, 0))
    assert float((shrunk - expected).abs().max()) < 1e-6


def shortened(u, weight, block=4):
    """The proximal map of the class, one threshold for all components."""
    term = LocallyLowRank(block)
    threshold = torch.full((len(u),), weight, dtype=torch.double)
    return term.synthesis(term.proximal(term.analysis(u), threshold)(slice(None)))


@pytest.mark.parametrize("space", [(16, 16), (9, 7), (8, 6, 9)])
def test_it_is_the_mean_of_two_tilings_half_a_block_apart(space):
    """With weights in units of the largest singular value of noise alone."""
    u, n_axes = image(space), len(space)
    weight = 0.3 * (3**0.5 + 4 ** (n_axes / 2))
    expected = sum(by_svd(u, weight, 4, [shift] * n_axes) for shift in (0, 2)) / 2
    assert torch.allclose(shortened(u, 0.3), expected, atol=1e-10)


@pytest.mark.parametrize("weight", [0.1, 0.5, 2.0])
def test_the_mean_of_tilings_is_non_expansive_and_keeps_scale_and_phase(weight):
    u, v = image((9, 7)), image((9, 7), seed=1)
    first, second = shortened(u, weight), shortened(v, weight)
    apart = torch.vdot((u - v).flatten(), (first - second).flatten()).real
    # Firmly, as every proximal map.
    assert (first - second).norm() ** 2 <= apart <= (u - v).norm() ** 2
    assert torch.allclose(shortened(1000j * u, 1000 * weight), 1000j * first)
    assert torch.allclose(shortened(u, 0.0), u)


def test_noise_alone_is_all_but_removed_at_a_weight_of_its_own_deviation():
    u = image((32, 32), rank=5, seed=3)
    assert float(shortened(u, 1.0).norm()) < 0.05 * float(u.norm())
    assert float(shortened(u, 0.3).norm()) > 0.3 * float(u.norm())


def test_thresholds_that_differ_are_refused():
    with pytest.raises(ValueError, match="threshold must be the same"):
        LocallyLowRank(4).proximal(image((8, 8))[None], torch.tensor([1.0, 1.0, 2.0]))

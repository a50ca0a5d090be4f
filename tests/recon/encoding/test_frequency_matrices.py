"""Products with a Hermitian matrix at every frequency, against full matrices."""

import pytest
import torch
from helpers.laws import relative_error

from mri2qmap_bids.recon.encoding.frequency_matrices import (
    frequency_pairs,
    full_matrices,
    multiply,
    rank_of,
    scaled,
    widened,
)

RANK, SHAPE = 4, (7, 19)


def stored(dtype, storage):
    """Random matrices in a storage, and in full: shape (*space, rank, rank)."""
    torch.manual_seed(3)
    upper = torch.randn(len(frequency_pairs(RANK)), *SHAPE, dtype=dtype)
    for pair, (i, j) in enumerate(frequency_pairs(RANK)):
        if i == j:
            upper[pair] = upper[pair].real.to(dtype)
    if storage == "half":
        parts = torch.view_as_real(upper) if dtype.is_complex else upper
        upper = parts.half()
    values = widened(upper, 2 + len(SHAPE))
    full = torch.zeros(*SHAPE, RANK, RANK, dtype=torch.complex64)
    for pair, (i, j) in enumerate(frequency_pairs(RANK)):
        full[..., i, j] = values[pair]
        full[..., j, i] = values[pair].conj()
    return upper, full


@pytest.mark.parametrize("with_scales", [False, True])
@pytest.mark.parametrize("storage", ["single", "half"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_it_is_the_product_with_the_full_matrices(dtype, storage, with_scales):
    upper, full = stored(dtype, storage)
    scales = None
    if with_scales:
        scales = tuple(1.0 + pair for pair in range(len(upper)))
        for pair, (i, j) in enumerate(frequency_pairs(RANK)):
            full[..., i, j] *= scales[pair]
            if i != j:
                full[..., j, i] *= scales[pair]
    spectra = torch.randn(2, RANK, *SHAPE, dtype=torch.complex64)
    expected = torch.einsum("yxij,cjyx->ciyx", full, spectra)
    assert relative_error(multiply(upper, spectra.clone(), scales), expected) < 1e-6


def test_matrices_are_scaled_pair_by_pair():
    upper = torch.ones(3, 5)
    assert scaled(upper, None) is upper
    assert scaled(upper, (1.0, 2.0, 3.0)).tolist() == [[1.0] * 5, [2.0] * 5, [3.0] * 5]


def test_identity_matrices_change_nothing():
    upper = torch.zeros(len(frequency_pairs(RANK)), *SHAPE)
    for pair, (i, j) in enumerate(frequency_pairs(RANK)):
        upper[pair] = float(i == j)
    spectra = torch.randn(1, RANK, *SHAPE, dtype=torch.complex64)
    assert torch.equal(multiply(upper, spectra.clone()), spectra)


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_full_matrices_are_hermitian_with_the_given_upper_triangle(dtype):
    upper, full = stored(dtype, "single")
    matrices = full_matrices(upper.flatten(1))
    assert rank_of(upper) == RANK
    assert torch.equal(matrices.to(torch.complex64), full.flatten(0, 1))
    assert torch.equal(matrices.mH, matrices)

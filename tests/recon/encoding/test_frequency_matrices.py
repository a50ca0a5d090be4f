"""Products with a Hermitian matrix at every frequency, against full matrices."""

import pytest
import torch
from helpers.laws import relative_error

from mri2qmap_bids.recon.encoding import frequency_matrices
from mri2qmap_bids.recon.encoding.frequency_matrices import (
    add_coils,
    frequency_pairs,
    full_matrices,
    multiply,
    rank_of,
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


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("storage", ["single", "half"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_it_is_the_product_with_the_full_matrices(dtype, storage, scaled, threads, monkeypatch):
    monkeypatch.setattr(frequency_matrices, "_CONVERTED", 50)
    monkeypatch.setattr(frequency_matrices, "_FEW", 0)
    upper, full = stored(dtype, storage)
    scales = None
    if scaled:
        scales = tuple(1.0 + pair for pair in range(len(upper)))
        for pair, (i, j) in enumerate(frequency_pairs(RANK)):
            full[..., i, j] *= scales[pair]
            if i != j:
                full[..., j, i] *= scales[pair]
    spectra = torch.randn(2, RANK, *SHAPE, dtype=torch.complex64)
    expected = torch.einsum("yxij,cjyx->ciyx", full, spectra)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert relative_error(multiply(upper, spectra.clone(), scales), expected) < 1e-6
    finally:
        torch.set_num_threads(before)
    monkeypatch.setattr(frequency_matrices, "_FEW", 1 << 18)
    assert relative_error(multiply(upper, spectra.clone(), scales), expected) < 1e-6


def test_identity_matrices_change_nothing():
    upper = torch.zeros(len(frequency_pairs(RANK)), *SHAPE)
    for pair, (i, j) in enumerate(frequency_pairs(RANK)):
        upper[pair] = float(i == j)
    spectra = torch.randn(1, RANK, *SHAPE, dtype=torch.complex64)
    assert torch.equal(multiply(upper, spectra.clone()), spectra)


@pytest.mark.parametrize("few", [0, 1 << 18])
def test_coils_are_added_with_conjugate_sensitivities(few, monkeypatch):
    monkeypatch.setattr(frequency_matrices, "_FEW", few)
    images = torch.randn(3, RANK, *SHAPE, dtype=torch.complex64)
    coils = torch.randn(3, *SHAPE, dtype=torch.complex64)
    total = torch.randn(RANK, *SHAPE, dtype=torch.complex64)
    expected = total + torch.einsum("cyx,cryx->ryx", coils.conj(), images)
    add_coils(images, coils, total)
    assert relative_error(total, expected) < 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_full_matrices_are_hermitian_with_the_given_upper_triangle(dtype):
    upper, full = stored(dtype, "single")
    matrices = full_matrices(upper.flatten(1))
    assert rank_of(upper) == RANK
    assert torch.equal(matrices.to(torch.complex64), full.flatten(0, 1))
    assert torch.equal(matrices.mH, matrices)

"""Fused kernels against torch, in Triton's interpreter or on a GPU.

Without a GPU they run where Triton is installed: `TRITON_INTERPRET=1 pytest tests/recon/encoding/test_fused.py`.
"""

import os

import pytest
import torch
from helpers.laws import relative_error

if not torch.cuda.is_available():
    # Read when the kernels are defined.
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from mri2qmap_bids.recon.encoding import fused  # noqa: E402
from mri2qmap_bids.recon.encoding.convolution import interleaved_ramp  # noqa: E402
from mri2qmap_bids.recon.encoding.frequency_matrices import (  # noqa: E402
    _multiply_by_pairs,
    frequency_pairs,
)
from mri2qmap_bids.recon.encoding.toeplitz import ToeplitzNormal, apply  # noqa: E402

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
ODD = (3, 7, 9)
"""More voxels than a program works on, and no multiple of their number."""


def numbers(*shape, dtype=torch.complex64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)), dtype=dtype).to(
        DEVICE
    )


def matrices(rank, shape, kind):
    n_pairs = len(frequency_pairs(rank))
    if kind == "complex":
        return numbers(n_pairs, *shape)
    parts = (2,) if kind == "complex half" else ()
    upper = numbers(n_pairs, *shape, *parts, dtype=torch.float32)
    return upper.half() if kind.endswith("half") else upper


@pytest.mark.parametrize("kind", ["real", "complex", "real half", "complex half"])
@pytest.mark.parametrize("rank", range(1, 13))
def test_products_with_matrices_are_those_of_torch(rank, kind):
    upper, spectra = matrices(rank, ODD, kind), numbers(2, rank, *ODD)
    scales = tuple(1.0 + pair for pair in range(len(upper))) if kind.endswith("half") else None
    expected = _multiply_by_pairs(upper, spectra, scales)
    product = fused.matrix_product(upper, spectra, scales)
    assert product is spectra
    assert relative_error(product.cpu(), expected.cpu()) < 1e-6


@pytest.mark.parametrize("shape", [(1,), (1, 1), (128,), (129,), (11, 13), (1, 5, 1), ODD], ids=str)
@pytest.mark.parametrize("n_coils", [1, 3])
def test_coil_images_and_their_sum_are_those_of_torch(shape, n_coils):
    image, coils = numbers(4, *shape), numbers(n_coils, *shape)
    for parity in {(0,) * len(shape), (1,) * len(shape), (1, *(0,) * (len(shape) - 1))}:
        modulation = (coils * interleaved_ramp(shape, parity, DEVICE))[:, None]
        images = fused.coil_images(image, coils, parity)
        assert relative_error(images.cpu(), (modulation * image).cpu()) < 1e-6
        total = image.clone()
        fused.coil_sum(images, coils, total, parity)
        expected = image + (modulation.conj() * images).sum(0)
        assert relative_error(total.cpu(), expected.cpu()) < 1e-6


@pytest.mark.parametrize("shape", [(1,), (0,), (0, 4)], ids=str)
def test_one_voxel_and_none(shape):
    spectra = numbers(2, 1, *shape)
    expected = 2 * spectra
    twice = torch.full((1, *shape), 2.0, device=DEVICE)
    assert torch.equal(fused.matrix_product(twice, spectra), expected)
    assert fused.coil_images(spectra[0], spectra[:, 0], (0,) * len(shape)).shape == spectra.shape


def test_no_coils_leave_the_sum_as_it_is():
    total = numbers(2, 5)
    expected = total.clone()
    fused.coil_sum(numbers(0, 2, 5), numbers(0, 5), total, (1,))
    assert torch.equal(total, expected)


def test_spectra_that_begin_within_a_larger_array_alone_are_changed():
    spectra = numbers(3, 2, 130)
    expected = spectra.clone()
    fused.matrix_product(torch.zeros(3, 130, device=DEVICE), spectra[1:2])
    assert not spectra[1].any()
    assert torch.equal(spectra[::2], expected[::2])


@pytest.mark.parametrize("kind", ["real", "complex half"])
@pytest.mark.parametrize("shape", [(9, 6), (5, 6, 7)], ids=str)
def test_the_normal_operator_is_that_of_torch(shape, kind, monkeypatch):
    rank = 3
    spectra = torch.stack(
        [scale * matrices(rank, shape, kind) for scale in range(1, 1 + 2 ** len(shape))]
    )
    scales = tuple(1.0 + pair for pair in range(spectra.shape[1]))
    operator = ToeplitzNormal(spectra, scales, numbers(3, *shape), coils_at_once=2)
    image = numbers(rank, *(n - 1 for n in shape))
    results = []
    convolution = "mri2qmap_bids.recon.encoding.convolution.fused_kernels"
    products = "mri2qmap_bids.recon.encoding.frequency_matrices.fused_kernels"
    for kernels in (None, fused):
        for name in (convolution, products):
            monkeypatch.setattr(name, lambda *_, kernels=kernels: kernels)
        results.append(apply(operator, image).cpu())
    assert relative_error(results[1], results[0]) < 1e-6


def test_kernels_are_for_a_gpu_and_single_precision():
    assert not fused.usable(torch.device("cpu"))
    assert fused.fits(numbers(1, 12, 4), matrices(12, (4,), "real half"))
    assert not fused.fits(numbers(1, 13, 4))
    assert not fused.fits(numbers(1, 2, 4).to(torch.complex128))
    assert not fused.fits(numbers(1, 2, 4), matrices(2, (4,), "real").double())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_with_a_compiler_uses_them():
    assert fused.usable(torch.device("cuda"))

"""Inner loops of A^H A on a GPU (Triton): one pass over memory each.

A kernel's program works on a block of voxels or frequencies, and on all coils one after the other, so
that what the coils share (matrices, image, sum) is read and written once. Triton comes with torch for
CUDA; :func:`usable` tells whether it works here.
"""

import logging
import math
from functools import cache, lru_cache
from typing import Any

import torch

from mri2qmap_bids.recon.arrays import CoilMaps, SubspaceImage
from mri2qmap_bids.recon.encoding import triton_loops

logger = logging.getLogger(__name__)

# Voxels or frequencies of one program, one for each thread: with more, registers do not suffice for the
# matrices of 12 components.
_BLOCK, _WARPS = 128, 4
# Beyond these, indices exceed 32 bits, or matrices the registers.
_MOST_VOXELS, _MOST_COMPONENTS = 1 << 29, 12


@cache
def usable(device: torch.device) -> bool:
    """Whether kernels can be compiled for a device: a GPU, Triton and a C compiler are needed."""
    if not triton_loops.AVAILABLE or device.type != "cuda":
        return False
    ones = torch.ones(1, 1, 2, dtype=torch.complex64, device=device)
    try:
        product = matrix_product(torch.full((1, 2), 2.0, device=device), ones)
        return bool((product == 2).all())
    # Missing compilers, drivers and outdated GPUs each raise an error of their own.
    except Exception as error:  # noqa: BLE001
        reason = str(error).strip().partition("\n")[0]
        logger.info("A^H A on this GPU without fused kernels, which is slower: %s", reason)
        return False


def fits(images: torch.Tensor, upper: torch.Tensor | None = None) -> bool:
    """Whether kernels exist for images, shape (coil, rank, *space), and for matrices.

    Parameters
    ----------
    images
        Spectra or images.
    upper
        Matrices in any storage.
    """
    types = (torch.float32, torch.float16, torch.complex64)
    return (
        images.dtype == torch.complex64
        and (upper is None or upper.dtype in types)
        and images.shape[1] <= _MOST_COMPONENTS
        and math.prod(images.shape[2:]) <= _MOST_VOXELS
    )


def matrix_product(
    upper: torch.Tensor, spectra: torch.Tensor, scales: tuple[float, ...] | None = None
) -> torch.Tensor:
    """Multiply spectra by the Hermitian matrix of every frequency, in place.

    Parameters
    ----------
    upper
        Elements i <= j, column after column, shape (pair, *space): float32, float16 or complex64; in half
        precision, complex ones have shape (pair, *space, 2).
    spectra
        Shape (coil, rank, *space), complex64, contiguous.
    scales
        Factor by which the stored values of each pair are multiplied; None: 1.
    """
    n_coils, rank = spectra.shape[:2]
    n = math.prod(spectra.shape[2:])
    if not spectra.numel():
        return spectra
    upper = upper.contiguous()
    stored = torch.view_as_real(upper) if upper.is_complex() else upper
    factors = stored if scales is None else _factors(scales, spectra.device)
    _launch(
        triton_loops.matrix_product,
        n,
        (stored, torch.view_as_real(spectra), factors, n),
        N_COILS=n_coils,
        RANK=rank,
        COMPLEX=upper.is_complex() or upper.ndim == spectra.ndim,
        SCALED=scales is not None,
    )
    return spectra


def coil_images(image: SubspaceImage, coils: CoilMaps, parity: tuple[int, ...]) -> torch.Tensor:
    """S_c ramp_q x of every coil, with ramp_q(n) = exp(-i pi q n / N); shape (coil, rank, *space).

    Parameters
    ----------
    image
        x, shape (rank, *space).
    coils
        S, shape (coil, *space).
    parity
        q along every axis, 0 or 1.
    """
    images = image.new_empty((len(coils), *image.shape))
    if images.numel():
        _launch_on_grid(triton_loops.coil_images, image.contiguous(), coils, images, parity)
    return images


def coil_sum(
    images: torch.Tensor, coils: CoilMaps, total: SubspaceImage, parity: tuple[int, ...]
) -> None:
    """Add sum_c conj(S_c ramp_q) x_c to ``total``; see :func:`coil_images`.

    Parameters
    ----------
    images
        x, shape (coil, rank, *space).
    coils
        S, shape (coil, *space).
    total
        Shape (rank, *space), contiguous.
    parity
        q along every axis, 0 or 1.
    """
    if images.numel():
        _launch_on_grid(triton_loops.coil_sum, total, coils, images.contiguous(), parity)


def _launch_on_grid(
    kernel: Any,
    image: torch.Tensor,
    coils: torch.Tensor,
    images: torch.Tensor,
    parity: tuple[int, ...],
) -> None:
    shape = image.shape[1:]
    n_y, n_x = (1, 1, *shape)[-2:]
    _launch(
        kernel,
        math.prod(shape),
        (
            *(torch.view_as_real(a) for a in (image, coils.contiguous(), images)),
            _waves(tuple(shape), parity, image.device),
            (math.prod(shape), n_y, n_x),
        ),
        N_COILS=len(coils),
        RANK=len(image),
    )


def _launch(kernel: Any, n: int, arguments: tuple[Any, ...], **constants: Any) -> None:
    with torch.cuda.device_of(arguments[0]):  # type: ignore[no-untyped-call]
        kernel[(-(-n // _BLOCK),)](*arguments, **constants, BLOCK=_BLOCK, num_warps=_WARPS)


@lru_cache(maxsize=64)
def _factors(scales: tuple[float, ...], device: torch.device) -> torch.Tensor:
    return torch.tensor(scales, device=device)


@lru_cache(maxsize=64)
def _waves(shape: tuple[int, ...], parity: tuple[int, ...], device: torch.device) -> torch.Tensor:
    """exp(-i pi q n / N) along z, then y, then x, as pairs of real numbers."""
    waves = [torch.ones(1, dtype=torch.complex128)] * (3 - len(shape))
    for n, q in zip(shape, parity, strict=True):
        phase = -math.pi * q * torch.arange(n, dtype=torch.float64) / n
        waves.append(torch.polar(torch.ones_like(phase), phase))
    return torch.view_as_real(torch.cat(waves).to(torch.complex64)).to(device)

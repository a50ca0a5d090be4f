"""Convolutions of coil images: the sum over coils that A^H A and its preconditioner consist of."""

import math
from collections.abc import Iterable

import torch

from mri2qmap_bids.recon.arrays import CoilMaps, SubspaceImage
from mri2qmap_bids.recon.encoding.convolution_blocks import convolve
from mri2qmap_bids.recon.encoding.frequency_matrices import fused_kernels, multiply

# Below this many numbers compiled loops save less time than their compilation takes (2 s).
_FEW = 1 << 17


def coil_convolutions(
    image: SubspaceImage,
    coils: CoilMaps,
    spectra: Iterable[tuple[tuple[int, ...], torch.Tensor]],
    scales: tuple[float, ...] | None = None,
    coils_at_once: int = 1,
) -> SubspaceImage:
    """sum_q sum_c conj(S_c ramp_q) IFFT(K_q FFT(S_c ramp_q x)), with ramp_q(n) = exp(-i pi q n / N).

    Parameters
    ----------
    image
        x, shape (rank, *space), contiguous.
    coils
        S, shape (coil, *space).
    spectra
        q along every axis, 0 or 1, and K_q in any storage, shape (pair, *space).
    scales
        Factor by which the stored values of each pair are multiplied; None: 1.
    coils_at_once
        Coils processed together.
    """
    grid = tuple(image.shape[1:])
    total = torch.zeros_like(image)
    if not image.numel() or not len(coils):
        return total
    if scales and all(scale == 1 for scale in scales):
        scales = None
    n_coils = min(coils_at_once, len(coils))
    if not image.is_cuda and n_coils * image.numel() >= _FEW:
        return convolve(image, coils, dict(spectra), scales, n_coils).div_(math.prod(grid))
    kernels = fused_kernels(image[None])
    scratch = image.new_empty(0 if kernels else (n_coils, *image.shape))
    for parity, upper in spectra:
        stored = upper.to(image.device, non_blocking=True)
        if kernels is not None:
            for some in torch.split(coils, n_coils):
                # No name holds the coil images: their memory is free for the inverse transform.
                convolved = _convolved(kernels.coil_images(image, some, parity), stored, scales)
                kernels.coil_sum(convolved, some, total, parity)
                del convolved
            continue
        ramp = interleaved_ramp(grid, parity, image.device)
        for some in torch.split(coils, n_coils):
            modulation = some * ramp if any(parity) else some
            images = torch.mul(image, modulation[:, None], out=scratch[: len(some)])
            convolved = _convolved(images, stored, scales)
            total += convolved.mul_(modulation[:, None].conj()).sum(0)
    return total.div_(math.prod(grid))


def _convolved(
    images: torch.Tensor, upper: torch.Tensor, scales: tuple[float, ...] | None
) -> torch.Tensor:
    """The number of voxels times IFFT(K FFT(x)): to divide each image would be one more pass."""
    axes = tuple(range(2, images.ndim))
    images = torch.fft.fftn(images, dim=axes)
    convolved: torch.Tensor = torch.fft.ifftn(
        multiply(upper, images, scales), dim=axes, norm="forward"
    )
    return convolved


def interleaved_ramp(
    shape: tuple[int, ...], parity: tuple[int, ...], device: torch.device
) -> torch.Tensor:
    """exp(-i pi q n / N) over the grid, shape (*space)."""
    ramp = torch.ones((1,) * len(shape), dtype=torch.complex64, device=device)
    for axis, (n, p) in enumerate(zip(shape, parity, strict=True)):
        view = [1] * len(shape)
        view[axis] = n
        phase = -math.pi * p * torch.arange(n, device=device) / n
        ramp = ramp * torch.polar(torch.ones_like(phase), phase).view(view)
    return ramp.expand(shape)

"""Products with a Hermitian r x r matrix at every frequency, stored as its upper triangle."""

import math
from types import ModuleType

import torch

from mri2qmap_bids.recon.arrays import CoilMaps, SubspaceImage
from mri2qmap_bids.recon.encoding import compiled

# Frequencies whose matrices are converted from half precision at once.
_CONVERTED = 1 << 18
# Below this many numbers machine code saves less time than its compilation takes (1.5 s).
_FEW = 1 << 17


def frequency_pairs(rank: int) -> list[tuple[int, int]]:
    """Elements (i, j), i <= j, of a Hermitian rank x rank matrix, in storage order."""
    return [(i, j) for j in range(rank) for i in range(j + 1)]


def full_matrices(upper: torch.Tensor) -> torch.Tensor:
    """The Hermitian matrices whose upper triangles are given.

    Parameters
    ----------
    upper
        Elements of :func:`frequency_pairs`, shape (pair, frequency).

    Returns
    -------
    Shape (frequency, rank, rank).
    """
    rank = rank_of(upper)
    rows, columns = (list(index) for index in zip(*frequency_pairs(rank), strict=True))
    matrices = upper.new_zeros((upper.shape[1], rank, rank))
    matrices[:, rows, columns] = upper.T
    matrices[:, columns, rows] = upper.T.conj()
    return matrices


def rank_of(upper: torch.Tensor) -> int:
    """Rank of matrices of so many pairs, shape (pair, ...)."""
    return (math.isqrt(8 * len(upper) + 1) - 1) // 2


def widened(upper: torch.Tensor, n_axes: int) -> torch.Tensor:
    """Matrices in single precision: in half, complex ones have ``n_axes`` axes, one more than others."""
    if upper.dtype != torch.float16:
        return upper
    upper = upper.float()
    return torch.view_as_complex(upper) if upper.ndim == n_axes else upper


def multiply(
    upper: torch.Tensor, images: torch.Tensor, scales: tuple[float, ...] | None = None
) -> torch.Tensor:
    """Multiply the spectra of images by the matrix of every frequency.

    Parameters
    ----------
    upper
        Elements of :func:`frequency_pairs`, shape (pair, *space), in any storage.
    images
        Spectra of images, shape (coil, rank, *space); may be overwritten.
    scales
        Factor by which the stored values of each pair are multiplied; None: 1.
    """
    if scales and all(scale == 1 for scale in scales):
        scales = None
    kernels = fused_kernels(images, upper)
    if kernels is not None:
        return kernels.matrix_product(upper, images.contiguous(), scales)  # type: ignore[no-any-return]
    if images.is_cuda or images.numel() < _FEW:
        return _multiply_by_pairs(upper, images, scales)
    images = images.contiguous()
    _multiply_on_cpu(upper, images, scales)
    return images


def add_coils(images: torch.Tensor, coils: CoilMaps, total: SubspaceImage) -> None:
    """Add sum_c conj(S_c) x_c to ``total``, shape (rank, *space).

    Parameters
    ----------
    images
        x, shape (coil, rank, *space); may be overwritten.
    coils
        S, shape (coil, *space).
    total
        Contiguous.
    """
    if total.is_cuda or images.numel() < _FEW:
        total += images.mul_(coils[:, None].conj()).sum(0)
        return
    n_coils, rank, n_voxels = len(coils), len(total), total[0].numel()
    compiled.coil_sum(
        images.contiguous().view(n_coils, rank, n_voxels).numpy(),
        coils.contiguous().view(n_coils, n_voxels).numpy(),
        total.view(rank, n_voxels).numpy(),
    )


def fused_kernels(images: torch.Tensor, upper: torch.Tensor | None = None) -> ModuleType | None:
    """The module of kernels for images on a GPU, where they can be compiled; otherwise None.

    Parameters
    ----------
    images
        Shape (coil, rank, *space).
    upper
        Matrices in any storage.
    """
    if not images.is_cuda:
        return None
    # On a CPU its import would only cost time.
    from mri2qmap_bids.recon.encoding import fused

    return fused if fused.fits(images, upper) and fused.usable(images.device) else None


def _multiply_by_pairs(
    upper: torch.Tensor, images: torch.Tensor, scales: tuple[float, ...] | None
) -> torch.Tensor:
    """One pair after the other."""
    product = torch.zeros_like(images)
    for pair, (i, j) in enumerate(frequency_pairs(images.shape[1])):
        scale = scales[pair] if scales else 1.0
        element = widened(upper[pair], images.ndim - 1)
        product[:, i].addcmul_(element, images[:, j], value=scale)
        if i != j:
            product[:, j].addcmul_(element.conj(), images[:, i], value=scale)
    return product


def _multiply_on_cpu(
    upper: torch.Tensor, images: torch.Tensor, scales: tuple[float, ...] | None
) -> None:
    n_frequencies = images[0, 0].numel()
    spectra = images.view(*images.shape[:2], n_frequencies).numpy()
    if upper.dtype != torch.float16 and scales is None:
        compiled.matrix_product(upper.contiguous().view(len(upper), n_frequencies).numpy(), spectra)
        return
    # A complex number in half precision is stored as two real ones.
    parts = upper.shape[images.ndim - 1 :]
    stored = upper.view(len(upper), n_frequencies, *parts)
    for start in range(0, n_frequencies, _CONVERTED):
        matrices = widened(stored[:, start : start + _CONVERTED], 3)
        if scales is not None:
            matrices = matrices * torch.tensor(scales)[:, None]
        compiled.matrix_product(matrices.contiguous().numpy(), spectra, start)

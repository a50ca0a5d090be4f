"""Products with a Hermitian r x r matrix at every frequency, stored as its upper triangle."""

import math
from types import ModuleType

import torch


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


def scaled(upper: torch.Tensor, scales: tuple[float, ...] | None) -> torch.Tensor:
    """Matrices, shape (pair, frequency), whose pairs are multiplied by their scales; None: 1."""
    return upper if scales is None else upper * torch.tensor(scales, device=upper.device)[:, None]


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
    kernels = fused_kernels(images, upper)
    if kernels is not None:
        return kernels.matrix_product(upper, images.contiguous(), scales)  # type: ignore[no-any-return]
    return _multiply_by_pairs(upper, images, scales)


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

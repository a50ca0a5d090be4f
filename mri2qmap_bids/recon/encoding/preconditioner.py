"""Preconditioner: an approximate inverse of A^H A + penalty."""

from collections.abc import Callable

import torch

from mri2qmap_bids.recon.arrays import CoilMaps, SubspaceImage
from mri2qmap_bids.recon.encoding.circulant import Circulant, inverse
from mri2qmap_bids.recon.encoding.convolution import coil_convolutions
from mri2qmap_bids.recon.encoding.convolution_blocks import by_columns

_SOFTENING, _LEAST = 0.3, 0.05
"""Constant added to the circulant's matrices, relative to C_11 clamped between a twentieth of its median
and the median: directions resolved only by the coil sensitivities appear unsampled in the circulant,
and their inverse would be far too large."""


def preconditioner(
    circulant: Circulant,
    coils: CoilMaps,
    penalty: torch.Tensor,
    coils_at_once: int = 1,
) -> Callable[[SubspaceImage], SubspaceImage]:
    """M = (B + sum_c S_c^H B S_c) / 2 with B = (C + penalty + softening)^-1.

    B alone is a good approximation if k-space is sampled about uniformly, but a poor one near a
    densely sampled centre, whose weight the coil sensitivities spread over neighbouring frequencies
    in C. The second term is a good approximation where every coil image is sampled well (S is an
    isometry). Their mean needs few steps in both cases. M is Hermitian and positive.

    Parameters
    ----------
    circulant
        C, the circulant part of A^H A.
    coils
        S, shape (coil, *space), with a root sum of squares of 1.
    penalty
        Added to A^H A, of every component and frequency, broadcast to (rank, *space).
    coils_at_once
        Coils processed together.

    References
    ----------
    Chan, An optimal circulant preconditioner for Toeplitz systems (1988), doi:10.1137/0909051.
    Fessler and Booth, Conjugate-gradient preconditioning methods for shift-variant PET image
    reconstruction (1999), doi:10.1109/83.760336.
    """
    level = circulant.level
    softening = _SOFTENING * circulant.diagonal[0].clamp(_LEAST * level, level)
    matrices = inverse(circulant, penalty + softening.to(penalty.device)).upper
    if not matrices.is_cuda:
        matrices = by_columns(matrices, coils[0].ndim)

    def apply(image: SubspaceImage) -> SubspaceImage:
        # B itself is the sum over one coil of sensitivity 1.
        plain = torch.ones_like(coils[:1])
        spectra = [((0,) * coils[0].ndim, matrices)]
        image = image.contiguous()
        result = coil_convolutions(image, plain, spectra)
        result += coil_convolutions(image, coils, spectra, coils_at_once=coils_at_once)
        return result / 2

    return apply

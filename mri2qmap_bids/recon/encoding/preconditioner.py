"""Preconditioner: an approximate inverse of A^H A + penalty."""

from collections.abc import Callable

import torch

from mri2qmap_bids.recon.arrays import CoilMaps, SubspaceImage
from mri2qmap_bids.recon.encoding.circulant import Circulant, inverse
from mri2qmap_bids.recon.encoding.convolution import coil_convolutions
from mri2qmap_bids.recon.encoding.convolution_blocks import by_columns

# Constant added to the circulant's matrices, relative to C_11 clamped between a twentieth of its level and the
# level: directions resolved only by the coil sensitivities appear unsampled in the circulant, and their inverse
# would be far too large.
_SOFTENING, _LEAST = 0.3, 0.05
# Part of the coils' energy that the preconditioner's coils have at least: 3 or 4 of 8 around a head, and
# conjugate gradients take as many steps as with all of them.
_ENERGY = 0.98
# Root sum of squares below which these coils are not scaled up.
_WEAK = 0.1


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
    isometry). Their mean needs few steps in both cases. M is Hermitian and positive. On a CPU its S are
    :func:`principal_coils`: there it takes a fifth of a solver's time with all coils, on a GPU an eighth.

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
        # On a GPU the memory of other coils is worth more than the time.
        coils = principal_coils(coils)
    n_at_once = min(coils_at_once, len(coils))
    spectra = [((0,) * coils[0].ndim, matrices)]

    def apply(image: SubspaceImage) -> SubspaceImage:
        image = image.contiguous()
        # B itself is the sum over one coil of sensitivity 1.
        result = coil_convolutions(image, torch.ones_like(coils[:1]), spectra)
        result += coil_convolutions(image, coils, spectra, coils_at_once=n_at_once)
        return result.div_(2)

    return apply


def principal_coils(coils: CoilMaps, energy: float = _ENERGY) -> torch.Tensor:
    """The fewest orthogonal combinations of the coils that hold a part of their energy, shape (combination, *space).

    sum_c S_c^H B S_c is the same for every unitary combination of the coils, and sensitivities of neighbouring
    coils are alike: the first principal components stand for all of them. They are scaled to a root sum of squares
    of 1 where they hold a hundredth of the energy or more.

    Parameters
    ----------
    coils
        S, shape (coil, *space), with a root sum of squares of 1, or 0 outside the object.
    energy
        Part of the sum of |S|^2 to hold.
    """
    flat = coils.reshape(len(coils), -1)
    values, vectors = torch.linalg.eigh((flat @ flat.mH).cpu().to(torch.complex128))
    held = values.flip(0).clamp_min(0).cumsum(0)
    n = int((held < energy * held[-1]).sum()) + 1
    combined: torch.Tensor = vectors[:, -n:].mH.to(coils) @ flat
    combined.div_(torch.linalg.vector_norm(combined, dim=0).clamp_min(_WEAK))
    return combined.view(n, *coils.shape[1:])

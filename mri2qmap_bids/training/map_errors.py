"""Errors of the maps that errors of the contrasts mean."""

from dataclasses import dataclass

import numpy as np
import torch

from mri2qmap_bids.recon.physics.contrasts import DENOISED_CONTRASTS, log_slopes, synthesise
from mri2qmap_bids.training.maps import T1_RANGE, T2_RANGE, RandomMaps

TISSUES = (28, 24)
"""Number of T1 and of T2 in the grid of tissues."""

_GREY = (torch.tensor([1.4]), torch.tensor([0.09]))
_RIDGE = 0.01
_LEAST_SIGNAL = 0.1


@dataclass(frozen=True, eq=False)
class ContrastInverse:
    """Errors of the contrasts to errors of the maps, to first order, on the grid of tissues."""

    matrices: torch.Tensor
    """Errors of the contrasts of M0 = 1 to errors of (log T1, log T2, log M0), least squares
    with every contrast counted relative to its grey matter, shape (n_t1, n_t2, 3, contrast)."""
    contrasts: tuple[str, ...]
    """BIDS suffix of every contrast."""


def contrast_inverse(contrasts: tuple[str, ...], device: torch.device) -> ContrastInverse:
    """(G^T W^2 G + e)^-1 G^T W^2 with the slopes G of the contrasts.

    Parameters
    ----------
    contrasts
        BIDS suffixes.
    device
        To put the matrices on.
    """
    t1, t2 = tissue_pairs().unbind(1)
    one = torch.ones(1)
    weights = torch.cat([1 / synthesise(DENOISED_CONTRASTS[k], one, *_GREY) for k in contrasts])
    slopes = torch.stack([log_slopes(DENOISED_CONTRASTS[k], t1, t2) for k in contrasts], 1)
    weighted = slopes * weights[:, None]
    inverse: torch.Tensor = torch.linalg.inv(weighted.mT @ weighted + _RIDGE * torch.eye(3))
    matrices = inverse @ weighted.mT * weights
    return ContrastInverse(matrices.view(*TISSUES, 3, len(contrasts)).to(device), contrasts)


def errors_of_maps(
    errors: torch.Tensor, maps: RandomMaps, inverse: ContrastInverse
) -> torch.Tensor:
    """What errors of the contrasts mean for log T1, log T2 and log M0, to first order.

    Parameters
    ----------
    errors
        Of the contrasts, shape (batch, contrast, *space).
    maps
        The true maps.
    inverse
        For the contrasts, on the device of the errors.

    Returns
    -------
    Shape (batch, 3, *space); 0 where there is no signal.
    """
    mask = maps.m0 > _LEAST_SIGNAL
    matrices = inverse.matrices[cell_of(maps.t1, maps.t2)]
    scaled = errors / scale_of(maps.m0.clamp_min(_LEAST_SIGNAL), inverse.contrasts)
    return torch.einsum("b...ij,bj...->bi...", matrices, scaled) * mask[:, None]


def tissue_pairs() -> torch.Tensor:
    """T1 and T2 of the grid of tissues [s], shape (n_t1 n_t2, 2); an unphysical T2 is lowered to 0.95 T1."""
    axes = (
        torch.from_numpy(np.geomspace(*limits, n).astype(np.float32))
        for limits, n in zip((T1_RANGE, T2_RANGE), TISSUES, strict=True)
    )
    pairs = torch.cartesian_prod(*axes)
    pairs[:, 1] = torch.minimum(pairs[:, 1], 0.95 * pairs[:, 0])
    return pairs


def cell_of(t1: torch.Tensor, t2: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Index of the tissue in the grid that is nearest to each voxel's."""
    return _nearest(t1, T1_RANGE, TISSUES[0]), _nearest(t2, T2_RANGE, TISSUES[1])


def scale_of(m0: torch.Tensor, contrasts: tuple[str, ...]) -> torch.Tensor:
    """M0, or 1 for a normalised contrast, shape (batch, contrast, *space)."""
    one = torch.ones_like(m0)
    return torch.stack([one if DENOISED_CONTRASTS[k].normalised else m0 for k in contrasts], 1)


def _nearest(values: torch.Tensor, limits: tuple[float, float], n: int) -> torch.Tensor:
    low, high = np.log(limits)
    position: torch.Tensor = (values.clamp_min(1e-6).log() - low) / (high - low) * (n - 1)
    return position.round().long().clamp(0, n - 1)

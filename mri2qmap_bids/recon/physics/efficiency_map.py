"""The efficiency of the inversion at every voxel, from the data of a scan."""

from dataclasses import replace

import numpy as np
import torch
from scipy import ndimage

from mri2qmap_bids.recon.arrays import QuantityMap, SubspaceImage
from mri2qmap_bids.recon.physics.dictionary import Dictionary
from mri2qmap_bids.recon.physics.efficiency_scores import (
    STEP,
    VoxelAtoms,
    efficiency_scores,
)
from mri2qmap_bids.recon.physics.inversion_efficiency import within_dictionary

# Standard deviation of the window [m], and of the efficiency about its mean before anything is measured.
_WINDOW, _PRIOR = 12e-3, 0.2
_STEPS, _VOXELS_AT_ONCE = 6, 65536


def with_efficiencies_as_field(dictionary: Dictionary) -> Dictionary:
    """A dictionary of several efficiencies in which they have the place of the transmit fields.

    Matching and prediction then take a map of the efficiency as they take one of the transmit field.

    Parameters
    ----------
    dictionary
        Simulated at several efficiencies and at one transmit field.
    """
    return replace(
        dictionary,
        b1=dictionary.efficiencies,
        efficiencies=torch.zeros(0, device=dictionary.atoms.device),
    )


def local_efficiency(
    image: SubspaceImage,
    mask: torch.Tensor,
    dictionary: Dictionary,
    mean: float,
    voxel_size: tuple[float, ...],
) -> QuantityMap:
    """Efficiency of every voxel, the same within a Gaussian window (local likelihood).

    Gauss-Newton steps of

        sum over v of w_v |x_v - m0 Phi^H d(theta, e)|^2 G(|v - u|) + (e - mean)^2 / 0.2^2

    at every voxel u; theta and m0 are eliminated, and G has 12 mm standard deviation. Voxels that fingerprints explain
    badly weigh less: w = 1 / (1 + r / median r) for the squared residual r. Those with a T1 at an end of the
    dictionary weigh nothing.

    Parameters
    ----------
    image
        Subspace image, white in its components with deviation 1, shape (rank, *space).
    mask
        Voxels with signal, shape (*space).
    dictionary
        White as the image, with the efficiencies as field (:func:`with_efficiencies_as_field`).
    mean
        Efficiency of the whole image.
    voxel_size
        Along the axes of space [m].

    Returns
    -------
    Within the efficiencies of the dictionary; outside the mask it continues towards the mean.

    References
    ----------
    Tibshirani and Hastie, Local likelihood estimation (1987), doi:10.1080/01621459.1987.10478466.
    """
    low, high = float(dictionary.b1[0]), float(dictionary.b1[-1])
    widths = [_WINDOW / size for size in voxel_size]
    efficiency = torch.full(mask.shape, mean, device=mask.device)
    voxels, prior = image[:, mask], 1 / _PRIOR**2
    for _ in range(_STEPS):
        score, information = (
            _windowed(values, mask, widths)
            for values in _weighted_scores(voxels, efficiency[mask], dictionary)
        )
        step = (score + prior * (mean - efficiency)) / (information + prior)
        efficiency = (efficiency + step).clamp(low, high)
    return efficiency


def _weighted_scores(
    voxels: SubspaceImage, efficiency: QuantityMap, dictionary: Dictionary
) -> tuple[torch.Tensor, torch.Tensor]:
    """Score and information of every voxel, times its weight."""
    low, high = float(dictionary.b1[0]), float(dictionary.b1[-1])
    parts = []
    for part, own in zip(
        torch.split(voxels, _VOXELS_AT_ONCE, 1),
        torch.split(efficiency, _VOXELS_AT_ONCE),
        strict=True,
    ):
        below, above = (own - STEP).clamp_min(low), (own + STEP).clamp_max(high)
        sides = [VoxelAtoms(dictionary, field) for field in (below, own, above)]
        scores = efficiency_scores(part, sides[0], sides[1], sides[2], above - below)
        inside = within_dictionary(scores.maps, dictionary)
        parts.append((scores.score, scores.information, scores.residual, inside))
    score, information, residual, inside = map(torch.cat, zip(*parts, strict=True))
    if not inside.any():
        return torch.zeros_like(score), torch.zeros_like(score)
    usual = residual[inside].median().clamp_min(1e-9)
    weight = inside / (1 + residual / usual)
    return weight * score, weight * information


def _windowed(values: torch.Tensor, mask: torch.Tensor, widths: list[float]) -> QuantityMap:
    """Sum over the window, whose peak is 1, at every voxel."""
    spread = torch.zeros(mask.shape, dtype=torch.float64)
    spread[mask.cpu()] = values.cpu().double()
    peak = float(np.prod([max(1.0, (2 * np.pi) ** 0.5 * width) for width in widths]))
    smooth = ndimage.gaussian_filter(spread.numpy(), widths, mode="constant")
    return torch.from_numpy((peak * smooth).astype(np.float32)).to(mask.device)

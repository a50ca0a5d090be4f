"""Total variation and its proximal map."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import torch

from mri2qmap_bids.recon.arrays import Proximal, SubspaceImage
from mri2qmap_bids.recon.frequency import frequency_axes

_TINY = 1e-30


@dataclass(frozen=True, eq=False)
class TotalVariation:
    """TV(x) = sum over voxels p of v(p) sqrt(sum over rank r and axes d of w_r^2 |x_r(p + e_d) - x_r(p)|^2).

    K takes the differences between neighbours, g sums the lengths of those of all components together; differences
    across the boundary are 0. An edge in one component makes one in another cost less: weak components
    keep the edges that they share with strong ones, and lose noise elsewhere.

    References
    ----------
    Rudin, Osher and Fatemi, Nonlinear total variation based noise removal algorithms (1992),
    doi:10.1016/0167-2789(92)90242-F. Bresson and Chan, Fast dual minimization of the vectorial total
    variation norm and applications to color image processing (2008), doi:10.3934/ipi.2008.2.455.
    """

    voxels: torch.Tensor | None = None
    """v, not negative, shape (*space); None: 1 everywhere."""

    def parts(self, rank: int) -> list[slice]:
        """Each component separately: differences of all of them would take much memory."""
        return [slice(i, i + 1) for i in range(rank)]

    def analysis(self, image: SubspaceImage) -> torch.Tensor:
        """K x, shape (axis, rank, *space)."""
        return _differences(image)

    def synthesis(self, split: torch.Tensor) -> SubspaceImage:
        """K^H z, shape (rank, *space)."""
        return _differences_adjoint(split)

    def proximal(self, split: torch.Tensor, threshold: torch.Tensor) -> Proximal:
        """Soft thresholding of the differences of every voxel, all components together.

        With z_r / t_r the differences of a voxel over their thresholds, all are multiplied by
        max(0, 1 - v / |z / t|). This is the proximal map if t_r is inversely proportional to w_r:
        rho_r proportional to w_r^2.
        """
        components = (split[:, part] for part in self.parts(len(threshold)))
        shorter = _joint_square(components, 1 / threshold.clamp_min(_TINY)).rsqrt_()
        if self.voxels is not None:
            # Where all differences are 0 and v is, too, they stay 0.
            shorter = shorter.clamp_max_(torch.finfo(shorter.dtype).max).mul_(self.voxels)
        factor = (1 - shorter).clamp_min_(0)
        return lambda part: split[:, part] * factor


def differences_spectrum(shape: tuple[int, ...], device: torch.device) -> torch.Tensor:
    """K^H K by frequency if the boundary were periodic: sum_d 2 - 2 cos(2 pi g_d / n_d)."""
    total = torch.zeros((1,) * len(shape), device=device)
    for frequency in frequency_axes(shape, device):
        total = total + (2 - 2 * torch.cos(2 * math.pi * frequency))
    return total


def mean_difference(image: SubspaceImage) -> torch.Tensor:
    """Mean length of the differences of every component, shape (rank,)."""
    alone = image.real.new_ones(1)
    return torch.stack([_joint_lengths(part[None], alone).mean() for part in image])


def mean_joint_difference(image: SubspaceImage, weight: torch.Tensor) -> float:
    """Mean length of the weighted differences of all components together, in the object.

    sum_p |x(p)| d(p) / sum_p |x(p)|, with d the summands of TV: an empty background does not count. 0 for an
    image of zeros.

    Parameters
    ----------
    image
        Shape (rank, *space).
    weight
        Of every component, shape (rank,).
    """
    return _mean_in_object(_joint_lengths(image, weight), image)


def edge_weights(image: SubspaceImage, weight: torch.Tensor) -> torch.Tensor:
    """Weights of total variation that spare the edges of an image: d / (d + |D x|(p)), shape (*space).

    |D x|(p) is the summand of TV at voxel p, and d its mean in the object (:func:`mean_joint_difference`). The weight
    is 1 where the image is flat, 1/2 where the difference is the mean, and small at edges. Total variation with these
    weights is the penalty d log(1 + |D x| / d) near the image: a high edge costs hardly more than a low one, and
    therefore keeps its height.

    Parameters
    ----------
    image
        Shape (rank, *space).
    weight
        Of every component, shape (rank,).

    References
    ----------
    Candes, Wakin and Boyd, Enhancing sparsity by reweighted l1 minimization (2008), doi:10.1007/s00041-008-9045-x.
    """
    lengths = _joint_lengths(image, weight)
    return 1 / (1 + lengths / max(_mean_in_object(lengths, image), _TINY))


def total_variation(image: SubspaceImage, weight: torch.Tensor) -> float:
    """TV(x) of :class:`TotalVariation` with a weight for every component."""
    return float(_joint_lengths(image, weight).sum())


def _differences(image: torch.Tensor) -> torch.Tensor:
    """D x: x(p + e_d) - x(p) along every axis, 0 at its end, shape (axis, rank, *space)."""
    result = image.new_zeros((image.ndim - 1, *image.shape))
    for axis in range(1, image.ndim):
        n = image.shape[axis] - 1
        result[axis - 1].narrow(axis, 0, n).copy_(
            image.narrow(axis, 1, n) - image.narrow(axis, 0, n)
        )
    return result


def _differences_adjoint(dual: torch.Tensor) -> torch.Tensor:
    """D^H q, minus the divergence, shape (rank, *space)."""
    result = torch.zeros_like(dual[0])
    for axis in range(1, result.ndim):
        n = result.shape[axis] - 1
        inner = dual[axis - 1].narrow(axis, 0, n)
        result.narrow(axis, 1, n).add_(inner)
        result.narrow(axis, 0, n).sub_(inner)
    return result


def _mean_in_object(values: torch.Tensor, image: SubspaceImage) -> float:
    """Mean of a real map over voxels, weighted with the magnitude of an image; 0 for an image of zeros."""
    alone = (part[None, None] for part in image)
    magnitude = _joint_square(alone, values.new_ones(len(image))).sqrt_()
    return float((values * magnitude).sum() / magnitude.sum().clamp_min(_TINY))


def _joint_lengths(image: SubspaceImage, weight: torch.Tensor) -> torch.Tensor:
    """Length of every voxel's weighted differences in all components together, shape (*space).

    The components are differenced one by one.
    """
    components = (_differences(part[None]) for part in image)
    return _joint_square(components, weight).sqrt_()


def _joint_square(components: Iterable[torch.Tensor], weight: torch.Tensor) -> torch.Tensor:
    """Squared length of every voxel's weighted values in all components together, shape (*space)."""
    squares = (_squared_length(part) * w**2 for w, part in zip(weight, components, strict=True))
    total: torch.Tensor = reduce(torch.Tensor.add_, squares)
    return total


def _squared_length(dual: torch.Tensor) -> torch.Tensor:
    """Squared length of every voxel's values in one component, shape (*space)."""
    # Term by term: a norm along the first axis (torch.linalg.vector_norm) takes 30 times as long.
    parts = [dual.real, dual.imag] if dual.is_complex() else [dual]
    square = torch.zeros_like(parts[0][0, 0])
    for part in parts:
        for values in part[:, 0]:
            square.addcmul_(values, values)
    return square

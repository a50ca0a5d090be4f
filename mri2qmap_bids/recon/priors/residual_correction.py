"""Residual correction: a bilateral-weighted Gauss-Newton step where the residual exceeds its noise."""

import itertools
from dataclasses import replace

import torch

from mri2qmap_bids.recon.arrays import NoiseDeviation, SubspaceImage
from mri2qmap_bids.recon.physics.dictionary import Dictionary
from mri2qmap_bids.recon.physics.matching import TissueMaps, inside_grid, signal_of, tangents
from mri2qmap_bids.recon.voxelwise import voxelwise

# Standard deviations of the spatial weights [voxel], widest first, and their cut-off in standard deviations.
_SCALES = (3.0, 2.0)
_REACH = 2.0
# Standard deviations of the range weights of the bilateral filter: in log T1 and in log |m0|.
_ALIKE = (0.07, 0.2)
# Squared length of a step, in units of its noise (3 on average for noise alone), below which the step is
# set to zero. A lower value preserves more of small lesions, and more noise.
_NOISE = 1.5
_QUANTITIES = 3
_LARGEST_STEP = 0.5
_RIDGE = 1e-6
_TINY = 1e-20
_VOXELS_AT_ONCE = 65536
FIELDS = 4 + 4 + 10
"""Values per voxel that are averaged over its neighbours: Re J^H r, Re J^H n and the upper triangle of Re J^H J."""


def corrected_by_residual(
    maps: TissueMaps,
    image: SubspaceImage,
    noise: SubspaceImage,
    dictionary: Dictionary,
    deviation: NoiseDeviation,
) -> TissueMaps:
    """Residual correction of maps: a bilateral-weighted Gauss-Newton step where the residual exceeds its noise.

    A prior has the same bias wherever the tissue is the same; noise differs between voxels. With r = x - z,
    z = m0 Phi^H d(theta) the image predicted from the maps, J its derivatives along
    p = (log T1, log T2, log |m0|, phase), both divided by the deviation of the noise, and
    bilateral weights w, which decrease with the distance of two voxels and with the difference of
    their log T1 and log |m0|, for each spatial width in turn

        p <- p + g step,  step = (sum w Re J^H J)^-1 sum w Re J^H r,
        g = max(0, 1 - (c / S)^2),  S = step^T C^-1 step over T1, T2 and m0,

    with C the covariance of the step if r is only noise: that of white noise of this deviation, times one
    factor f, at least 1, by which S of a sample n of the image's noise is larger, in the mean over voxels weighted
    by |m0|. (Noise that undersampling has spread over neighbours averages out less than white noise.) At the
    second, narrower width c is f times as large: the first has taken most of what is not noise, and among a few
    voxels that share their noise the rest looks like structure. The shrinkage g is intermediate between that of
    James and Stein (to the first power) and a hard threshold.
    Maps are unchanged where the residual is noise; where one quantity changes significantly, the whole step is
    taken for all of them, as in a lesion whose contrast the prior has reduced.

    Parameters
    ----------
    maps
        Shape (*space).
    image
        Unregularised subspace image with noise of this deviation, or the image predicted from the
        maps plus the residual image of the data, shape (rank, *space).
    noise
        Sample of the noise in ``image``, shape (rank, *space).
    dictionary
        Fingerprints on the same device.
    deviation
        Of the noise in the real and in the imaginary part of every component, shape (rank,): the weights
        of the components.

    References
    ----------
    Tomasi and Manduchi, Bilateral filtering for gray and color images (1998),
    doi:10.1109/ICCV.1998.710815. James and Stein, Estimation with quadratic loss (1961). Osher et
    al., An iterative regularization method for total variation-based image restoration (2005),
    doi:10.1137/040605412.
    """
    weight = maps.m0.abs().flatten()
    for number, scale in enumerate(_SCALES):
        fields = _normal_equations(maps, image, noise, dictionary, deviation)
        guides = torch.stack([maps.t1.log(), maps.m0.abs().clamp_min(_TINY).log()])
        guides = guides / guides.new_tensor(_ALIKE).view(2, *[1] * maps.t1.ndim)
        mean, shrinkage = _over_alike(fields, guides, scale)
        parts = [
            _solved(*part)
            for part in zip(
                torch.split(mean.flatten(1), _VOXELS_AT_ONCE, 1),
                torch.split(shrinkage.flatten(), _VOXELS_AT_ONCE),
                strict=True,
            )
        ]
        steps, length, noise_length = (torch.cat(part, -1) for part in zip(*parts, strict=True))
        excess = (weight @ noise_length / weight.sum().clamp_min(_TINY) / _QUANTITIES).clamp_min(1)
        threshold = _NOISE * excess ** (1 + number)
        gain = (1 - (threshold / length.clamp_min(_TINY)).square()).clamp_min(0)
        maps = _moved(maps, (gain * steps).view(4, *maps.t1.shape), dictionary)
    return maps


def n_neighbours(dim: int) -> int:
    """Total number of neighbours of a voxel, including itself, over all widths, in 2 or 3 dimensions."""
    return sum(len(_neighbourhood(scale, dim)) for scale in _SCALES)


def _neighbourhood(scale: float, dim: int) -> list[tuple[int, ...]]:
    """Offsets of the voxels in a neighbourhood of standard deviation ``scale``."""
    reach = int(_REACH * scale)
    box = itertools.product(range(-reach, reach + 1), repeat=dim)
    return [offset for offset in box if sum(step * step for step in offset) <= reach * reach]


def _normal_equations(
    maps: TissueMaps,
    image: SubspaceImage,
    noise: SubspaceImage,
    dictionary: Dictionary,
    deviation: NoiseDeviation,
) -> torch.Tensor:
    """Re J^H r, Re J^H n and the upper triangle of Re J^H J of every voxel, shape (4 + 4 + 10, *space)."""
    residual = (image - signal_of(maps, dictionary)).flatten(1)
    images = (residual, noise.flatten(1))
    tissues = [maps.t1, maps.t2] if maps.b1 is None else [maps.t1, maps.t2, maps.b1]
    m0 = maps.m0.flatten()
    rows, columns = torch.triu_indices(4, 4)
    fields = maps.t1.new_empty((FIELDS, len(m0)))
    for start in range(0, len(m0), _VOXELS_AT_ONCE):
        part = slice(start, start + _VOXELS_AT_ONCE)
        atom, along_t1, along_t2 = (
            values / deviation
            for values in tangents(dictionary, *(tissue.flatten()[part] for tissue in tissues))
        )
        slopes = torch.stack([along_t1, along_t2, atom, 1j * atom], -1) * m0[part, None, None]
        scores = [
            voxelwise("vri,vr->iv", slopes.conj(), values[:, part].T / deviation).real
            for values in images
        ]
        information = voxelwise("vri,vrj->ijv", slopes.conj(), slopes).real
        fields[:, part] = torch.cat([*scores, information[rows, columns]])
    return fields.view(FIELDS, *maps.t1.shape)


def _over_alike(
    fields: torch.Tensor, guides: torch.Tensor, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weighted mean of fields over a neighbourhood, and sum w^2 / (sum w)^2.

    Parameters
    ----------
    fields
        Shape (field, *space).
    guides
        Guide images of the bilateral filter, in units of their range deviation, shape (guide, *space).
    scale
        Standard deviation of the neighbourhood [voxel].
    """
    shape = fields.shape[1:]
    total = torch.zeros_like(fields)
    weights, squares = torch.zeros_like(guides[0]), torch.zeros_like(guides[0])
    for offset in _neighbourhood(scale, len(shape)):
        if any(abs(step) >= n for step, n in zip(offset, shape, strict=True)):
            continue
        away = sum(step * step for step in offset)
        own, other = (
            tuple(
                slice(max(0, sign * step), n + min(0, sign * step))
                for step, n in zip(offset, shape, strict=True)
            )
            for sign in (-1, 1)
        )
        apart = (guides[:, *other] - guides[:, *own]).square().sum(0)
        weight = torch.exp(-0.5 * (away / scale**2 + apart))
        total[:, *own].addcmul_(weight, fields[:, *other])
        weights[own] += weight
        squares[own] += weight.square()
    return total / weights, squares / weights.square()


def _solved(
    mean: torch.Tensor, shrinkage: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gauss-Newton steps of some voxels, shape (4, voxel), and S of the step and of that of the noise."""
    scores, upper = mean[:8].view(2, 4, -1).mT.double(), mean[8:].T.double()
    rows, columns = torch.triu_indices(4, 4)
    information = upper.new_empty((len(upper), 4, 4))
    information[:, rows, columns] = information[:, columns, rows] = upper
    size = information.diagonal(dim1=1, dim2=2).mean(1)[:, None, None]
    ridge = (_RIDGE * size).clamp_min(_TINY) * torch.eye(4, device=size.device)
    inverse = torch.linalg.inv(information + ridge)
    steps = (inverse @ scores[..., None])[..., 0]
    inner = steps[..., :_QUANTITIES]
    precision = torch.linalg.inv(inverse[:, :_QUANTITIES, :_QUANTITIES])
    length, noise_length = (
        (inner * (precision @ inner[..., None])[..., 0]).sum(-1) / shrinkage
    ).float()
    return steps[0].float().T, length, noise_length


def _moved(maps: TissueMaps, steps: torch.Tensor, dictionary: Dictionary) -> TissueMaps:
    """Maps after steps of (log T1, log T2, log |m0|, phase), kept inside the dictionary."""
    steps = steps.clamp(-_LARGEST_STEP, _LARGEST_STEP)
    t1, t2 = inside_grid(maps.t1 * steps[0].exp(), maps.t2 * steps[1].exp(), dictionary)
    m0 = maps.m0 * torch.polar(steps[2].exp(), steps[3])
    return replace(maps, t1=t1, t2=t2, m0=m0)

"""How the fit of every voxel changes with the efficiency of the inversion, and how far to trust an estimate of it."""

from dataclasses import dataclass

import torch

from mri2qmap_bids.recon.arrays import QuantityMap, SubspaceImage
from mri2qmap_bids.recon.frequency import frequency_axes
from mri2qmap_bids.recon.physics.dictionary import AtomGrid, Dictionary
from mri2qmap_bids.recon.physics.inversion_efficiency import (
    MOST_VOXELS,
    atoms_at,
    explained,
)
from mri2qmap_bids.recon.physics.matching import TissueMaps, match, tangents

STEP = 0.01
"""Difference of efficiencies over which fingerprints are differentiated."""
# Added to the matrix of the derivatives, relative to its mean diagonal: spin echoes at one time do not tell T2.
_RIDGE = 1e-6
_STEPS = 3
# Width of the blur [voxel], and blocks along each axis of the grid.
_BLUR, _N_BLOCKS = 0.5, 4
_LOW, _HIGH = 0.2, 1.3


@dataclass(frozen=True, eq=False)
class VoxelAtoms:
    """The atoms that some voxels are matched to."""

    grid: AtomGrid
    """Of one efficiency, or with the efficiencies in place of transmit fields."""
    field: QuantityMap | None
    """Position of every voxel in ``grid.b1``, shape (voxel,); None: nominal."""


@dataclass(frozen=True, eq=False)
class EfficiencyScores:
    """What every voxel tells of the efficiency e; T1, T2 and m0 are those that fit best."""

    maps: TissueMaps
    """Matched at e."""
    score: torch.Tensor
    """Minus the derivative of half the squared residual along e, shape (voxel,)."""
    information: torch.Tensor
    """The second derivative, without the residual's curvature (Gauss-Newton), shape (voxel,)."""
    residual: torch.Tensor
    """Squared residual, shape (voxel,)."""


@dataclass(frozen=True)
class EfficiencyUncertainty:
    """How far an estimated efficiency may be off, from the data that it was estimated from."""

    beyond: float
    """Distance from the estimate, which has bounds, to the efficiency that would fit best without them."""
    blur: float
    """Change of the estimate if the image is blurred by a Gaussian of half a voxel."""
    spread: float
    """Standard deviation of the efficiency between blocks of the image, weighted by their information."""

    @property
    def total(self) -> float:
        """|beyond| + (|blur| + spread) / 2."""
        return abs(self.beyond) + (abs(self.blur) + self.spread) / 2


def efficiency_scores(
    voxels: SubspaceImage,
    below: VoxelAtoms,
    here: VoxelAtoms,
    above: VoxelAtoms,
    difference: torch.Tensor | float,
) -> EfficiencyScores:
    """Score and information of every voxel, T1, T2 and m0 eliminated (variable projection).

    With r = x - m0 d and g the part of m0 dd/de that no change of T1, T2 and m0 explains: <g, r> and |g|^2.

    Parameters
    ----------
    voxels
        x, white noise of one deviation in all components, shape (rank, voxel).
    below, here, above
        Atoms at e and on both sides of it.
    difference
        Between the efficiencies of ``above`` and ``below``, scalar or shape (voxel,).

    References
    ----------
    Kaufman, A variable projection method (1975), doi:10.1007/BF01932995.
    """
    maps = match(voxels, here.grid, exhaustive=False, b1=here.field)
    atom, along_t1, along_t2 = tangents(here.grid, maps.t1, maps.t2, here.field)
    low, high = (tangents(side.grid, maps.t1, maps.t2, side.field)[0] for side in (below, above))
    step = torch.as_tensor(difference, device=voxels.device).reshape(-1, 1)
    slope = (high - low) / step
    columns = _real(torch.stack([along_t1, along_t2, atom, slope], -1))
    turned = _real(1j * atom[..., None])
    own, slope = torch.cat([columns[..., :3], turned], -1), columns[..., 3]
    matrix = own.mT @ own
    mean = matrix.diagonal(dim1=1, dim2=2).mean(1)[:, None, None].clamp_min(1e-30)
    ridge = _RIDGE * mean * torch.eye(4, dtype=matrix.dtype, device=matrix.device)
    explained_part = torch.linalg.solve(matrix + ridge, own.mT @ slope[..., None])
    rest = slope - (own @ explained_part)[..., 0]
    scale = maps.m0.abs().double()
    phase = torch.where(scale > 0, maps.m0 / maps.m0.abs().clamp_min(1e-30), 1.0)
    residual = _real((voxels * phase.conj()).T - maps.m0.abs()[:, None] * atom)
    return EfficiencyScores(
        maps=maps,
        score=scale * (rest * residual).sum(1),
        information=scale.square() * rest.square().sum(1),
        residual=residual.square().sum(1),
    )


def efficiency_uncertainty(
    image: SubspaceImage,
    mask: torch.Tensor,
    dictionary: Dictionary,
    efficiency: float,
    b1: QuantityMap | None = None,
) -> EfficiencyUncertainty:
    """How far an efficiency estimated from this image may be off.

    Noise, and aliasing that differs from place to place, make blocks of the image (4 along each axis) disagree. An
    error that is the same everywhere, as that of mixed tissues, moves the estimate the more the less the train tells
    of it: a blur of half a voxel is such an error of known size. Both are taken at the estimate, by Gauss-Newton
    steps on the voxels that it rests on (:func:`explained`).

    Parameters
    ----------
    image
        Subspace image, white in its components, shape (rank, *space).
    mask
        Voxels with signal, shape (*space).
    dictionary
        Simulated at several efficiencies, white as the image, same device.
    efficiency
        The estimate.
    b1
        Transmit field relative to nominal, shape (*space); None: nominal.
    """
    places = torch.nonzero(mask)
    places = places[:: -(-len(places) // MOST_VOXELS)]
    atoms, field = atoms_at(dictionary, efficiency), None if b1 is None else b1[tuple(places.T)]
    maps = match(image[:, *places.T], atoms, exhaustive=False, b1=field)
    places = places[explained(maps, dictionary)]
    if not len(places):
        return EfficiencyUncertainty(0.0, 0.0, 0.0)
    field = None if b1 is None else b1[tuple(places.T)]
    own, blurred = (each[:, *places.T] for each in (image, _blurred(image)))
    here = _scores_at(own, dictionary, efficiency, field)
    sizes = torch.tensor(mask.shape, device=mask.device)
    _, block = torch.unique(places * _N_BLOCKS // sizes, dim=0, return_inverse=True)
    beyond = _free_step(own, dictionary, efficiency, field)
    blur = _free_step(blurred, dictionary, efficiency, field) - beyond
    return EfficiencyUncertainty(beyond, blur, _spread(here, block))


def _scores_at(
    voxels: SubspaceImage, dictionary: Dictionary, efficiency: float, b1: QuantityMap | None
) -> EfficiencyScores:
    below, here, above = (
        VoxelAtoms(atoms_at(dictionary, efficiency + step), b1) for step in (-STEP, 0.0, STEP)
    )
    return efficiency_scores(voxels, below, here, above, 2 * STEP)


def _free_step(
    voxels: SubspaceImage, dictionary: Dictionary, efficiency: float, b1: QuantityMap | None
) -> float:
    """From an efficiency to the one of least sum of log residuals, without bounds."""
    free = efficiency
    for _ in range(_STEPS):
        scores = _scores_at(voxels, dictionary, free, b1)
        # The derivative of log r is that of r over r.
        weight = 1 / scores.residual.clamp_min(1e-9)
        whole = float((weight * scores.information).sum())
        free += float((weight * scores.score).sum()) / max(whole, 1e-30)
        free = min(max(free, _LOW), _HIGH)
    return free - efficiency


def _spread(scores: EfficiencyScores, block: torch.Tensor) -> float:
    n_blocks = int(block.max()) + 1
    score, information = (
        torch.zeros(n_blocks, dtype=values.dtype, device=values.device).index_add(0, block, values)
        for values in (scores.score, scores.information)
    )
    share = information / information.sum().clamp_min(1e-30)
    steps = score / information.clamp_min(1e-30)
    return float((share * (steps - (share * steps).sum()).square()).sum().sqrt())


def _blurred(image: SubspaceImage) -> SubspaceImage:
    shape = tuple(image.shape[1:])
    exponent = torch.zeros((1,) * len(shape), device=image.device)
    for frequency in frequency_axes(shape, image.device):
        exponent = exponent + frequency.square()
    gain = torch.exp(-2 * (torch.pi * _BLUR) ** 2 * exponent)
    axes = tuple(range(1, image.ndim))
    blurred: SubspaceImage = torch.fft.ifftn(torch.fft.fftn(image, dim=axes) * gain, dim=axes)
    return blurred


def _real(values: torch.Tensor) -> torch.Tensor:
    """Real and imaginary parts of the components (axis 1) one after the other, in double precision."""
    values = values.to(torch.complex128)
    return torch.cat([values.real, values.imag], 1)

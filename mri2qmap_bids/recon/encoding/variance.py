"""Residual variance of the samples, and the sample weights that follow from it."""

import math
from dataclasses import dataclass

import torch

from mri2qmap_bids.recon.arrays import SampleWeights, SubspaceImage, Trajectory, VirtualKSpace
from mri2qmap_bids.recon.encoding.forward import Encoding, forward_by_coil, rows_of

_N_SHELLS = 16
# Shells whose variance is within this factor of the noise variance are assumed to have noise alone.
_ALIKE = 1.2
# Samples of all coils from which the variance of a shell is measured, of one as small as the innermost of uniform
# sampling: it is known within 4 %.
_ENOUGH = 1024


@dataclass(frozen=True, eq=False)
class ShellVariance:
    """Mean squared residual of a complex sample in each shell of k-space."""

    values: torch.Tensor
    """Variance in shells of equal thickness from the centre to the edge of k-space, shape (shell,); that of
    the noise where a shell has no samples."""
    noise: float
    """Standard deviation of the noise of a complex sample: from the lower quartile over shells."""


def residual_variance(
    encoding: Encoding, kspace: VirtualKSpace, image: SubspaceImage
) -> ShellVariance:
    """Variance of y - A x by the distance from the centre of k-space.

    The noise is the same everywhere; model errors (coil sensitivities, partial volumes, signal
    outside the subspace) are proportional to the signal, and therefore largest at the centre.
    Of more than 1024 samples for each innermost shell's share, 16^dim, that many are chosen at random, always the
    same: 262 144 in a slice, four million in a volume, counted over all coils.

    Parameters
    ----------
    encoding
        A.
    kspace
        y.
    image
        x.
    """
    n_samples, dim = encoding.omega.shape
    enough = math.ceil(_ENOUGH / len(encoding.coils)) * _N_SHELLS**dim
    if n_samples > enough:
        generator = torch.Generator().manual_seed(0)
        chosen = torch.randint(n_samples, (enough,), generator=generator).to(kspace.device)
        encoding, kspace = rows_of(encoding, chosen), kspace[:, chosen]
    shell = _shell(encoding.omega).long().clamp(0, _N_SHELLS - 1)
    number = torch.bincount(shell, minlength=_N_SHELLS)
    total = torch.zeros(_N_SHELLS, dtype=torch.double, device=encoding.omega.device)
    for predicted, samples in zip(forward_by_coil(encoding, image), kspace, strict=True):
        power = (predicted - samples).abs().square().double()
        total += torch.bincount(shell, power, _N_SHELLS)
    variance = total / (number.clamp_min(1) * len(encoding.coils))
    noise = torch.quantile(variance[number > 0], 0.25).clamp_min(torch.finfo(torch.float32).tiny)
    values = torch.where(number > 0, variance, noise)
    return ShellVariance(values, float(noise.sqrt()))


def sample_weights(omega: Trajectory, variance: ShellVariance) -> SampleWeights | None:
    """Inverse variance of every sample relative to that of the noise, at most 1.

    With these weights, least squares become generalised least squares (Aitken 1936): the model error
    at the centre of k-space does not outweigh the rest.

    Parameters
    ----------
    omega
        Positions [rad/voxel], shape (sample, dim).
    variance
        Residual variance of the shells.

    Returns
    -------
    Shape (sample,); None if all are 1, since every shell has noise alone.
    """
    ratio = (variance.values / variance.noise**2).float()
    ratio = torch.where(ratio < _ALIKE, torch.ones_like(ratio), ratio)
    if bool((ratio == 1).all()):
        return None
    place = _shell(omega) - 0.5
    low = place.floor().long().clamp(0, _N_SHELLS - 2)
    part = (place - low).clamp(0, 1)
    logs = ratio.log()
    weights: torch.Tensor = torch.exp(-(logs[low] * (1 - part) + logs[low + 1] * part))
    return weights


def _shell(omega: Trajectory) -> torch.Tensor:
    radius: torch.Tensor = torch.linalg.vector_norm(omega, dim=1)
    return radius * (_N_SHELLS / math.pi)

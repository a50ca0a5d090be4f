"""Propagation of noise from the subspace image to T1, T2 and M0 (Cramer-Rao bound)."""

import torch

from mri2qmap_bids.recon.arrays import NoiseDeviation, QuantityMap
from mri2qmap_bids.recon.physics.dictionary import AtomGrid
from mri2qmap_bids.recon.physics.matching import TissueMaps, tangents

# Added to the information matrix, relative to its mean diagonal, to keep its inverse finite.
_RIDGE = 1e-6
_VOXELS_AT_ONCE = 65536


def noise_factors(
    maps: TissueMaps, dictionary: AtomGrid, deviation: NoiseDeviation
) -> torch.Tensor:
    """L of every voxel, with L L^T the covariance of (log T1, log T2, log |M0|) for M0 = 1.

    With noise of deviation s_r in the real and in the imaginary part of component r of the
    subspace image, the Cramer-Rao bound

        L L^T = [ (Re J^H J)^-1 ] without the row and column of the phase,

    where J holds the derivatives of exp(i phi) |M0| Phi^H d along log T1, log T2, log |M0|
    and phi, row r divided by s_r. For other M0 it scales with 1 / |M0|.

    Parameters
    ----------
    maps
        Maps at which to evaluate it; any shape (*space).
    dictionary
        The fingerprints.
    deviation
        s, shape (rank,).

    Returns
    -------
    Lower triangular, shape (*space, 3, 3).

    References
    ----------
    Kay, Fundamentals of statistical signal processing: estimation theory (1993). Zhao et al.,
    Optimal experiment design for MR fingerprinting (2019), doi:10.1109/TMI.2018.2873704.
    """
    b1 = torch.ones_like(maps.t1) if maps.b1 is None else maps.b1
    columns = (torch.split(values.flatten(), _VOXELS_AT_ONCE) for values in (maps.t1, maps.t2, b1))
    parts = [
        _factors(*(part / deviation for part in tangents(dictionary, *tissues)))
        for tissues in zip(*columns, strict=True)
    ]
    return torch.cat(parts).reshape(*maps.t1.shape, 3, 3)


def time_deviations(
    maps: TissueMaps, dictionary: AtomGrid, deviation: NoiseDeviation
) -> tuple[QuantityMap, QuantityMap]:
    """Standard deviations of T1 and T2 [s] for noise in the subspace image.

    From :func:`noise_factors`, T sqrt(C_TT) / |M0|, limited to the longest relaxation time of
    the grid.

    Parameters
    ----------
    maps
        The matched maps, shape (*space).
    dictionary
        The fingerprints.
    deviation
        Of the noise in the real and in the imaginary part of every component of the image
        that was matched, shape (rank,).
    """
    factors = noise_factors(maps, dictionary, deviation)
    logs = factors.square().sum(-1).sqrt() / maps.m0.abs().clamp_min(1e-30)[..., None]
    t1 = (maps.t1 * logs[..., 0]).clamp_max(float(dictionary.t1[-1]))
    t2 = (maps.t2 * logs[..., 1]).clamp_max(float(dictionary.t2[-1]))
    return t1, t2


def _factors(atom: torch.Tensor, along_t1: torch.Tensor, along_t2: torch.Tensor) -> torch.Tensor:
    """L for atoms and their derivatives, each of shape (voxel, rank)."""
    columns = torch.stack([along_t1, along_t2, atom], dim=-1).to(torch.complex64)
    columns = torch.cat([columns, 1j * columns[..., 2:]], dim=-1)
    information = (columns.mH @ columns).real.double()
    mean = information.diagonal(dim1=1, dim2=2).mean(1)[:, None, None].clamp_min(1e-30)
    ridge = _RIDGE * mean * torch.eye(4, device=atom.device)
    covariance = torch.linalg.inv(information + ridge)[:, :3, :3]
    factors: torch.Tensor = torch.linalg.cholesky((covariance + covariance.mT) / 2)
    return factors.float()

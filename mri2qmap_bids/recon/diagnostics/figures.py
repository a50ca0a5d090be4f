"""Figures of a scan's quality: signal-to-noise ratio, acceleration, condition of the encoding."""

import math
from collections.abc import Iterator

import torch

from mri2qmap_bids.recon.arrays import NoiseDeviation, SubspaceImage
from mri2qmap_bids.recon.diagnostics.planes import tissue_of
from mri2qmap_bids.recon.encoding.circulant import Circulant
from mri2qmap_bids.recon.encoding.forward import Encoding
from mri2qmap_bids.recon.encoding.frequency_matrices import full_matrices
from mri2qmap_bids.recon.frequency import frequency_axes
from mri2qmap_bids.recon.physics.dictionary import Dictionary
from mri2qmap_bids.recon.physics.matching import TissueMaps, signal_of

# Beyond this single precision tells no difference.
_WORST = 1e4
_MOST_FRAMES = 16
_MOST_FREQUENCIES = 20_000


def signal_to_noise(image: SubspaceImage, deviation: NoiseDeviation) -> float:
    """Median over bright voxels of |x_1| / s_1, the first component over the deviation of its error.

    Parameters
    ----------
    image
        x, shape (rank, *space).
    deviation
        Of the error in the real and the imaginary part of every component, shape (rank,).
    """
    bright = image[0].abs()[tissue_of(image[0])]
    if not len(bright):
        return 0.0
    return float(bright.median() / deviation[0].clamp_min(torch.finfo(torch.float32).tiny))


def mean_misfit(image: SubspaceImage, maps: TissueMaps, dictionary: Dictionary) -> float:
    """|sum_v u_v^* (x_v - z_v)| / |sum_v u_v^* z_v|, the fingerprints' mean difference from those predicted.

    z = m0 Phi^H d(theta) and the phase u = m0 / |m0|; the sums are over tissue. Noise averages out of it; what
    all voxels share stays, as of a wrong sequence. 0 if there is no tissue.

    Parameters
    ----------
    image
        x, shape (rank, *space).
    maps
        theta and m0, of the same voxels.
    dictionary
        The fingerprints.
    """
    predicted, phase = signal_of(maps, dictionary), maps.m0.sgn().conj()
    phase = torch.where(tissue_of(maps.m0), phase, 0).flatten()
    measured, own = (part.flatten(1) @ phase for part in (image, predicted))
    return float((measured - own).norm() / own.norm()) if own.any() else 0.0


def acceleration(encoding: Encoding) -> float:
    """Cells of the grid's k-space, in the ellipsoid, over those that a frame samples; at least 1.

    The mean over frames that are evenly spread.

    Parameters
    ----------
    encoding
        A.
    """
    volume = _volume(encoding.shape)
    shares = [len(cells) / volume for cells in _cells_of_frames(encoding) if len(cells)]
    return 1 / min(1.0, sum(shares) / len(shares)) if shares else float("inf")


def samples_per_unknown(encoding: Encoding) -> float:
    """Cells of k-space that all frames together sample, over those of all components of the image.

    sum_t n_t / (rank * n), n_t of the n cells in the ellipsoid of the grid's k-space being sampled by frame t.
    Below 1 one coil alone does not determine the image: it does so only by the other coils and by the
    smoothness term. The mean over frames that are evenly spread stands for all.

    Parameters
    ----------
    encoding
        A.
    """
    sizes = torch.tensor(encoding.shape, device=encoding.omega.device)
    counts = [
        int(((2 * cells / sizes).square().sum(1) <= 1).sum())
        for cells in _cells_of_frames(encoding)
    ]
    n_frames, rank = encoding.basis.shape
    return sum(counts) / len(counts) * n_frames / (rank * _volume(encoding.shape))


def _volume(shape: tuple[int, ...]) -> float:
    """Cells in the ellipsoid of the grid's k-space."""
    return {2: math.pi / 4, 3: math.pi / 6}[len(shape)] * math.prod(shape)


def _cells_of_frames(encoding: Encoding) -> Iterator[torch.Tensor]:
    """Cells from the centre of k-space that some frames, evenly spread, sample, shape (cell, dim) each."""
    omega, sizes = encoding.omega, torch.tensor(encoding.shape, device=encoding.omega.device)
    n_frames = len(encoding.basis)
    for frame in range(0, n_frames, max(1, math.ceil(n_frames / _MOST_FRAMES))):
        position = omega[encoding.frame == frame] / (2 * torch.pi)
        yield torch.unique(torch.round(position * sizes).long(), dim=0)


def condition(circulant: Circulant, penalty: torch.Tensor) -> float:
    """Condition number of the regularised encoding, from the circulant matrix nearest to A^H W A.

    sqrt(largest / least) eigenvalue of C(g) + L(g) over the frequencies g within the ellipsoid of k-space, the first
    percentile standing for the least: an error of the samples grows in the image by at most about this factor.

    Parameters
    ----------
    circulant
        C.
    penalty
        L, of every component and frequency, shape (rank, *space).
    """
    rank, upper = circulant.rank, circulant.upper
    axes = frequency_axes(tuple(upper.shape[1:]), upper.device)
    radius = torch.zeros(upper.shape[1:], device=upper.device)
    for axis in axes:
        radius = radius + (2 * axis).square()
    places = torch.nonzero(radius.flatten() <= 1).flatten()
    places = places[:: len(places) // _MOST_FREQUENCIES + 1]
    matrices = full_matrices(upper.flatten(1)[:, places])
    own = penalty.expand(rank, *upper.shape[1:]).flatten(1).to(upper.device)[:, places]
    matrices += torch.diag_embed(own.T).to(matrices.dtype)
    eigenvalues = torch.linalg.eigvalsh(matrices.to(torch.complex128)).float()
    least = float(torch.quantile(eigenvalues[:, 0], 0.01))
    largest = float(eigenvalues[:, -1].max())
    return min(_WORST, math.sqrt(largest / max(least, largest / _WORST**2)))

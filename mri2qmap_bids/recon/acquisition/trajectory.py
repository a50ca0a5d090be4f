"""Sample positions: their unit, and the direction of reversed readouts."""

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.errors import RawDataError

logger = logging.getLogger(__name__)

TRAJECTORY_UNITS = ("cycles/pixel", "cycles/fov", "rad/pixel")
# Tolerated overshoot of a trajectory beyond the edge of k-space.
_OVERSHOOT = 1.2


def cycles_per_metre(
    path: Path,
    trajectory: NDArray[np.float32],
    matrix: tuple[int, int, int],
    fov: tuple[float, float, float],
    units: str | None,
) -> NDArray[np.float32]:
    """Positions in cycles per metre.

    Parameters
    ----------
    path
        The file, for messages.
    trajectory
        Positions as stored, components (x, y[, z]), shape (sample, dim).
    matrix, fov
        Encoded matrix and field of view [m] along (x, y, z).
    units
        One of TRAJECTORY_UNITS; None distinguishes cycles/pixel (within 0.5) from cycles per
        field of view (up to half the matrix) by the largest position.

    Raises
    ------
    RawDataError
        If no unit fits the magnitude.
    """
    n_dim = trajectory.shape[1]
    per_fov = np.array(fov[:n_dim], np.float64)
    per_pixel = per_fov / np.array(matrix[:n_dim])
    scale = {
        "cycles/pixel": 1 / per_pixel,
        "cycles/fov": 1 / per_fov,
        "rad/pixel": 1 / (2 * np.pi * per_pixel),
    }
    if units is None:
        units = _tell_units(path, float(np.abs(trajectory).max(initial=0)), max(matrix[:n_dim]))
    scaled: NDArray[np.float32] = (trajectory * scale[units]).astype(np.float32)
    return scaled


def _tell_units(path: Path, largest: float, matrix: int) -> str:
    if largest <= 0.5 * _OVERSHOOT:
        return "cycles/pixel"
    looks_like_radians = abs(largest - np.pi) < 0.1 and matrix > 8
    if largest <= 0.5 * matrix * _OVERSHOOT and not looks_like_radians:
        return "cycles/fov"
    raise RawDataError(
        f"{path}: the trajectory must lie within 0.5 (cycles/pixel) or {matrix / 2:g} (cycles/fov), "
        f"got up to {largest:.4g}; set its unit with MRFTrajectoryUnits in the sidecar "
        f"({', '.join(TRAJECTORY_UNITS)})"
    )


def flip_is_needed(
    kspace: NDArray[np.complex64],
    trajectory: NDArray[np.float32],
    ends: NDArray[np.int64],
    lengths: NDArray[np.int64],
    reverse: NDArray[np.bool_],
) -> bool:
    """Whether the samples of reversed readouts are stored in the opposite order to their trajectory.

    Conventions differ: some programs store the samples of a reversed readout last to first with the
    trajectory of a forward one, others store both as sampled. The signal's energy is concentrated at
    the centre of k-space, so the order with the smaller sum of |s|^2 |k|^2 is used; if
    both are equally good (symmetric readouts) the samples are flipped, as by most programs.

    Parameters
    ----------
    kspace
        Samples, shape (coil, sample).
    trajectory
        Positions in any unit, shape (sample, dim).
    ends, lengths
        Where each readout ends along ``sample``, and its length, shape (readout,).
    reverse
        The flag, shape (readout,).
    """
    as_stored = flipped = 0.0
    for number in np.flatnonzero(reverse):
        kept = slice(ends[number] - lengths[number], ends[number])
        energy = (np.abs(kspace[:, kept]) ** 2).sum(0)
        radius = (trajectory[kept].astype(np.float64) ** 2).sum(1)
        as_stored += float(energy @ radius)
        flipped += float(energy[::-1] @ radius)
    needed = flipped <= 1.02 * as_stored
    logger.info(
        "%d reversed readouts: samples %s", reverse.sum(), "flipped" if needed else "kept as stored"
    )
    return needed

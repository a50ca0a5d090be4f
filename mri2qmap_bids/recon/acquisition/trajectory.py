"""Sample positions: their unit, their extent, and the direction of reversed readouts."""

import logging
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.errors import RawDataError
from mri2qmap_bids.recon.bounds import (
    TRAJECTORY_ENERGY,
    TRAJECTORY_EXTENT,
    TRAJECTORY_RATIO,
    TRAJECTORY_SHARE,
)

logger = logging.getLogger(__name__)


class TrajectoryUnits(StrEnum):
    """Units in which a file may have its positions."""

    CYCLES_PER_PIXEL = "cycles/pixel"
    CYCLES_PER_FOV = "cycles/fov"
    RAD_PER_PIXEL = "rad/pixel"
    PER_METRE = "1/m"
    PER_CENTIMETRE = "1/cm"
    PER_MILLIMETRE = "1/mm"


TRAJECTORY_UNITS = tuple(TrajectoryUnits)
# Beyond the edge of k-space by more than an overshoot, but perhaps meant so if the unit is named.
_BEYOND = 2.0
# One axis ends before the edge and another beyond it: matrix sizes are exchanged.
_OFF = (0.95, 1.1)
# A detected unit that reaches less far may be another unit, if that one fits exactly.
_DOUBTFUL = 0.87
# A unit of this extent is that of the trajectory; of the other extent it may be.
_EXACT, _GOOD = (0.97, 1.03), (0.8, 1.2)
# Sums over reversed readouts that differ by this part tell the order of their samples.
_CLEAR = 0.02
# Middle of a readout relative to the centre of k-space from which on they tell it, too [sample]. Of an even number of
# positions around the centre it is half a sample.
_OFF_CENTRE = 0.25
# Product of two mean directions.
_OPPOSITE = -0.8


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
        One of :class:`TrajectoryUnits`; None distinguishes cycles/pixel (within 0.5) from cycles per
        field of view (up to half the matrix) by the largest position.

    Raises
    ------
    RawDataError
        If the positions do not reach the edge of k-space along every axis, or go far beyond it; the
        text says which unit would fit.
    """
    n_dim = trajectory.shape[1]
    # Without a temporary of the trajectory's size.
    largest = np.maximum(trajectory.max(0, initial=0), -trajectory.min(0, initial=0))
    largest = largest.astype(np.float64)
    unit = TrajectoryUnits(units) if units else _probable_unit(largest)
    text = extent_fault(largest, matrix[:n_dim], fov[:n_dim], unit, named=units is not None)
    if text:
        raise RawDataError(
            f"{path}: the trajectory {text}; its unit is set with MRFTrajectoryUnits "
            f"({', '.join(TRAJECTORY_UNITS)})"
        )
    scaled: NDArray[np.float32] = (
        trajectory * unit_scales(matrix[:n_dim], fov[:n_dim])[unit]
    ).astype(np.float32)
    return scaled


def extent_fault(
    largest: NDArray[np.float64],
    matrix: tuple[int, ...],
    fov: tuple[float, ...],
    unit: TrajectoryUnits,
    named: bool,
) -> str | None:
    """Why positions cannot be in a unit, with the unit that would fit; None: they can.

    Parameters
    ----------
    largest
        Largest distance from the centre along every axis as stored, shape (dim,).
    matrix, fov
        Encoded matrix and field of view [m] along the same axes.
    unit
        Unit of the positions.
    named
        Whether the unit was named by the user, rather than the more probable one.
    """
    reached = {
        other: _extents(largest * scale, matrix, fov)
        for other, scale in unit_scales(matrix, fov).items()
    }
    wrong = _mismatch(reached[unit])
    fitting = [
        other for other, extents in reached.items() if other != unit and _between(extents, _GOOD)
    ]
    if wrong is None:
        exact = [other for other in fitting if _between(reached[other], _EXACT)]
        positions = 2 * largest * unit_scales(matrix, fov)[unit] * np.array(fov)
        if not exact or (positions / np.array(matrix)).max() > _DOUBTFUL:
            return None
        if named:
            logger.warning(
                "The trajectory reaches %s of the edge of k-space as %s; %s would fit exactly",
                _percent(reached[unit]),
                unit,
                exact[0],
            )
            return None
        wrong = f"may be in {unit} or in {exact[0]}"
    elif wrong == _TOO_FAR and named and not fitting and reached[unit].max() <= _BEYOND:
        logger.warning(
            "The trajectory (%s) reaches %s of the edge of k-space: samples outside the encoded "
            "matrix are left out",
            unit,
            _percent(reached[unit]),
        )
        return None
    spanned = " x ".join(f"{reached[unit][i] * n:.3g}" for i, n in enumerate(matrix))
    advice = (
        f"{fitting[0]} would fit"
        if fitting
        else f"no unit fits: as {unit} it spans {spanned} positions of the encoded matrix "
        f"{' x '.join(map(str, matrix))}{_units_by_axis(reached, unit)}"
    )
    return f"{wrong}, got {_percent(reached[unit])} of the edge of k-space as {unit}; {advice}"


def check_energy(
    path: Path, kspace: NDArray[np.complex64], trajectory: NDArray[np.float32]
) -> None:
    """Refuse positions that put the signal's energy away from the centre of k-space.

    The mean of |k|^2 over the samples, weighted with |s|^2, is at most about the plain mean (noise).

    Parameters
    ----------
    path
        The file, for messages.
    kspace
        Samples, shape (coil, sample).
    trajectory
        Positions in any unit, shape (sample, dim).

    Raises
    ------
    RawDataError
        If it is far above the plain mean.
    """
    squared = np.einsum("sd,sd->s", trajectory, trajectory, dtype=np.float64)
    energy = np.zeros(len(squared))
    for coil in kspace:
        energy += coil.real.astype(np.float64) ** 2 + coil.imag.astype(np.float64) ** 2
    total = float(energy.sum() * squared.mean())
    ratio = float(energy @ squared) / total if total > 0 else 0.0
    if ratio > TRAJECTORY_ENERGY.upper:
        raise RawDataError(
            f"{path}: the trajectory must have the signal's energy at the centre of k-space (mean of "
            f"|k|^2 weighted with the signal at most {TRAJECTORY_ENERGY.upper:g} times the plain mean), "
            f"got {ratio:.2f} times; are the positions those of these samples, with k = 0 in the centre?"
        )


_TOO_FAR = f"must lie within {TRAJECTORY_EXTENT.upper:g} times the edge of k-space"


def _mismatch(extents: NDArray[np.float64]) -> str | None:
    """The rule that extents relative to the edge of k-space break; None: none."""
    if extents.min() < TRAJECTORY_RATIO.lower * extents.max() or (
        extents.max() > _OFF[1] and extents.min() < _OFF[0]
    ):
        return "must reach equally far into the k-space of the header's matrix along every axis"
    if extents.max() > TRAJECTORY_EXTENT.upper:
        return _TOO_FAR
    share = float(extents.clip(max=1).prod())
    if share < TRAJECTORY_SHARE.lower:
        rule = f"must cover at least {100 * TRAJECTORY_SHARE.lower:g} % of k-space"
        return f"{rule} (it covers {100 * share:.2g} %)"
    return None


def _extents(
    largest: NDArray[np.float64], matrix: tuple[int, ...], fov: tuple[float, ...]
) -> NDArray[np.float64]:
    """Largest positions [cycles/m] relative to the edge of k-space; a sample is one position wide."""
    positions = 2 * largest * np.array(fov)
    edge = np.array(matrix, np.float64)
    # n positions around the centre end at (n - 1) / 2 or at n / 2.
    extents: NDArray[np.float64] = np.where(
        positions <= edge, np.minimum(positions + 1, edge), positions
    )
    return extents / edge


def unit_scales(
    matrix: tuple[int, ...], fov: tuple[float, ...]
) -> dict[TrajectoryUnits, NDArray[np.float64]]:
    """Cycles per metre of every unit, shape (dim,).

    Parameters
    ----------
    matrix, fov
        Encoded matrix and field of view [m].
    """
    per_fov = 1 / np.array(fov, np.float64)
    per_pixel = per_fov * np.array(matrix)
    one = np.ones_like(per_fov)
    return {
        TrajectoryUnits.CYCLES_PER_PIXEL: per_pixel,
        TrajectoryUnits.CYCLES_PER_FOV: per_fov,
        TrajectoryUnits.RAD_PER_PIXEL: per_pixel / (2 * np.pi),
        TrajectoryUnits.PER_METRE: one,
        TrajectoryUnits.PER_CENTIMETRE: 100 * one,
        TrajectoryUnits.PER_MILLIMETRE: 1000 * one,
    }


def _probable_unit(largest: NDArray[np.float64]) -> TrajectoryUnits:
    within = largest.max(initial=0) <= 0.5 * TRAJECTORY_EXTENT.upper
    return TrajectoryUnits.CYCLES_PER_PIXEL if within else TrajectoryUnits.CYCLES_PER_FOV


def _between(extents: NDArray[np.float64], limits: tuple[float, float]) -> bool:
    return bool((extents >= limits[0]).all() and (extents <= limits[1]).all())


def _units_by_axis(
    reached: dict[TrajectoryUnits, NDArray[np.float64]], unit: TrajectoryUnits
) -> str:
    """The units that would fit axis by axis, where that is another one along one of them."""
    fitting = [
        [other for other, extents in reached.items() if _between(extents[axis : axis + 1], _GOOD)]
        for axis in range(len(reached[unit]))
    ]
    if not all(fitting) or all(unit in units for units in fitting):
        return ""
    words = (f"{units[0]} along {axis}" for axis, units in zip("xyz", fitting, strict=False))
    return f" ({', '.join(words)} would fit)"


def _percent(extents: NDArray[np.float64]) -> str:
    return ", ".join(
        f"{100 * value:.3g} % along {axis}" for axis, value in zip("xyz", extents, strict=False)
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
    the centre of k-space, so the order with the smaller sum of |s|^2 |k|^2 is used. Readouts whose middle is within
    a quarter of a sample of the centre do not tell by it: they are as sampled if their positions run against those
    of the forward readouts; if neither tells, the samples are flipped, as by most programs.

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
        span = slice(ends[number] - lengths[number], ends[number])
        energy = (np.abs(kspace[:, span]) ** 2).sum(0)
        radius = (trajectory[span].astype(np.float64) ** 2).sum(1)
        as_stored += float(energy @ radius)
        flipped += float(energy[::-1] @ radius)
    first = trajectory[ends - lengths].astype(np.float64)
    last = trajectory[ends - 1].astype(np.float64)
    if abs(flipped - as_stored) > _CLEAR * as_stored or _is_off_centre(
        first[reverse], last[reverse], lengths[reverse]
    ):
        needed = flipped <= as_stored
    else:
        needed = not _run_against(last[~reverse] - first[~reverse], last[reverse] - first[reverse])
    logger.info(
        "%d reversed readouts: samples %s", reverse.sum(), "flipped" if needed else "kept as stored"
    )
    return needed


def _is_off_centre(
    first: NDArray[np.float64], last: NDArray[np.float64], lengths: NDArray[np.int64]
) -> bool:
    """Whether the middle of readouts lies beside the centre of k-space along them; ends of shape (readout, dim)."""
    along = last - first
    length = np.linalg.norm(along, axis=1)
    middle = np.abs(((first + last) / 2 * along).sum(1))
    return bool(np.median(middle * (lengths - 1) - _OFF_CENTRE * length**2) >= 0)


def _run_against(forward: NDArray[np.float64], reverse: NDArray[np.float64]) -> bool:
    """Whether readouts, each from its first to its last position, have one direction, and others the opposite one."""
    if not len(forward):
        return False
    means = []
    for steps in (forward, reverse):
        length = np.linalg.norm(steps, axis=1, keepdims=True)
        means.append((steps / np.maximum(length, np.finfo(np.float64).tiny)).mean(0))
    return bool(means[0] @ means[1] < _OPPOSITE)

"""When the samples of a readout were read."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.errors import RawDataError
from mri2qmap_bids.recon.acquisition.flags import has_flag

# Samples between two centres in order, above which they are those of different kinds of readouts.
_APART = 2
# Of the readouts, at least so many have an origin of their own: fewer are outliers.
_SHARE = 0.1


def sample_times(
    path: Path,
    heads: NDArray[Any],
    trajectory: NDArray[np.float32],
    ends: NDArray[np.int64],
    lengths: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Time of every sample [s], 0 at the centre of k-space.

    That is the sample nearest to the centre; its median over all readouts of one length, one direction
    (IS_REVERSE) and one kind, so that they have the same origin. Kinds are told by that sample: spirals inwards
    end where those outwards begin. Samples are ``sample_time_us`` apart.

    Parameters
    ----------
    path
        The file, for messages.
    heads
        Acquisition headers, shape (readout,).
    trajectory
        Positions in any unit, shape (sample, dim).
    ends, lengths
        Where each readout ends along ``sample``, and its length, shape (readout,).

    Raises
    ------
    RawDataError
        If a readout has no time between samples.
    """
    dwell = _dwell_times(path, heads)
    # In double precision, in which the samples of a line far from the centre differ in their distance.
    centres = np.array(
        [
            np.square(trajectory[end - n : end], dtype=np.float64).sum(1).argmin()
            for end, n in zip(ends, lengths, strict=True)
        ]
    )
    time = np.empty(len(trajectory), np.float32)
    reverse = has_flag(heads, "IS_REVERSE")
    for length, direction in product(np.unique(lengths), (False, True)):
        lines = np.flatnonzero((lengths == length) & (reverse == direction))
        for line, origin in zip(lines, _origins(centres[lines]), strict=True):
            time[ends[line] - length : ends[line]] = (np.arange(length) - origin) * dwell[line]
    return time


def delayed(
    path: Path,
    heads: NDArray[Any],
    trajectory: NDArray[np.float32],
    ends: NDArray[np.int64],
    delays: tuple[float, ...],
) -> NDArray[np.float32]:
    """Positions of samples whose gradients came late: k(t - delay) along each axis, by linear interpolation.

    Before a readout's first sample, and after its last, the position is that one's.

    Parameters
    ----------
    path, heads, trajectory, ends
        As of :func:`sample_times`.
    delays
        Along x, y[, z] [s].

    Raises
    ------
    RawDataError
        If there are fewer delays than axes, or a readout has no time between samples.
    """
    n_dims = trajectory.shape[1]
    if len(delays) < n_dims:
        raise RawDataError(
            f"{path}: MRFGradientDelay must have one time for each of {n_dims} axes, got {len(delays)}"
        )
    dwell = _dwell_times(path, heads)
    result = np.empty_like(trajectory)
    starts = np.concatenate([[0], ends[:-1]])
    for start, end, step in zip(starts, ends, dwell, strict=True):
        place = np.arange(end - start)
        for axis in range(n_dims):
            result[start:end, axis] = np.interp(
                place - delays[axis] / step, place, trajectory[start:end, axis]
            )
    return result


def _origins(centres: NDArray[np.int64]) -> NDArray[np.float64]:
    """The median of the centres of each readout's kind; an outlier is of the nearest kind."""
    if not len(centres):
        return np.empty(0)
    ordered = np.sort(centres)
    groups = np.split(ordered, np.flatnonzero(np.diff(ordered) > _APART) + 1)
    large = [group for group in groups if len(group) >= _SHARE * len(centres)] or [ordered]
    middles = np.array([np.median(group) for group in large])
    kind = np.abs(centres[:, None] - middles).argmin(1)
    medians = np.array([np.median(centres[kind == number]) for number in range(len(large))])
    return np.asarray(medians[kind], np.float64)


def _dwell_times(path: Path, heads: NDArray[Any]) -> NDArray[np.float64]:
    """Time between the samples of each readout [s]."""
    dwell = heads["sample_time_us"].astype(np.float64) * 1e-6
    if not ((dwell > 0) & np.isfinite(dwell)).all():
        raise RawDataError(
            f"{path}: sample_time_us must be above 0 in every imaging acquisition for the correction of "
            f"off-resonance or of a delay, got {dwell.min() * 1e6:g}"
        )
    return dwell

"""When the samples of a readout were read."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.errors import RawDataError


def sample_times(
    path: Path,
    heads: NDArray[Any],
    trajectory: NDArray[np.float32],
    ends: NDArray[np.int64],
    lengths: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Time of every sample [s], 0 at the centre of k-space.

    That is the sample nearest to the centre; its median over all readouts of one length, so that
    they have the same origin. Samples are ``sample_time_us`` apart.

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
    dwell = heads["sample_time_us"].astype(np.float64) * 1e-6
    if not ((dwell > 0) & np.isfinite(dwell)).all():
        raise RawDataError(
            f"{path}: sample_time_us must be above 0 in every imaging acquisition for the correction of "
            f"off-resonance, got {dwell.min() * 1e6:g}"
        )
    radius = np.linalg.norm(trajectory, axis=1)
    centres = np.array(
        [radius[end - n : end].argmin() for end, n in zip(ends, lengths, strict=True)]
    )
    time = np.empty(len(radius), np.float32)
    for length in np.unique(lengths):
        centre = float(np.median(centres[lengths == length]))
        for line in np.flatnonzero(lengths == length):
            time[ends[line] - length : ends[line]] = (np.arange(length) - centre) * dwell[line]
    return time

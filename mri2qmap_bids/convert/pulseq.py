"""Frames, positions and sidecar of a scan from the Pulseq file that it was played from."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.errors import PulseqError, RawDataError
from mri2qmap_bids.pulseq.file import PulseqFile, read_pulseq
from mri2qmap_bids.pulseq.metadata import metadata_of
from mri2qmap_bids.pulseq.shots import shots_of
from mri2qmap_bids.pulseq.timeline import timeline_of

logger = logging.getLogger(__name__)

# Readouts whose positions along z span less than this over the slab [cycle] are of slices.
_FLAT = 0.5
_NOISE = -1


@dataclass(frozen=True, eq=False)
class PulseqScan:
    """The readouts that a Pulseq file plays, in their order."""

    path: Path
    """The file."""
    frame: NDArray[np.int64]
    """Frame of every readout, -1 for one before the first excitation (noise), shape (readout,)."""
    positions: Sequence[NDArray[np.float32]]
    """[1/m] of every readout, shape (sample, dim)."""
    matrix: tuple[int, int, int]
    """Voxels along (x, y, z) that the positions span."""
    fov: tuple[float, float, float]
    """Field of view along (x, y, z) [m]."""
    metadata: Mapping[str, Any]
    """Keys of the sidecar that the file tells, in the units of BIDS."""


def read_pulseq_scan(path: Path, n_frames: int | None = None) -> PulseqScan:
    """Read what a Pulseq file says of a scan.

    Parameters
    ----------
    path
        Pulseq file, version 1.3 to 1.5.
    n_frames
        Frames of one shot; None: as :func:`mri2qmap_bids.pulseq.shots.shots_of` tells.

    Raises
    ------
    PulseqError
        If the file is invalid, has no field of view, or its shots differ.
    """
    file = read_pulseq(path)
    timeline = timeline_of(file)
    shots = shots_of(timeline, path, n_frames)
    fov = _field_of_view(file, path)
    frame = np.full(len(timeline.readouts), _NOISE)
    for shot in shots.shots:
        for number, readouts in enumerate(shot.frames):
            frame[list(readouts)] = number
    images = np.concatenate([r.trajectory for r in timeline.readouts if r.excitation is not None])
    n_dim = 3 if float(np.ptp(images[:, 2])) * fov[2] > _FLAT else 2
    sizes = [_even(2 * float(np.abs(images[:, axis]).max()) * fov[axis]) for axis in range(n_dim)]
    matrix = (sizes[0], sizes[1], sizes[2] if n_dim == 3 else 1)
    voxel = (fov[0] / matrix[0], fov[1] / matrix[1], fov[2] / matrix[2])
    try:
        metadata = metadata_of(timeline, shots, voxel, path)
    except PulseqError as error:
        logger.warning("%s; the sidecar must name the pulse sequence", error)
        metadata = {}
    return PulseqScan(
        path=path,
        frame=frame,
        positions=[r.trajectory[:, :n_dim].astype(np.float32) for r in timeline.readouts],
        matrix=matrix,
        fov=fov,
        metadata=metadata,
    )


def match_readouts(scan: PulseqScan, lengths: Sequence[int], path: Path) -> NDArray[np.int64]:
    """Which readout of the Pulseq file each readout of a raw file is, shape (readout,).

    A raw file has all readouts of the Pulseq file, or all but those before the first excitation.

    Parameters
    ----------
    scan
        From :func:`read_pulseq_scan`.
    lengths
        Samples of every readout of the raw file, in their order.
    path
        The raw file, for messages.

    Raises
    ------
    RawDataError
        If their number, or the number of samples of one, is another one.
    """
    imaging = np.flatnonzero(scan.frame != _NOISE)
    numbers = np.arange(len(scan.frame)) if len(lengths) == len(scan.frame) else imaging
    if len(lengths) != len(numbers):
        raise RawDataError(
            f"{path}: must have the {len(scan.frame)} readouts of {scan.path} ({len(imaging)} of them after "
            f"an excitation), got {len(lengths)}"
        )
    for place, (number, length) in enumerate(zip(numbers.tolist(), lengths, strict=True)):
        if len(scan.positions[number]) != length:
            raise RawDataError(
                f"{path}: readout {place} must have the {len(scan.positions[number])} samples that "
                f"{scan.path} has, got {length}"
            )
    return numbers.astype(np.int64)


def _field_of_view(file: PulseqFile, path: Path) -> tuple[float, float, float]:
    values = file.definitions.get("FOV", ())
    try:
        x, y, z = (float(value) for value in values)
    except ValueError as error:
        raise PulseqError(
            f"{path}: [DEFINITIONS] must have FOV along x, y and z [m], got {' '.join(values) or 'none'}"
        ) from error
    return x, y, z


def _even(number: float) -> int:
    return max(2 * round(number / 2), 2)

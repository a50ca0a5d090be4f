"""Frames, positions and sidecar of a scan from the Pulseq file that it was played from."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.atomic import write_text
from mri2qmap_bids.dataset.sequence_keys import events_keys
from mri2qmap_bids.errors import InputError, OutputError, PulseqError, RawDataError
from mri2qmap_bids.pulseq.events import events_of_shot
from mri2qmap_bids.pulseq.file import PulseqFile
from mri2qmap_bids.pulseq.metadata import metadata_of
from mri2qmap_bids.pulseq.reader import read_pulseq
from mri2qmap_bids.pulseq.shots import Shots, shots_of
from mri2qmap_bids.pulseq.timeline import Timeline, timeline_of

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
    timeline, shots, fov, voxel = _played(path, n_frames)
    n_dim = voxel.n_dim
    frame = np.full(len(timeline.readouts), _NOISE)
    for shot in shots.shots:
        for number, readouts in enumerate(shot.frames):
            frame[list(readouts)] = number
    metadata: dict[str, Any] = {}
    try:
        metadata = sequence_metadata(timeline, shots, voxel.size, path)
    except PulseqError as error:
        logger.warning("%s; the sidecar must name the pulse sequence", error)
    return PulseqScan(
        path=path,
        frame=frame,
        positions=[r.trajectory[:, :n_dim].astype(np.float32) for r in timeline.readouts],
        matrix=voxel.matrix,
        fov=fov,
        metadata=metadata,
    )


def write_sequence(path: Path, target: Path, n_frames: int | None = None) -> Path:
    """Write a sidecar of the pulse sequence that a Pulseq file plays.

    Parameters
    ----------
    path
        Pulseq file, version 1.3 to 1.5.
    target
        JSON file to write.
    n_frames
        Frames of one shot; None: as :func:`mri2qmap_bids.pulseq.shots.shots_of` tells.

    Raises
    ------
    InputError
        If there is no such file.
    OutputError
        If the target exists or cannot be written.
    PulseqError
        If the file is invalid, or its pulse sequence cannot be told.
    """
    if not path.is_file():
        raise InputError(f"{path}: must be a Pulseq file, got no such file")
    if target.exists():
        raise OutputError(f"{target}: must not exist yet, got a file of this name")
    timeline, shots, _, voxel = _played(path, n_frames)
    keys = sequence_metadata(timeline, shots, voxel.size, path)
    write_text(target, json.dumps(keys, indent=2) + "\n")
    return target


def sequence_metadata(
    timeline: Timeline, shots: Shots, voxel_size: tuple[float, float, float], path: Path
) -> dict[str, Any]:
    """Sidecar keys of the pulse sequence: trains of flip angles and times where they say all, else events.

    Parameters
    ----------
    timeline, shots
        Of the file.
    voxel_size
        Along (x, y, z) [m].
    path
        The file, for messages.

    Raises
    ------
    PulseqError
        If neither says it; the text has both reasons.
    """
    try:
        return metadata_of(timeline, shots, voxel_size, path)
    except PulseqError as error:
        reason = str(error).removeprefix(f"{path}: ")
    try:
        sequence = events_of_shot(timeline, shots, voxel_size, path)
    except PulseqError as error:
        raise PulseqError(f"{error} (nor is it a train of one kind, which {reason})") from error
    if sequence.n_frames < 2:
        raise PulseqError(f"{path}: a shot must have at least 2 frames, got {sequence.n_frames}")
    logger.info("%s: %d events of %d frames", path, len(sequence.events), sequence.n_frames)
    return {"PulseSequenceType": "Pulseq", **events_keys(sequence)}


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


@dataclass(frozen=True)
class _Voxels:
    """The grid that a file's positions span."""

    n_dim: int
    matrix: tuple[int, int, int]
    size: tuple[float, float, float]
    """[m]"""


def _played(
    path: Path, n_frames: int | None
) -> tuple[Timeline, Shots, tuple[float, float, float], _Voxels]:
    """Timeline, shots, field of view [m] and voxels of a file."""
    file = read_pulseq(path)
    timeline = timeline_of(file)
    shots = shots_of(timeline, path, n_frames)
    fov = _field_of_view(file, path)
    images = np.concatenate([r.trajectory for r in timeline.readouts if r.excitation is not None])
    n_dim = 3 if float(np.ptp(images[:, 2])) * fov[2] > _FLAT else 2
    sizes = [_even(2 * float(np.abs(images[:, axis]).max()) * fov[axis]) for axis in range(n_dim)]
    matrix = (sizes[0], sizes[1], sizes[2] if n_dim == 3 else 1)
    size = (fov[0] / matrix[0], fov[1] / matrix[1], fov[2] / matrix[2])
    return timeline, shots, fov, _Voxels(n_dim, matrix, size)


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

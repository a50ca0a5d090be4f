"""Readouts as files have them, with counters, to a scan."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mri2qmap_bids.errors import RawDataError, UsageError
from mri2qmap_bids.recon.acquisition.header import ScanHeader
from mri2qmap_bids.recon.acquisition.placement import place_slices, place_volume
from mri2qmap_bids.recon.acquisition.scan import RawScan, SliceSamples

logger = logging.getLogger(__name__)

COUNTERS = (
    "contrast",
    "repetition",
    "kspace_encode_step_1",
    "kspace_encode_step_2",
    "phase",
    "set",
    "segment",
    "average",
)
"""Counters by their ISMRMRD names, beside ``slice``."""


@dataclass(frozen=True, eq=False)
class Readouts:
    """Imaging readouts in the order of a file."""

    samples: Sequence[NDArray[np.complex64]]
    """Samples of each readout, shape (coil, sample)."""
    counters: Mapping[str, NDArray[np.int64]]
    """``slice`` and COUNTERS, shape (readout,) each."""
    heads: Sequence[Mapping[str, Any]]
    """``position`` [mm], ``read_dir``, ``phase_dir`` and ``slice_dir`` (LPS) of each readout."""


def frames_of(
    path: Path, readouts: Readouts, counter: str, n_frames: int | None
) -> NDArray[np.int64]:
    """Frame of every readout, shape (readout,).

    A counter may begin at any number; from there on it must have no gap.

    Parameters
    ----------
    path
        The source, for messages.
    readouts
        Of one scan.
    counter
        One of COUNTERS, or order.
    n_frames
        Number of frames; None: as many as the counter has.

    Raises
    ------
    UsageError
        If the number of frames is not known.
    RawDataError
        If there are other frames than these.
    """
    if counter == "order":
        if n_frames is None:
            raise UsageError(
                "--frame-counter order: the number of frames must be given by --frames or by FlipAngle in "
                "--sidecar, got neither"
            )
        order = _rank(readouts.counters["slice"])
        count = int(order.max()) + 1
        if count % n_frames:
            raise RawDataError(
                f"{path}: with --frame-counter order the readouts of a slice must be a multiple of the "
                f"{n_frames} frames, got {count}"
            )
        return order % n_frames
    values = readouts.counters[counter]
    numbers = np.unique(values)
    if numbers[-1] - numbers[0] + 1 != len(numbers):
        raise RawDataError(
            f"{path}: counter {counter} must have no gap between frames, got {len(numbers)} numbers from "
            f"{numbers[0]} to {numbers[-1]}"
        )
    if n_frames is not None and len(numbers) != n_frames:
        several = {
            name: n for name in COUNTERS if (n := len(np.unique(readouts.counters[name]))) > 1
        }
        counts = ", ".join(f"{name} {n}" for name, n in several.items()) or "none has several"
        raise RawDataError(
            f"{path}: counter {counter} must have as many frames as the train, {n_frames}, got "
            f"{len(numbers)} (numbers of each counter: {counts}; --frame-counter selects one)"
        )
    frame: NDArray[np.int64] = values - numbers[0]
    return frame


def ranks_of(readouts: Readouts, frame: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of each readout within its slice and frame, in the order of the file."""
    return _rank(readouts.counters["slice"] * (int(frame.max()) + 1) + frame)


def given_positions(
    path: Path,
    trajectory: NDArray[Any],
    readouts: Readouts,
    frame: NDArray[np.int64],
) -> list[NDArray[np.float32]]:
    """Positions of every readout from an array, each of shape (sample, dim), in the array's unit.

    Parameters
    ----------
    path
        The file of the array, for messages.
    trajectory
        Shape (frame, arm, sample, dim), (readout of a slice, sample, dim) or (sample, dim); complex numbers are
        kx + i ky.
    readouts, frame
        The readouts and their frames.

    Raises
    ------
    RawDataError
        If the array has another shape than the readouts.
    """
    array = np.asarray(trajectory)
    if np.iscomplexobj(array):
        array = np.stack([array.real, array.imag], axis=-1)
    rank, order = ranks_of(readouts, frame), _rank(readouts.counters["slice"])
    lengths = {part.shape[1] for part in readouts.samples}
    shape = {
        4: (int(frame.max()) + 1, int(rank.max()) + 1),
        3: (int(order.max()) + 1,),
        2: (),
    }.get(array.ndim)
    if (
        shape is None
        or array.shape[:-2] != shape
        or {array.shape[-2]} != lengths
        or array.shape[-1] not in (2, 3)
    ):
        raise RawDataError(
            f"{path}: the trajectory must have the shape (frame, arm, sample, dim) = "
            f"({int(frame.max()) + 1}, {int(rank.max()) + 1}, {max(lengths)}, 2 or 3), or (readout, sample, "
            f"dim) with {int(order.max()) + 1} readouts, got {array.shape}"
        )
    array = array.astype(np.float32)
    places = {
        4: zip(frame, rank, strict=True),
        3: ((number,) for number in order),
        2: (() for _ in order),
    }
    return [array[place] for place in places[array.ndim]]


def assemble(
    path: Path,
    readouts: Readouts,
    positions: Sequence[NDArray[np.float32]],
    frame: NDArray[np.int64],
    header: ScanHeader,
    noise: NDArray[np.complex64] | None,
) -> tuple[RawScan, tuple[NDArray[np.int64], ...]]:
    """The scan of readouts, and the length of each readout of each of its slices.

    Parameters
    ----------
    path
        The source, for messages.
    readouts
        Of one scan.
    positions
        [cycles/m] of each readout, shape (sample, dim).
    frame
        Of each readout.
    header
        Matrix and field of view.
    noise
        Samples without signal with the bandwidth of the scan, shape (coil, sample).

    Raises
    ------
    RawDataError
        If slices do not lie on one grid, have no readouts in some frame, or a sample is not finite.
    """
    if not all(np.isfinite(part).all() for part in readouts.samples):
        raise RawDataError(f"{path}: k-space must be finite, got NaN or infinite values")
    is_3d = positions[0].shape[1] == 3
    numbers = np.zeros(len(frame), np.int64) if is_3d else readouts.counters["slice"]
    firsts = [int(np.flatnonzero(numbers == number)[0]) for number in np.unique(numbers)]
    if is_3d:
        geometry, order = place_volume(path, header, readouts.heads[0]), [0]
    else:
        geometry, order = place_slices(path, header, [readouts.heads[first] for first in firsts])
    n_frames = int(frame.max()) + 1
    parts, lengths = [], []
    for number in np.unique(numbers)[order]:
        places = np.flatnonzero(numbers == number).tolist()
        empty = sorted(set(range(n_frames)) - set(frame[places].tolist()))
        if empty:
            raise RawDataError(
                f"{path}: every slice must have readouts in all {n_frames} frames, got none in frame "
                f"{empty[0]} of slice {number} ({len(empty)} such)"
            )
        counts = np.array([readouts.samples[place].shape[1] for place in places])
        samples = np.concatenate([readouts.samples[place] for place in places], axis=1)
        where = np.concatenate([positions[place] for place in places])
        parts.append(
            SliceSamples(
                kspace=torch.from_numpy(samples.astype(np.complex64)),
                trajectory=torch.from_numpy(where.astype(np.float32)),
                frame=torch.from_numpy(np.repeat(frame[places], counts)),
            )
        )
        lengths.append(counts)
    fov = header.encoded_fov
    scan = RawScan(
        slices=tuple(parts),
        noise=None if noise is None else torch.from_numpy(noise),
        geometry=geometry,
        encoded_fov=(fov[2], fov[1], fov[0]),
        n_frames=n_frames,
        is_3d=is_3d,
    )
    return scan, tuple(lengths)


def _rank(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many earlier entries are in the same group."""
    ranks = np.zeros(len(groups), np.int64)
    for group in np.unique(groups):
        places = np.flatnonzero(groups == group)
        ranks[places] = np.arange(len(places))
    return ranks

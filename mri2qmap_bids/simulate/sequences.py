"""Pulse sequences to simulate: trains of our own and trains from files."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.dataset.sidecar import read_sequence
from mri2qmap_bids.encoded_text import read_text
from mri2qmap_bids.errors import ArgumentError, SidecarError, UsageError
from mri2qmap_bids.recon.physics.event_sequence import EventSequence, first_frames
from mri2qmap_bids.recon.physics.pulse_sequence import (
    PulseSequence,
    SequenceKind,
    default_rf_phase,
)

INVERSION_TIME = 20e-3
"""Delay from the inversion to the first frame [s]."""
FISP_REPETITION_TIME, FISP_ECHO_TIME = 12e-3, 2e-3
"""Default timing of the gradient-spoiled train [s]."""
BSSFP_REPETITION_TIME = 6e-3
"""Default repetition time of the balanced train [s]; its echo lies in the middle."""
_LOBE_LENGTH = 125
_LOBE_PEAKS_DEG = (35.0, 70.0, 20.0, 55.0, 10.0, 65.0, 45.0, 30.0)
_LEAST_FLIP_DEG = 5.0


def lobes(n_frames: int) -> NDArray[np.float64]:
    """Flip angles as a row of sinusoidal lobes of different heights.

    Within a lobe of L frames and height p, the angle is
    5 + (p - 5) sin(pi (i + 1/2) / L) degrees.

    Parameters
    ----------
    n_frames
        Number of frames, at least 1.

    Returns
    -------
    Flip angles [rad], shape (frame,).

    References
    ----------
    Jiang et al., MR fingerprinting using FISP (2015), doi:10.1002/mrm.25559.
    """
    n_lobes = max(2, round(n_frames / _LOBE_LENGTH))
    edges = np.linspace(0.0, n_frames, n_lobes + 1)
    frame = np.arange(n_frames) + 0.5
    lobe = np.minimum(np.searchsorted(edges, frame, side="right") - 1, n_lobes - 1)
    within = (frame - edges[lobe]) * n_lobes / n_frames
    peaks = np.array([_LOBE_PEAKS_DEG[i % len(_LOBE_PEAKS_DEG)] for i in range(n_lobes)])
    degrees = _LEAST_FLIP_DEG + (peaks[lobe] - _LEAST_FLIP_DEG) * np.sin(np.pi * within)
    return np.deg2rad(np.round(degrees, 4))


def make_sequence(
    kind: SequenceKind | str,
    n_frames: int,
    flip_angle: NDArray[np.float64] | None = None,
    repetition_time: NDArray[np.float64] | float | None = None,
    echo_time: NDArray[np.float64] | float | None = None,
    inversion_time: float | None = INVERSION_TIME,
    preparation_time: float | None = None,
) -> PulseSequence:
    """A train with defaults for everything that is not given.

    Parameters
    ----------
    kind
        FISP or bSSFP.
    n_frames
        Number of frames; given trains are cut to it.
    flip_angle
        Flip angles [rad], at least ``n_frames``; None: :func:`lobes`.
    repetition_time, echo_time
        Times [s], one or at least ``n_frames``; None: 12 and 2 ms (FISP), 6 ms and half the
        repetition time (bSSFP).
    inversion_time
        Delay after the inversion [s]; None: no inversion.
    preparation_time
        Time from one shot to the next [s]; None: every shot starts from equilibrium.

    Returns
    -------
    The sequence.

    Raises
    ------
    UsageError
        If a train is too short or the times do not fit into one another.
    """
    if n_frames < 2:
        raise UsageError(f"--frames: must be at least 2, got {n_frames}")
    spoiled = kind == SequenceKind.FISP
    default_tr = FISP_REPETITION_TIME if spoiled else BSSFP_REPETITION_TIME
    flips = lobes(n_frames) if flip_angle is None else flip_angle
    repetition = _train(
        default_tr if repetition_time is None else repetition_time, n_frames, "repetition times"
    )
    if echo_time is None:
        echo = np.full(n_frames, FISP_ECHO_TIME) if spoiled else repetition / 2
    else:
        echo = _train(echo_time, n_frames, "echo times")
    try:
        return PulseSequence(
            kind=kind,
            flip_angle=_train(flips, n_frames, "flip angles"),
            repetition_time=repetition,
            echo_time=echo,
            rf_phase=default_rf_phase(kind, n_frames),
            inversion_time=inversion_time,
            preparation_time=preparation_time,
        )
    except ArgumentError as error:
        named = str(error).replace("preparation_time", "--prep-time")
        raise UsageError(f"the train to simulate: {named}") from error


def read_train(path: Path) -> NDArray[np.float64]:
    """Numbers of a text file, one per frame, in the file's unit, shape (frame,).

    Raises
    ------
    UsageError
        If the file holds anything but numbers, or none.
    """
    try:
        values: NDArray[np.float64] = np.array(
            read_text(path).replace(",", " ").split(), dtype=float
        )
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: must hold one number per frame, got {error}") from error
    if len(values) == 0 or not np.isfinite(values).all():
        raise UsageError(f"{path}: must hold one finite number per frame, got {len(values)} values")
    return values


def from_sidecar(path: Path, n_frames: int | None = None) -> PulseSequence:
    """The pulse sequence that a run's JSON sidecar describes, or its first frames.

    Parameters
    ----------
    path
        The sidecar, its keys in s and degrees.
    n_frames
        Number of frames to keep; None: all.

    Raises
    ------
    UsageError
        If the file is not such a sidecar, or has fewer frames.
    """
    try:
        metadata = json.loads(read_text(path))
        if not isinstance(metadata, dict):
            raise UsageError(f"{path}: must be a JSON object, got {type(metadata).__name__}")
        sequence = read_sequence(metadata, None, path)
    except (OSError, ValueError, SidecarError) as error:
        raise UsageError(f"{path}: must be the sidecar of an MRF run: {error}") from error
    if n_frames is None:
        return sequence
    if n_frames < 2:
        raise UsageError(f"--frames: must be at least 2, got {n_frames}")
    if isinstance(sequence, EventSequence):
        if n_frames > sequence.n_frames:
            raise UsageError(
                f"{path}: must have at least {n_frames} frames, got {sequence.n_frames}"
            )
        return first_frames(sequence, n_frames)
    try:
        return replace(
            sequence,
            flip_angle=_train(sequence.flip_angle, n_frames, "FlipAngle"),
            repetition_time=_train(sequence.repetition_time, n_frames, "RepetitionTimeExcitation"),
            echo_time=_train(sequence.echo_time, n_frames, "EchoTime"),
            rf_phase=_train(sequence.rf_phase, n_frames, "RFPhase"),
        )
    except ArgumentError as error:
        raise UsageError(f"{path}: the first {n_frames} frames: {error}") from error


def _train(values: NDArray[np.float64] | float, n_frames: int, name: str) -> NDArray[np.float64]:
    """One value per frame from a scalar or a train."""
    train = np.asarray(values, dtype=np.float64)
    if train.size == 1:
        return np.full(n_frames, train.item())
    if len(train) < n_frames:
        raise UsageError(f"{name}: must be at least {n_frames} (one per frame), got {len(train)}")
    return train[:n_frames]

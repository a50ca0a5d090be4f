"""Frames of a Pulseq file: its excitations, ordered by shots."""

import logging
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.errors import PulseqError
from mri2qmap_bids.pulseq.timeline import Pulse, Readout, Timeline

logger = logging.getLogger(__name__)

Values = NDArray[np.float64]

_SAME_ANGLE = np.deg2rad(0.1)
_SAME_TIME = 20e-6
# Fraction of the distance between samples along a readout.
_SAME_POSITION = 0.5


@dataclass(frozen=True, eq=False)
class Shot:
    """The pulses from one shot's start to the next, with the readouts of every frame."""

    pulses: tuple[Pulse, ...]
    """Inversion and preparation first."""
    frames: tuple[tuple[int, ...], ...]
    """Numbers of the readouts of every frame."""


@dataclass(frozen=True, eq=False)
class Shots:
    """All shots, which play the same flip angles at the same times."""

    shots: tuple[Shot, ...]
    noise: tuple[int, ...]
    """Numbers of the readouts before the first excitation."""

    @property
    def n_frames(self) -> int:
        """Frames of one shot."""
        return len(self.shots[0].frames)


def shots_of(timeline: Timeline, path: Path, n_frames: int | None = None) -> Shots:
    """The frames of every shot.

    A shot begins with an inversion, if all then play the same. Without one, shots have ``n_frames`` frames, or the
    period of the flip angles, or are one. A frame is what is read after one excitation; readouts that pass the same
    positions again are further frames (echoes).

    Parameters
    ----------
    timeline
        Pulses and readouts.
    path
        The file, for messages.
    n_frames
        Frames in one shot; None: as above.

    Raises
    ------
    PulseqError
        If nothing is read after an excitation, the number of frames does not divide those of the file,
        or shots of ``n_frames`` differ in flip angles or times.
    """
    noise = tuple(n for n, readout in enumerate(timeline.readouts) if readout.excitation is None)
    frames = _frames(timeline)
    if not frames:
        raise PulseqError(f"{path}: must read data after an excitation, got no such readout")
    starts = _starts(timeline, frames, path, n_frames)
    shots = _divided(timeline, frames, starts)
    try:
        _check_equal(timeline, shots, path)
    except PulseqError as error:
        if n_frames is not None:
            raise
        # Preparations that differ belong to one train, as in cardiac fingerprinting.
        logger.warning("%s; taken as one shot of %d frames", error, len(frames))
        shots = _divided(timeline, frames, [0])
    return Shots(tuple(shots), noise)


def echo_of(timeline: Timeline, frame: tuple[int, ...]) -> tuple[Readout, int]:
    """The readout of a frame that comes nearest to the centre of k-space, and the number of its sample there.

    Parameters
    ----------
    timeline
        Pulses and readouts.
    frame
        Numbers of the frame's readouts.
    """
    parts = [timeline.readouts[number] for number in frame]
    radii = [np.linalg.norm(part.trajectory, axis=1) for part in parts]
    nearest = int(np.argmin([radius.min() for radius in radii]))
    return parts[nearest], int(radii[nearest].argmin())


def _divided(timeline: Timeline, frames: list[tuple[int, ...]], starts: list[int]) -> list[Shot]:
    """Shots that begin at these frames."""
    shots = []
    for number, (first, end) in enumerate(zip(starts, [*starts[1:], len(frames)], strict=True)):
        low = 0 if number == 0 else _first_pulse(timeline, frames, first)
        high = len(timeline.pulses) if end == len(frames) else _first_pulse(timeline, frames, end)
        shots.append(Shot(timeline.pulses[low:high], tuple(frames[first:end])))
    return shots


def _first_pulse(timeline: Timeline, frames: list[tuple[int, ...]], frame: int) -> int:
    """Number of the first pulse that belongs to a frame: after the frame before it was read."""
    last_readout = timeline.readouts[frames[frame - 1][-1]]
    return bisect_left(timeline.pulses, last_readout.time[-1], key=lambda pulse: pulse.time)


def _frames(timeline: Timeline) -> list[tuple[int, ...]]:
    frames: list[list[int]] = []
    excitation = None
    for number, readout in enumerate(timeline.readouts):
        if readout.excitation is None:
            continue
        repeats = frames and any(_is_same_path(timeline, n, number) for n in frames[-1])
        if readout.excitation != excitation or repeats:
            frames.append([])
        frames[-1].append(number)
        excitation = readout.excitation
    return [tuple(frame) for frame in frames]


def _is_same_path(timeline: Timeline, one: int, other: int) -> bool:
    a, b = timeline.readouts[one].trajectory, timeline.readouts[other].trajectory
    if a.shape != b.shape:
        return False
    tolerance = _SAME_POSITION * float(np.median(np.linalg.norm(np.diff(a, axis=0), axis=1)))
    return any(
        bool((np.linalg.norm(a - order, axis=1) < tolerance).all()) for order in (b, b[::-1])
    )


def _starts(
    timeline: Timeline, frames: list[tuple[int, ...]], path: Path, n_frames: int | None
) -> list[int]:
    """Numbers of the frames that begin a shot."""
    excitations = [timeline.readouts[frame[0]].excitation for frame in frames]
    inversions = [n for n, pulse in enumerate(timeline.pulses) if pulse.use == "inversion"]
    if inversions and n_frames is None:
        starts = [
            next((k for k, number in enumerate(excitations) if number > inversion), None)  # type: ignore[operator]
            for inversion in inversions
        ]
        return sorted({0, *(start for start in starts if start is not None)})
    if n_frames is None:
        angles = np.array([timeline.pulses[n].flip_angle for n in excitations])  # type: ignore[index]
        n_frames = _period(angles)
    if n_frames < 1 or len(frames) % n_frames:
        raise PulseqError(
            f"{path}: the number of frames must divide its {len(frames)} excitations that are read, "
            f"got {n_frames}"
        )
    return list(range(0, len(frames), n_frames))


def _period(angles: Values) -> int:
    """Least number of frames after which the flip angles repeat; all, if they are the same throughout."""
    if np.ptp(angles) < _SAME_ANGLE:
        return len(angles)
    for period in range(1, len(angles) // 2 + 1):
        if len(angles) % period == 0:
            rows = angles.reshape(-1, period)
            if np.ptp(rows, axis=0).max() < _SAME_ANGLE:
                return period
    return len(angles)


def _check_equal(timeline: Timeline, shots: list[Shot], path: Path) -> None:
    counts = [len(shot.frames) for shot in shots]
    if len(set(counts)) > 1:
        raise PulseqError(
            f"{path}: all shots must have as many frames, got {', '.join(map(str, sorted(set(counts))))}"
        )
    first = shots[0]
    for number, shot in enumerate(shots[1:], start=2):
        if len(shot.pulses) != len(first.pulses):
            raise PulseqError(
                f"{path}: all shots must play the same pulses, got {len(shot.pulses)} in shot {number} "
                f"and {len(first.pulses)} in the first"
            )
        angle = np.abs(_angles(shot) - _angles(first)).max()
        time = np.abs(_times(shot) - _times(first)).max()
        if angle > _SAME_ANGLE or time > _SAME_TIME:
            raise PulseqError(
                f"{path}: all shots must play the same pulses, got shot {number} with flip angles up to "
                f"{np.rad2deg(angle):.3g} deg and times up to {1e3 * time:.3g} ms apart from the first"
            )


def _angles(shot: Shot) -> Values:
    return np.array([pulse.flip_angle for pulse in shot.pulses])


def _times(shot: Shot) -> Values:
    """Since the first pulse [s]."""
    return np.array([pulse.time - shot.pulses[0].time for pulse in shot.pulses])

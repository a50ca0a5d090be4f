"""Events of a pulse sequence, as a Pulseq file plays them."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.errors import PulseqError
from mri2qmap_bids.pulseq.shots import Shot, Shots, echo_of
from mri2qmap_bids.pulseq.timeline import Pulse, Timeline
from mri2qmap_bids.recon.physics.event_sequence import EventSequence, event_sequence
from mri2qmap_bids.recon.physics.events import (
    Crusher,
    Delay,
    Event,
    Inversion,
    Readout,
    RFPulse,
    Spoiling,
)

logger = logging.getLogger(__name__)

Values = NDArray[np.float64]

# Gradient moments are below this [cycle over a voxel] if balanced, and multiples of the least to this part of it.
_BALANCED, _MULTIPLE = 0.05, 0.05
_SPOILED = 0.5
# Phase encoding that is not rewound moves by at most half a cycle.
_ENCODING = 0.55
# Dephasing that is no multiple of the others forms no echo: it is ideal spoiling from here on [cycle].
_CRUSHING = 2.0
_MOST_MULTIPLES = 64


@dataclass(frozen=True, eq=False)
class _Instant:
    """A pulse or a readout, with the moment at which its magnetisation has its phase."""

    time: float
    event: Event
    moment: Values
    """Gradient moment from the beginning of the file [1/m]: at a pulse, that of its centre; at a readout, that at
    which the excited magnetisation is in phase, whatever position in k-space is read. Shape (3,)."""
    block: int
    """Number of its block, from 1."""
    turn: float = 0.0
    """Rotation about z that follows the pulse [rad]."""


def events_of_shot(
    timeline: Timeline, shots: Shots, voxel_size: tuple[float, float, float], path: Path
) -> EventSequence:
    """The first shot as events.

    Pulses are instantaneous at their centres, and readouts at the sample nearest to the centre of k-space. Gradient
    moments between them become `Spoiling` by whole multiples of one moment along the axis on which most
    intervals spoil; a moment that is no multiple becomes a `Crusher` if it is of two cycles over a voxel or more. An
    inversion is a pulse of that use; saturation away from the resonance frequency (of fat) is left out, with a warning.

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
        If gradients vary during a pulse, dephasing is of several directions or neither whole multiples nor
        crushing, or inversions differ.
    """
    shot = shots.shots[0]
    instants = _instants(timeline, shot, path)
    following = shots.shots[1].pulses[0] if len(shots.shots) > 1 else None
    end = timeline.duration if following is None else following.time
    moment = timeline.moment if following is None else following.moment
    moments = np.array([*(instant.moment for instant in instants), moment]) * np.array(voxel_size)
    blocks = [instant.block for instant in instants]
    intervals = np.diff(moments, axis=0)
    # An inversion leaves nothing to dephase.
    intervals[[isinstance(instant.event, Inversion) for instant in instants]] = 0
    dephasings = _dephasings(intervals, blocks, path)
    times = [*(instant.time for instant in instants), end]
    events: list[Event] = []
    for instant, dephasing, start, stop in zip(
        instants, dephasings, times[:-1], times[1:], strict=True
    ):
        events.append(instant.event)
        events += [dephasing] if dephasing is not None else []
        events += [Delay(round(stop - start, 9))] if stop - start > 1e-9 else []
    preparation = None
    if len(shots.shots) > 1:
        starts = [each.pulses[0].time for each in shots.shots]
        # The shot itself ends where the next one starts.
        preparation = max(float(np.diff(starts).mean()), times[-1] - times[0])
    try:
        return event_sequence("Pulseq", events, _efficiency(shot, path), preparation)
    except ValueError as error:
        raise PulseqError(f"{path}: {error}") from error


def _instants(timeline: Timeline, shot: Shot, path: Path) -> list[_Instant]:
    """Pulses and echoes of a shot, in order of time."""
    instants = []
    for pulse in shot.pulses:
        if pulse.use == "saturation" and pulse.detuned:
            logger.warning(
                "%s: block %d saturates away from resonance, which leaves water as it is: left out",
                path,
                pulse.block,
            )
            continue
        if pulse.varied:
            raise PulseqError(
                f"{path}: block {pulse.block}: gradients must be constant during a pulse, as those that select a "
                f"slice, got {pulse.varied} that vary"
            )
        inverts = pulse.use == "inversion"
        event = Inversion() if inverts else RFPulse(pulse.flip_angle, pulse.axis)
        instants.append(_Instant(pulse.time, event, pulse.moment, pulse.block, pulse.turn))
    for frame in shot.frames:
        part, sample = echo_of(timeline, frame)
        instants.append(
            _Instant(float(part.time[sample]), Readout(part.phase), part.origin, part.block)
        )
    return _turned(sorted(instants, key=lambda instant: instant.time))


def _turned(instants: list[_Instant]) -> list[_Instant]:
    """The same without turns: after a turn by d, all phases are less by d.

    R_p Z(d) = Z(d) R_(p - d): rotations about z may be played last, where they are phases of the receiver.
    """
    result, turn = [], 0.0
    for instant in instants:
        event = instant.event
        if isinstance(event, RFPulse | Readout) and turn:
            event = replace(event, phase=float(np.mod(event.phase - turn, 2 * np.pi)))
        result.append(replace(instant, event=event, turn=0.0))
        turn = 0.0 if isinstance(event, Inversion) else turn + instant.turn
    return result


def _dephasings(moments: Values, blocks: Sequence[int], path: Path) -> Iterator[Event | None]:
    """What the gradients between instants do, from their moments [cycle over a voxel], shape (interval, 3)."""
    main = _main_axis(moments)
    along = moments[:, main]
    if np.abs(moments).max() < _BALANCED:
        return iter([None] * len(moments))
    along = along * np.sign(along[np.abs(along).argmax()])
    spoils = np.abs(along) >= _BALANCED
    unit = _unit(along[spoils & (np.abs(along) < _ENCODING + along[spoils].max())])
    events: list[Event | None] = []
    for dephasing, whole, block in zip(along, moments, blocks, strict=True):
        others = np.delete(whole, main)
        multiple = round(float(dephasing / unit))
        exact = abs(dephasing - multiple * unit) < _MULTIPLE * unit
        side = float(np.abs(others).max())
        if exact and multiple >= 0 and (side < _ENCODING or _is_parallel(moments, main, whole)):
            events.append(Spoiling(multiple) if multiple else None)
        elif float(np.linalg.norm(whole)) >= _CRUSHING and not _is_repeated(moments, whole):
            events.append(Crusher())
        else:
            raise PulseqError(
                f"{path}: block {block}: gradients after it must dephase by whole multiples of {unit:.3g} cycles over "
                f"a voxel along one direction, or by at least {_CRUSHING:g} cycles once, got "
                f"{', '.join(f'{value:.3g}' for value in whole)} along x, y, z"
            )
    return iter(events)


def _main_axis(moments: Values) -> int:
    """The axis along which most intervals spoil; of equals, the one without the strong crushers."""
    largest = np.abs(moments).max(axis=0)
    intervals = (np.abs(moments) >= _SPOILED).sum(axis=0)
    if not intervals.any():
        return int(largest.argmax())
    return max(range(3), key=lambda axis: (intervals[axis], -largest[axis]))


def _unit(moments: Values) -> float:
    """The least moment of which most moments are whole multiples [cycle]."""
    candidates = np.unique(np.round(np.abs(moments), 6))
    fits = [
        float(
            (np.abs(moments - unit * np.round(moments / unit)) < _MULTIPLE * unit).sum()
            if np.abs(moments).max() / unit < _MOST_MULTIPLES
            else -1
        )
        for unit in candidates
    ]
    return float(candidates[int(np.argmax(fits))])


def _is_parallel(moments: Values, main: int, whole: Values) -> bool:
    """Whether a moment is along the same direction as all others that dephase."""
    direction = moments[np.abs(moments[:, main]).argmax()]
    return bool(
        np.abs(np.cross(direction, whole)).max()
        < _MULTIPLE * np.linalg.norm(direction) * max(float(np.linalg.norm(whole)), 1.0)
    )


def _is_repeated(moments: Values, whole: Values) -> bool:
    """Whether neighbouring intervals have this moment, so that it may be refocused."""
    same = np.abs(moments - whole).max(axis=1) < _MULTIPLE * np.linalg.norm(whole)
    return bool((same[1:] & same[:-1]).any())


def _efficiency(shot: Shot, path: Path) -> float:
    """-cos of the flip angle of the inversions."""
    inversions = [pulse for pulse in shot.pulses if pulse.use == "inversion"]
    efficiencies = [efficiency_of(pulse) for pulse in inversions]
    if np.ptp(efficiencies or [1.0]) > 0.01:
        raise PulseqError(
            f"{path}: all inversions must be equally complete, got efficiencies of {min(efficiencies):.3g} to "
            f"{max(efficiencies):.3g}"
        )
    return max(efficiencies[0], 0.0) if efficiencies else 1.0


def efficiency_of(pulse: Pulse) -> float:
    """-cos of an inversion's flip angle: Mz behind the pulse is cos(angle) times Mz before it."""
    return round(float(-np.cos(pulse.flip_angle)), 4)

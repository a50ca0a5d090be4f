"""A pulse sequence that is any list of events."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.physics.events import (
    Delay,
    Event,
    Inversion,
    Readout,
    RFPulse,
    check_event,
    duration_of,
)
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence


@dataclass(frozen=True, eq=False)
class EventSequence(PulseSequence):
    """A pulse sequence given by its events; its trains describe them, for reports.

    Frame t lasts from the end of frame t - 1 to the first pulse after readout t (to the readout itself
    if none comes before the next). Its ``repetition_time`` is its length, its ``flip_angle`` and
    ``rf_phase`` are those of its last pulse, and its ``echo_time`` is the time from there to the readout
    (from its start, if it has no pulse). Inversions are events: ``inversion_time`` is None.
    """

    events: tuple[Event, ...] = ()
    """One shot: what is played, in order."""

    def __post_init__(self) -> None:
        for number, event in enumerate(self.events, 1):
            try:
                check_event(event)
            except ValueError as error:
                raise ArgumentError(f"event {number} ({type(event).__name__}): {error}") from error
        n_readouts = sum(isinstance(event, Readout) for event in self.events)
        if not n_readouts or n_readouts != self.n_frames:
            raise ArgumentError(f"events must hold a Readout for every frame, got {n_readouts}")
        if not any(isinstance(event, RFPulse) for event in self.events):
            raise ArgumentError("events must hold an RFPulse, got none")
        lengths = {len(profile) for profile in self.slice_profiles if profile}
        if len(lengths) > 1:
            raise ArgumentError(
                f"slice profiles must all have as many positions, got {sorted(lengths)}"
            )
        if not 0 <= self.inversion_efficiency <= 1:
            raise ArgumentError(
                f"inversion_efficiency must be 0 to 1, got {self.inversion_efficiency}"
            )
        if self.preparation_time is not None and self.preparation_time < self.duration - 1e-6:
            raise ArgumentError(
                f"preparation_time must be at least the {self.duration:.4g} s that one shot lasts, "
                f"got {self.preparation_time:g}"
            )

    @property
    def n_positions(self) -> int:
        """Number of positions across the slice that are simulated."""
        return max(1, *map(len, self.slice_profiles))

    @property
    def slice_profiles(self) -> list[tuple[float, ...]]:
        """Flip angles across the slice relative to nominal: of the sequence, and of each of its pulses."""
        pulses = [event for event in self.events if isinstance(event, RFPulse)]
        return [self.slice_profile, *(pulse.slice_profile for pulse in pulses)]


def event_sequence(
    kind: str,
    events: Sequence[Event],
    inversion_efficiency: float = 1.0,
    preparation_time: float | None = None,
    slice_profile: tuple[float, ...] = (),
) -> EventSequence:
    """A pulse sequence of these events, with the trains that describe them.

    Parameters
    ----------
    kind
        Name of its type.
    events
        One shot, up to its last event.
    inversion_efficiency
        Mz after an inversion is -efficiency times Mz before it, 0..1.
    preparation_time
        Time from one shot's start to the next [s]: shots are repeated to the periodic steady state;
        None: one shot from equilibrium.
    slice_profile
        Factors of all flip angles at equally spaced positions across the slice; empty: 1.

    Raises
    ------
    ArgumentError
        If an event cannot be played, or there is no pulse or no readout.
    """
    frames = [_description(frame) for frame in _frames(events)]
    flip_angle, rf_phase, echo_time, repetition_time = np.array(frames, float).reshape(-1, 4).T
    return EventSequence(
        kind=kind,
        flip_angle=flip_angle,
        rf_phase=rf_phase,
        echo_time=echo_time,
        repetition_time=repetition_time,
        inversion_efficiency=inversion_efficiency,
        preparation_time=preparation_time,
        slice_profile=slice_profile,
        events=tuple(events),
    )


def first_frames(sequence: EventSequence, n_frames: int) -> EventSequence:
    """The same sequence with its first frames alone.

    Raises
    ------
    ArgumentError
        If it has fewer.
    """
    if not 1 <= n_frames <= sequence.n_frames:
        raise ArgumentError(f"n_frames must be 1 to {sequence.n_frames}, got {n_frames}")
    events = [event for frame in _frames(sequence.events)[:n_frames] for event in frame]
    return event_sequence(
        sequence.kind,
        events,
        sequence.inversion_efficiency,
        sequence.preparation_time,
        sequence.slice_profile,
    )


def _frames(events: Sequence[Event]) -> list[list[Event]]:
    """The events of every frame, each from the end of the frame before it."""
    frames: list[list[Event]] = []
    start, readout = 0, None
    for index, event in enumerate(events):
        pulse = isinstance(event, RFPulse | Inversion)
        if readout is not None and (pulse or isinstance(event, Readout)):
            end = index if pulse else readout + 1
            frames.append(list(events[start:end]))
            start, readout = end, None
        if isinstance(event, Readout):
            readout = index
    if readout is not None:
        frames.append(list(events[start:]))
    return frames


def _description(frame: Sequence[Event]) -> tuple[float, float, float, float]:
    """Flip angle, phase, echo time and length of a frame."""
    flip_angle = phase = echo_time = time = 0.0
    for event in frame:
        match event:
            case RFPulse():
                flip_angle, phase, time = event.flip_angle, event.phase, 0.0
            case Delay():
                time += event.duration
            case Readout():
                echo_time = time
    return flip_angle, phase, echo_time, duration_of(frame)

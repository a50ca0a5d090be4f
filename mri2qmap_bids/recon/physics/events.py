"""Events of a pulse sequence: what is played, one after the other.

Every event but a delay is instantaneous. A pulse sequence is a tuple of events; its frames are its
readouts, in order. All are simulated by extended phase graphs (:mod:`mri2qmap_bids.recon.physics.epg`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass
from typing import Any

import numpy as np

from mri2qmap_bids.errors import ArgumentError


@dataclass(frozen=True)
class RFPulse:
    """Rotation by ``flip_angle`` (times B1) about the transverse axis at ``phase``."""

    flip_angle: float
    """Nominal flip angle [rad]."""
    phase: float = 0.0
    """Angle of the axis from x towards y [rad]."""
    slice_profile: tuple[float, ...] = ()
    """Factors of this pulse's flip angle at equally spaced positions across the slice; empty: 1."""


@dataclass(frozen=True)
class Inversion:
    """Adiabatic inversion: Mz becomes -efficiency Mz, whatever B1; the transverse part is spoiled."""


@dataclass(frozen=True)
class Delay:
    """Relaxation over some time."""

    duration: float
    """Time [s], at least 0."""


@dataclass(frozen=True)
class Spoiling:
    """Gradient that dephases the magnetisation by whole cycles across a voxel."""

    cycles: int = 1
    """Number of cycles, at least 1."""


@dataclass(frozen=True)
class Crusher:
    """Ideal spoiling: all transverse magnetisation is lost, and forms no later echo."""


@dataclass(frozen=True)
class Readout:
    """Reading of one frame: the mean transverse magnetisation of the voxel."""

    phase: float = 0.0
    """Phase of the receiver, by which the signal is demodulated [rad]."""


Event = RFPulse | Inversion | Delay | Spoiling | Crusher | Readout
EVENT_TYPES: dict[str, type[Event]] = {
    kind.__name__: kind for kind in (RFPulse, Inversion, Delay, Spoiling, Crusher, Readout)
}
"""Types of events by name."""


def check_event(event: Event) -> None:
    """Refuse an event that cannot be played.

    Raises
    ------
    ArgumentError
        If a number is not finite, a delay or slice profile negative, or spoiling less than one cycle.
    """
    for name, value in asdict(event).items():
        if not np.isfinite(value).all():
            raise ArgumentError(f"{name} must be finite, got {value}")
    if isinstance(event, Delay) and event.duration < 0:
        raise ArgumentError(f"duration must be at least 0 s, got {event.duration:g}")
    if isinstance(event, Spoiling) and event.cycles < 1:
        raise ArgumentError(f"cycles must be at least 1, got {event.cycles}")
    if isinstance(event, RFPulse) and min(event.slice_profile, default=0.0) < 0:
        raise ArgumentError(f"slice_profile must be at least 0, got {min(event.slice_profile):g}")


def event_record(event: Event) -> dict[str, Any]:
    """An event as plain values: ``event`` is its type, the other keys its fields (SI)."""
    return {"event": type(event).__name__, **asdict(event)}


def event_from_record(record: Mapping[str, Any]) -> Event:
    """The event of :func:`event_record`, which may have passed through JSON.

    Raises
    ------
    ArgumentError
        If there is no such type or field, a field is missing, or a value is not allowed.
    """
    fields = {name: value for name, value in record.items() if name != "event"}
    kind = EVENT_TYPES.get(str(record.get("event")))
    if kind is None:
        raise ArgumentError(f"must be one of {', '.join(EVENT_TYPES)}, got {record.get('event')!r}")
    names = kind.__dataclass_fields__
    needed = [name for name, field in names.items() if field.default is MISSING]
    if not set(needed) <= set(fields) <= set(names):
        raise ArgumentError(
            f"{kind.__name__} must have {_listed(needed)}, may have {_listed(list(names))}, "
            f"got {_listed(list(fields))}"
        )
    event = kind(**{name: _READERS[name](name, value) for name, value in fields.items()})
    check_event(event)
    return event


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "nothing"


def number(name: str, value: Any) -> float:
    """A number of JSON; infinity for integers beyond those of floats.

    Raises
    ------
    ArgumentError
        If it is no number; the text calls it ``name``.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ArgumentError(f"{name} must be a number, got {value!r}")
    try:
        return float(value)
    except OverflowError:  # JSON has integers of any length
        return float("inf")


def _count(name: str, value: Any) -> int:
    whole = number(name, value)
    if not whole.is_integer():
        raise ArgumentError(f"{name} must be a whole number, got {value!r}")
    return int(whole)


def _profile(name: str, value: Any) -> tuple[float, ...]:
    if not isinstance(value, list | tuple):
        raise ArgumentError(f"{name} must be a list of numbers, got {value!r}")
    return tuple(number(name, factor) for factor in value)


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "flip_angle": number,
    "phase": number,
    "slice_profile": _profile,
    "duration": number,
    "cycles": _count,
}


def duration_of(events: Iterable[Event]) -> float:
    """Time that events take [s]."""
    return float(sum(event.duration for event in events if isinstance(event, Delay)))

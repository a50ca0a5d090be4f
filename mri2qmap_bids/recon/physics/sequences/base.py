"""What a type of pulse sequence is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mri2qmap_bids.recon import bounds
from mri2qmap_bids.recon.bound import Bound
from mri2qmap_bids.recon.bounds import (
    DUMMIES,
    EVENT_ECHO_TIME,
    EVENT_INVERSION_TIME,
    GRADIENT_ECHO_REPETITION,
    PULSE_ANGLE,
    PULSE_PHASE,
    SHOT_TIME,
    SPIN_ECHO_REPETITION,
)
from mri2qmap_bids.recon.physics.event_sequence import EventSequence
from mri2qmap_bids.recon.physics.events import Event
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence

Form = Literal["frames", "number", "count", "list"]


@dataclass(frozen=True)
class Parameter:
    """One argument of a builder, as metadata may give it."""

    name: str
    """Of the builder's argument."""
    unit: str
    """rad, s or 1: unit that the builder takes."""
    low: float
    """Least value, in that unit."""
    high: float
    """Largest value, in that unit."""
    form: Form = "frames"
    """One value per frame or one for all frames, one number, one whole number, or a list of any length."""
    required: bool = False
    """Whether it must be given; if not, the builder's default holds."""


def within(name: str, bound: Bound, form: Form = "frames", required: bool = False) -> Parameter:
    """A parameter whose least and largest value are those of a bound.

    Parameters
    ----------
    name, form, required
        As of :class:`Parameter`.
    bound
        In the unit of the parameter.
    """
    unit = next(unit for unit, factor in bound.units.items() if factor == 1.0)
    return Parameter(name, unit, bound.lower, bound.upper, form, required)


FLIP_ANGLE = within("flip_angle", PULSE_ANGLE, required=True)
RF_PHASE = within("rf_phase", PULSE_PHASE)
REPETITION_TIME = within("repetition_time", GRADIENT_ECHO_REPETITION, required=True)
LONG_REPETITION_TIME = within("repetition_time", SPIN_ECHO_REPETITION, required=True)
ECHO_TIME = within("echo_time", EVENT_ECHO_TIME, required=True)
INVERSION_TIME = within("inversion_time", EVENT_INVERSION_TIME, "number")
INVERSION_TIMES = within("inversion_time", EVENT_INVERSION_TIME)
INVERSION_EFFICIENCY = within("inversion_efficiency", bounds.INVERSION_EFFICIENCY, "number")
PREPARATION_TIME = within("preparation_time", SHOT_TIME, "number")
SLICE_PROFILE = within("slice_profile", bounds.SLICE_PROFILE, "list")
REFOCUSING_ANGLE = within("refocusing_angle", PULSE_ANGLE)
NUMBER_DUMMIES = within("number_dummies", DUMMIES, "count")
"""Parameters of several types."""


def own_events(sequence: PulseSequence) -> tuple[Event, ...]:
    """The events that a pulse sequence was given by.

    Raises
    ------
    TypeError
        If it was given by trains alone.
    """
    if not isinstance(sequence, EventSequence):
        raise TypeError(f"{sequence.kind} must be an EventSequence, got {type(sequence).__name__}")
    return sequence.events


@dataclass(frozen=True)
class SequenceType:
    """A type of pulse sequence: its name, how it is built and what it plays."""

    name: str
    """As ``PulseSequenceType`` of a sidecar has it; case, spaces, hyphens and "MRF" do not count."""
    phrase: str
    """For the methods text, after "the acquisition was"; may cite papers, e.g. ``[@jiang2015]``."""
    build: Callable[..., PulseSequence]
    """From its parameters, by name and in SI units, to the pulse sequence."""
    parameters: tuple[Parameter, ...] = ()
    """The arguments of ``build`` that metadata may give; empty: the trains of :class:`PulseSequence`."""
    events: Callable[[PulseSequence], tuple[Event, ...]] = own_events
    """What one shot plays, up to the end of its last frame."""
    aliases: tuple[str, ...] = ()
    """Other names."""

"""What a type of pulse sequence is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mri2qmap_bids.recon.physics.event_sequence import EventSequence
from mri2qmap_bids.recon.physics.events import Event
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence


@dataclass(frozen=True)
class Parameter:
    """One argument of a builder, as metadata may give it."""

    name: str
    """Of the builder's argument."""
    unit: Literal["rad", "s", "1"]
    """Unit that the builder takes."""
    low: float
    """Least value, in that unit."""
    high: float
    """Largest value, in that unit."""
    form: Literal["frames", "number", "count", "list"] = "frames"
    """One value per frame or one for all frames, one number, one whole number, or a list of any length."""
    required: bool = False
    """Whether it must be given; if not, the builder's default holds."""


FLIP_ANGLE = Parameter("flip_angle", "rad", 0.0, 2 * np.pi, required=True)
RF_PHASE = Parameter("rf_phase", "rad", -1e6, 1e6)
# Gradient echoes repeat within a second, and all echoes come within one: larger values are in ms.
REPETITION_TIME = Parameter("repetition_time", "s", 1e-4, 1.0, required=True)
LONG_REPETITION_TIME = Parameter("repetition_time", "s", 1e-4, 30.0, required=True)
ECHO_TIME = Parameter("echo_time", "s", 0.0, 1.0, required=True)
INVERSION_TIME = Parameter("inversion_time", "s", 0.0, 20.0, "number")
INVERSION_TIMES = Parameter("inversion_time", "s", 0.0, 20.0)
INVERSION_EFFICIENCY = Parameter("inversion_efficiency", "1", 0.0, 1.0, "number")
PREPARATION_TIME = Parameter("preparation_time", "s", 0.0, 600.0, "number")
SLICE_PROFILE = Parameter("slice_profile", "1", 0.0, 10.0, "list")
REFOCUSING_ANGLE = Parameter("refocusing_angle", "rad", 0.0, 2 * np.pi)
NUMBER_DUMMIES = Parameter("number_dummies", "1", 0.0, 100.0, "count")
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

"""Types of pulse sequences by name, including those of other packages."""

import re
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

from mri2qmap_bids.recon.physics.event_sequence import EventSequence
from mri2qmap_bids.recon.physics.events import Event
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence
from mri2qmap_bids.recon.physics.sequences.base import SequenceType

ENTRY_POINTS = "mri2qmap_bids.sequences"
"""Group of entry points by which other packages add types: the name, and a :class:`SequenceType`."""
_OWN = (
    "fisp",
    "bssfp",
    "spoiled_gradient_echo",
    "spin_echo",
    "multi_echo_spin_echo",
    "prepared_gradient_echo",
    "look_locker",
    "qti",
)


@cache
def sequence_types() -> tuple[SequenceType, ...]:
    """This package's types, then those of other packages.

    Raises
    ------
    ValueError
        If an entry point is not a :class:`SequenceType` of its name.
    """
    own = [
        getattr(import_module(f"mri2qmap_bids.recon.physics.sequences.{name}"), name.upper())
        for name in _OWN
    ]
    others = []
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
        sequence_type = entry.load()
        if not isinstance(sequence_type, SequenceType) or sequence_type.name != entry.name:
            raise ValueError(
                f"entry point {entry.name} of {ENTRY_POINTS} must be a SequenceType of this name, "
                f"got {sequence_type!r}"
            )
        others.append(sequence_type)
    return (*own, *others)


def sequence_type_named(name: object) -> SequenceType:
    """The type of pulse sequence that goes by this name or alias.

    Raises
    ------
    ValueError
        If there is none.
    """
    for sequence_type in sequence_types():
        names = (sequence_type.name, *sequence_type.aliases)
        if _plain(name) in map(_plain, names):
            return sequence_type
    known = ", ".join(sequence_type.name for sequence_type in sequence_types())
    raise ValueError(f"must be one of {known}, got {name!r}")


def events_of(sequence: PulseSequence) -> tuple[Event, ...]:
    """What one shot of a pulse sequence plays, up to the end of its last frame.

    Raises
    ------
    ValueError
        If it is given by trains, and its type is not known.
    """
    if isinstance(sequence, EventSequence):
        return sequence.events
    return sequence_type_named(sequence.kind).events(sequence)


def _plain(name: object) -> str:
    return re.sub(r"[^a-z0-9]", "", str(name).lower().replace("mrf", ""))

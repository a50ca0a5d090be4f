"""Sidecar keys of pulse sequences that are made of events: by their type's parameters, or one by one."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.recon.acquisition.header import ScanHeader
from mri2qmap_bids.recon.bounds import DELAY
from mri2qmap_bids.recon.physics.event_sequence import EventSequence, event_sequence
from mri2qmap_bids.recon.physics.events import (
    EVENT_TYPES,
    Delay,
    Event,
    event_from_record,
    event_record,
    number,
)
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence
from mri2qmap_bids.recon.physics.sequences.base import (
    INVERSION_EFFICIENCY,
    PREPARATION_TIME,
    SLICE_PROFILE,
    Parameter,
)
from mri2qmap_bids.recon.physics.sequences.registry import sequence_type_named

EVENTS_KEY = "PulseSequenceEvents"
"""Key of a list of events."""
# Where BIDS has another name than the parameter's own.
_BIDS_NAMES = {
    "repetition_time": "RepetitionTimeExcitation",
    "preparation_time": "RepetitionTimePreparation",
    "rf_phase": "RFPhase",
    "spoiling_rf_phase_increment": "SpoilingRFPhaseIncrement",
}
_OF_EVENTS = (INVERSION_EFFICIENCY, PREPARATION_TIME, SLICE_PROFILE)
_IN_HEADER = ("flip_angle", "repetition_time", "echo_time", "inversion_time")
_IN_DEGREES = ("flip_angle", "phase")


def made_of_events(metadata: Mapping[str, Any]) -> bool:
    """Whether a sidecar describes a pulse sequence by events, or by parameters of its type."""
    if EVENTS_KEY in metadata:
        return True
    try:
        return bool(sequence_type_named(metadata.get("PulseSequenceType")).parameters)
    except ValueError:
        return False


def read_event_sequence(metadata: Mapping[str, Any], header: ScanHeader | None) -> PulseSequence:
    """The pulse sequence that a sidecar's events or parameters describe.

    Parameters
    ----------
    metadata
        Sidecar with BIDS names and units (degrees, seconds), for which :func:`made_of_events` holds.
    header
        ISMRMRD header; fills what the sidecar leaves out. None: there is none.

    Raises
    ------
    ValueError
        If a key is missing, or a value breaks its rule; the text names key, rule and value.
    """
    if EVENTS_KEY in metadata:
        return _from_events(metadata)
    sequence_type = sequence_type_named(metadata.get("PulseSequenceType"))
    values: dict[str, Any] = {}
    for parameter in sequence_type.parameters:
        array = _values(parameter, metadata, header)
        if array is not None:
            values[parameter.name] = array
    trains = {p.name for p in sequence_type.parameters if p.form == "frames"} & set(values)
    n_frames = max((len(values[name]) for name in trains), default=0)
    for name in trains:
        if len(values[name]) not in (1, n_frames):
            raise ValueError(
                f"{key_of(name)} must have one value, or as many as the longest list ({n_frames}), "
                f"got {len(values[name])}"
            )
    if n_frames < 2:
        keys = ", ".join(key_of(p.name) for p in sequence_type.parameters if p.form == "frames")
        raise ValueError(f"one of {keys} must be a list with one value per frame, got none")
    for parameter in sequence_type.parameters:
        if parameter.name in values:
            values[parameter.name] = _in_form(parameter, values[parameter.name])
    try:
        return sequence_type.build(**values)
    except ValueError as error:
        names = "|".join(parameter.name for parameter in sequence_type.parameters)
        text = re.sub(rf"\b({names})\b", lambda name: key_of(name[1]), str(error))
        raise ValueError(text) from error


def events_keys(sequence: EventSequence) -> dict[str, Any]:
    """Sidecar keys that give a pulse sequence by its events; what :func:`read_event_sequence` reads."""
    keys: dict[str, Any] = {EVENTS_KEY: [_event_keys(event) for event in sequence.events]}
    if sequence.inversion_efficiency != 1.0:
        keys["InversionEfficiency"] = sequence.inversion_efficiency
    if sequence.preparation_time is not None:
        keys["RepetitionTimePreparation"] = sequence.preparation_time
    if sequence.slice_profile:
        keys["SliceProfile"] = list(sequence.slice_profile)
    return keys


def key_of(name: str) -> str:
    """The sidecar's key of a parameter.

    >>> key_of("echo_time"), key_of("t2_preparation_time"), key_of("rf_phase")
    ('EchoTime', 'T2PreparationTime', 'RFPhase')
    """
    camel = "".join(word[0].upper() + word[1:] for word in name.split("_"))
    return _BIDS_NAMES.get(name, camel)


def _from_events(metadata: Mapping[str, Any]) -> PulseSequence:
    kind, records = metadata.get("PulseSequenceType"), metadata[EVENTS_KEY]
    if not isinstance(kind, str) or not kind:
        raise ValueError(f"PulseSequenceType must be a name for the {EVENTS_KEY}, got {kind!r}")
    if not isinstance(records, list) or not all(isinstance(r, dict) for r in records):
        raise ValueError(f"{EVENTS_KEY} must be a list of objects, got {str(records)[:60]}")
    events = []
    for index, record in enumerate(records, 1):
        try:
            events.append(_event(record))
        except ValueError as error:
            raise ValueError(f"{EVENTS_KEY}: event {index}: {error}") from error
    values = {
        parameter.name: _in_form(parameter, array)
        for parameter in _OF_EVENTS
        if (array := _values(parameter, metadata, None)) is not None
    }
    try:
        sequence = event_sequence(kind, events, **values)
    except ValueError as error:
        raise ValueError(f"{EVENTS_KEY}: {error}") from error
    if sequence.n_frames < 2:
        raise ValueError(f"{EVENTS_KEY} must have at least 2 events Readout, got 1")
    return sequence


def _event(record: Mapping[str, Any]) -> Event:
    """One event from its keys, angles in degrees."""
    names = {key_of(n): n for kind in EVENT_TYPES.values() for n in kind.__dataclass_fields__}
    fields = {"event": record.get("Event")}
    for key, value in record.items():
        if key != "Event":
            name = names.get(key, key)
            fields[name] = value
    for name in set(_IN_DEGREES) & set(fields):
        fields[name] = np.deg2rad(number(name, fields[name])).item()
    event = event_from_record(fields)
    if isinstance(event, Delay) and event.duration > DELAY.upper:
        raise ValueError(
            f"Duration must be at most {DELAY.upper:g} s (is it in milliseconds?), "
            f"got {event.duration:g}"
        )
    return event


def _event_keys(event: Event) -> dict[str, Any]:
    record = event_record(event)
    keys: dict[str, Any] = {"Event": record.pop("event")}
    for name, value in record.items():
        if name in _IN_DEGREES:
            keys[key_of(name)] = float(np.rad2deg(value))
        elif value != ():
            keys[key_of(name)] = list(value) if isinstance(value, tuple) else value
    return keys


def _values(
    parameter: Parameter, metadata: Mapping[str, Any], header: ScanHeader | None
) -> NDArray[np.float64] | None:
    """The numbers of a parameter, in its unit; None: it is not given."""
    key = key_of(parameter.name)
    value = metadata.get(key)
    if value is None and header is not None and parameter.name in _IN_HEADER:
        value = list(getattr(header, parameter.name)) or None
    if value is None:
        if parameter.required:
            raise ValueError(f"{key} must be given, got nothing")
        return None
    entries = value if isinstance(value, list | tuple) else [value]
    if not entries or any(isinstance(v, bool) or not isinstance(v, int | float) for v in entries):
        raise ValueError(f"{key} must be a number or a list of numbers, got {str(value)[:60]}")
    numbers = np.array([number(key, entry) for entry in entries])
    unit, scale = ("deg", np.pi / 180) if parameter.unit == "rad" else (parameter.unit, 1.0)
    array = numbers * scale
    if not ((parameter.low - 1e-12 <= array) & (array <= parameter.high + 1e-12)).all():
        hint = " (is it in milliseconds?)" if unit == "s" and numbers.max() > parameter.high else ""
        shown = f"{numbers.min():g}" + (f" to {numbers.max():g}" if len(numbers) > 1 else "")
        unit = "" if unit == "1" else f" {unit}"
        raise ValueError(
            f"{key} must be {parameter.low / scale:g} to {parameter.high / scale:g}{unit}{hint}, got {shown}"
        )
    return array


def _in_form(parameter: Parameter, array: NDArray[np.float64]) -> Any:
    """The numbers in the form that the builder takes."""
    if parameter.form == "frames":
        return array
    if parameter.form == "list":
        return tuple(array.tolist())
    if len(array) != 1 or (parameter.form == "count" and not float(array[0]).is_integer()):
        kind = "one whole number" if parameter.form == "count" else "one number"
        raise ValueError(f"{key_of(parameter.name)} must be {kind}, got {str(array.tolist())[:60]}")
    return int(array[0]) if parameter.form == "count" else float(array[0])

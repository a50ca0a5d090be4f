"""A run's metadata (sidecar, then ISMRMRD header) to the sequence it describes, checked, in SI."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.dataset.sequence_keys import made_of_events, read_event_sequence
from mri2qmap_bids.errors import ArgumentError, SidecarError
from mri2qmap_bids.recon.acquisition.counters import FrameCounter
from mri2qmap_bids.recon.acquisition.header import ScanHeader
from mri2qmap_bids.recon.acquisition.layout import ReadLayout
from mri2qmap_bids.recon.acquisition.lines import ImageLines, image_lines
from mri2qmap_bids.recon.acquisition.table import read_table
from mri2qmap_bids.recon.acquisition.trajectory import TrajectoryUnits
from mri2qmap_bids.recon.arguments import member
from mri2qmap_bids.recon.bound import Spelling, fault
from mri2qmap_bids.recon.bounds import FIELD_STRENGTH
from mri2qmap_bids.recon.physics.pulse_sequence import (
    SPELLINGS,
    PulseSequence,
    default_rf_phase,
    sequence_fault,
)
from mri2qmap_bids.recon.physics.sequences.registry import sequence_type_named, sequence_types
from mri2qmap_bids.recon.physics.slice_profile import (
    PULSE_SHAPES,
    TIME_BANDWIDTH_LIMITS,
    RFPulse,
    slice_profile,
)
from mri2qmap_bids.recon.units import ANGLES, TIMES


@dataclass(frozen=True)
class _Key:
    """A numeric key, and where the ISMRMRD header has it."""

    name: str
    unit: str
    header_name: str = ""
    header_field: str = ""
    header_unit: str = ""


_KEYS = {
    "flip_angle": _Key("FlipAngle", "deg", "flipAngle_deg", "flip_angle", "deg"),
    "repetition_time": _Key("RepetitionTimeExcitation", "s", "TR", "repetition_time", "ms"),
    "echo_time": _Key("EchoTime", "s", "TE", "echo_time", "ms"),
    "rf_phase": _Key("RFPhase", "deg"),
    "inversion_time": _Key("InversionTime", "s", "TI", "inversion_time", "ms"),
    "inversion_efficiency": _Key("InversionEfficiency", "1"),
    "preparation_time": _Key("RepetitionTimePreparation", "s"),
    "slice_profile": _Key("SliceProfile", "1"),
    "time_bandwidth_product": _Key("RFTimeBandwidthProduct", "1"),
}
_DESCRIBED = ("flip_angle", "repetition_time", "echo_time", "inversion_time")
_FACTORS = {"1": 1.0, "s": TIMES["s"], "deg": ANGLES["deg"]}


def read_scan(metadata: Mapping[str, Any], path: Path) -> tuple[PulseSequence, ImageLines]:
    """The train of a run, and the image lines of its raw file; the file is opened once.

    Parameters
    ----------
    metadata
        Sidecar, inheritance applied.
    path
        The run's raw file.

    Raises
    ------
    SidecarError
        If the metadata is incomplete or invalid.
    RawDataError
        If the file is unreadable, or does not hold one scan.
    """
    table = read_table(path)
    sequence = read_sequence(metadata, table.headers[0], path)
    return sequence, image_lines(table, read_layout(metadata, sequence.n_frames, path))


def read_sequence(
    metadata: Mapping[str, Any], header: ScanHeader | None, path: Path
) -> PulseSequence:
    """The train that a run's metadata describes.

    Parameters
    ----------
    metadata
        Sidecar with BIDS names and units (degrees, seconds), inheritance applied.
    header
        ISMRMRD header; fills what the sidecar leaves out. None: there is none.
    path
        The run's raw file, for messages.

    Raises
    ------
    SidecarError
        If a key is missing in both, or a value breaks its rule; the text names the file,
        the key, the rule and the value.
    """
    if made_of_events(metadata):
        try:
            event_sequence = read_event_sequence(metadata, header)
        except ValueError as error:
            raise SidecarError(f"{sidecar_name(path)}: {error}") from error
        # Keys that these sequences need not have, but that the maps' sidecars take over.
        for field in _DESCRIBED:
            if metadata.get(_KEYS[field].name) is not None:
                _values(metadata, field, header, path)
        field_strength(metadata, header, path)
        return event_sequence
    kind = _kind(metadata, path)
    flip_angle = _values(metadata, "flip_angle", header, path)
    n_frames = len(flip_angle)
    if n_frames < 2:
        raise _broken(
            path, "FlipAngle", "a list with one value [deg] per frame", metadata.get("FlipAngle")
        )
    spellings = {field: _spelling(metadata, field, path) for field in SPELLINGS}
    values: dict[str, Any] = {
        "flip_angle": flip_angle,
        "repetition_time": _train(metadata, "repetition_time", header, n_frames, path),
        "echo_time": _train(metadata, "echo_time", header, n_frames, path),
        "rf_phase": default_rf_phase(kind, n_frames)
        if metadata.get("RFPhase") is None
        else _train(metadata, "rf_phase", header, n_frames, path),
        "inversion_time": _scalar(metadata, "inversion_time", header, path),
        "preparation_time": _scalar(metadata, "preparation_time", header, path),
    }
    efficiency = _scalar(metadata, "inversion_efficiency", header, path)
    values["inversion_efficiency"] = 1.0 if efficiency is None else efficiency
    values["slice_profile"] = _slice_profile(metadata, header, float(flip_angle.mean()), path)
    text = sequence_fault(values, spellings)
    if text:
        raise SidecarError(text)
    field_strength(metadata, header, path)
    return PulseSequence(kind=kind, **values)


def field_strength(
    metadata: Mapping[str, Any], header: ScanHeader | None, path: Path
) -> float | None:
    """Field strength of the magnet [T], from the sidecar or else the header; None: unknown.

    Raises
    ------
    SidecarError
        If it is no number, or that of no magnet.
    """
    name, value = (
        f"{sidecar_name(path)}: MagneticFieldStrength",
        metadata.get("MagneticFieldStrength"),
    )
    if value is None:
        name = f"{path}: systemFieldStrength_T of the ISMRMRD header"
        value = header.field_strength if header else None
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SidecarError(f"{name} must be a number, got {value!r}")
    text = fault(FIELD_STRENGTH, value, Spelling(name, "T"))
    if text:
        raise SidecarError(text)
    return float(value)


_LARGEST_DELAY = 1e-4
"""Delay of the gradients [s]; those of scanners are some microseconds."""


def read_layout(metadata: Mapping[str, Any], n_frames: int, path: Path) -> ReadLayout:
    """How the raw file is to be read: frame counter, trajectory units, dimension, encoding.

    Raises
    ------
    SidecarError
        If a value is not one of those allowed.
    """
    units = metadata.get("MRFTrajectoryUnits")
    dimension = metadata.get("MRAcquisitionType")
    if dimension not in (None, "2D", "3D"):
        raise _broken(path, "MRAcquisitionType", "2D or 3D", dimension)
    encoding = metadata.get("MRFEncoding")
    if encoding is not None and (type(encoding) is not int or encoding < 0):
        raise _broken(path, "MRFEncoding", "the number of an encoding, from 0", encoding)
    delay = metadata.get("MRFGradientDelay", [])
    delays = [delay] * 3 if isinstance(delay, int | float) else delay
    if not isinstance(delays, list) or not all(
        isinstance(v, int | float) and not isinstance(v, bool) and abs(v) <= _LARGEST_DELAY
        for v in delays
    ):
        rule = f"one time, or one for each of x, y and z, within {_LARGEST_DELAY:g} s of 0"
        raise _broken(path, "MRFGradientDelay", rule, delay)
    try:
        return ReadLayout(
            n_frames=n_frames,
            frame_counter=member(
                FrameCounter, metadata.get("MRFFrameCounter", "contrast"), "MRFFrameCounter"
            ),
            trajectory_units=None
            if units is None
            else member(TrajectoryUnits, units, "MRFTrajectoryUnits"),
            is_3d=None if dimension is None else dimension == "3D",
            encoding=encoding,
            gradient_delay=tuple(float(v) for v in delays),
        )
    except ArgumentError as error:
        raise SidecarError(f"{sidecar_name(path)}: {error}") from error


def sidecar_name(path: Path) -> str:
    """How messages call the metadata of a raw file."""
    return f"{path.with_suffix('.json')}"


def _kind(metadata: Mapping[str, Any], path: Path) -> str:
    value = metadata.get("PulseSequenceType")
    try:
        return sequence_type_named(value).name
    except ValueError:
        names = ", ".join(sequence_type.name for sequence_type in sequence_types())
        raise _broken(path, "PulseSequenceType", f"one of {names}", value) from None


def _spelling(metadata: Mapping[str, Any], field: str, path: Path) -> Spelling:
    """How messages call a field: by the file that it was taken from."""
    key = _KEYS[field]
    if metadata.get(key.name) is None and key.header_name:
        return Spelling(f"{path}: {key.header_name} of the ISMRMRD header", key.header_unit)
    return Spelling(f"{sidecar_name(path)}: {key.name}", key.unit)


def _values(
    metadata: Mapping[str, Any], field: str, header: ScanHeader | None, path: Path
) -> NDArray[np.float64]:
    """A numeric field in SI units, from the sidecar or else the ISMRMRD header."""
    key = _KEYS[field]
    value, factor = metadata.get(key.name), _FACTORS[key.unit]
    if value is None:
        value = list(getattr(header, key.header_field, ())) if key.header_field else []
        # The header has been read into seconds, but keeps its degrees.
        factor = ANGLES["deg"] if key.header_unit == "deg" else 1.0
        if not value:
            raise SidecarError(
                f"{sidecar_name(path)}: {key.name} must be given here (or in the ISMRMRD header), got nothing"
            )
    entries = value if isinstance(value, list | tuple) else [value]
    if not entries or any(isinstance(v, bool) or not isinstance(v, int | float) for v in entries):
        raise _broken(path, key.name, "a number or a list of numbers", value)
    try:
        array = np.array(entries, np.float64) * factor
    except OverflowError:  # JSON has integers of any length
        array = np.array([np.inf])
    if not np.isfinite(array).all():
        raise _broken(path, key.name, "finite", value)
    return array


def _train(
    metadata: Mapping[str, Any], field: str, header: ScanHeader | None, n_frames: int, path: Path
) -> NDArray[np.float64]:
    """A field with one value per frame, or one for all."""
    array = _values(metadata, field, header, path)
    if len(array) not in (1, n_frames):
        raise SidecarError(
            f"{_spelling(metadata, field, path).name} must have one value, or as many as FlipAngle "
            f"({n_frames}), got {len(array)}"
        )
    return np.broadcast_to(array, n_frames).copy()


def _scalar(
    metadata: Mapping[str, Any], field: str, header: ScanHeader | None, path: Path
) -> float | None:
    key = _KEYS[field]
    if metadata.get(key.name) is None:
        others = getattr(header, key.header_field, ()) if key.header_field else ()
        return float(others[0]) if others else None
    array = _values(metadata, field, header, path)
    if len(array) != 1:
        raise _broken(path, key.name, "one number", metadata.get(key.name))
    return float(array[0])


def _slice_profile(
    metadata: Mapping[str, Any], header: ScanHeader | None, flip_angle: float, path: Path
) -> tuple[float, ...]:
    """Factors of the sidecar, or those of its RF pulse at the mean flip angle [rad]."""
    pulse = _pulse(metadata, path)
    if metadata.get("SliceProfile") is None:
        if pulse is None:
            return ()
        is_3d = header is not None and header.encoded_matrix[2] > 1
        if metadata.get("MRAcquisitionType", "3D" if is_3d else "2D") == "3D":
            raise _broken(path, "RFPulseShape", "absent in 3D, where slices are not averaged", "3D")
        if not flip_angle > 0:
            raise _broken(path, "FlipAngle", "above 0 on average with RFPulseShape", flip_angle)
        return slice_profile(pulse, flip_angle)
    if pulse is not None:
        raise _broken(path, "RFPulseShape", "absent beside SliceProfile", pulse.shape)
    return tuple(_values(metadata, "slice_profile", header, path).tolist())


def _pulse(metadata: Mapping[str, Any], path: Path) -> RFPulse | None:
    shape = metadata.get("RFPulseShape")
    product = _scalar(metadata, "time_bandwidth_product", None, path)
    if shape is None and product is None:
        return None
    if shape not in PULSE_SHAPES:
        raise _broken(path, "RFPulseShape", f"one of {', '.join(PULSE_SHAPES)}", shape)
    low, high = TIME_BANDWIDTH_LIMITS
    if product is None or not low <= product <= high:
        raise _broken(path, "RFTimeBandwidthProduct", f"{low:g} to {high:g}", product)
    return RFPulse(shape, product)


def _broken(path: Path, key: str, rule: str, value: Any) -> SidecarError:
    shown = repr(value)
    return SidecarError(
        f"{sidecar_name(path)}: {key} must be {rule}, got "
        f"{shown if len(shown) < 80 else shown[:77] + '...'}"
    )

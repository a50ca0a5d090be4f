"""The pulse sequence: flip angles and timing of one train of excitations."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.bound import Spelling, fault
from mri2qmap_bids.recon.bounds import (
    ECHO_TIME,
    FLIP_ANGLE,
    INVERSION_EFFICIENCY,
    INVERSION_TIME,
    PREPARATION_PAUSE,
    REPETITION_TIME,
    RF_PHASE,
    SLICE_PROFILE,
    SLICE_PROFILE_PEAK,
    TYPICAL_REPETITION_TIME,
)
from mri2qmap_bids.recon.physics.sequences.modules import Train

_TRAINS = ("flip_angle", "repetition_time", "echo_time", "rf_phase")
_BOUNDS = {
    "flip_angle": (FLIP_ANGLE,),
    "repetition_time": (TYPICAL_REPETITION_TIME, REPETITION_TIME),
    "echo_time": (ECHO_TIME,),
    "rf_phase": (RF_PHASE,),
    "inversion_time": (INVERSION_TIME,),
    "inversion_efficiency": (INVERSION_EFFICIENCY,),
    "slice_profile": (SLICE_PROFILE, SLICE_PROFILE_PEAK),
}
SPELLINGS: Mapping[str, Spelling] = {
    "flip_angle": Spelling("flip_angle", "rad"),
    "repetition_time": Spelling("repetition_time", "s"),
    "echo_time": Spelling("echo_time", "s"),
    "rf_phase": Spelling("rf_phase", "rad"),
    "inversion_time": Spelling("inversion_time", "s"),
    "inversion_efficiency": Spelling("inversion_efficiency", "1"),
    "preparation_time": Spelling("preparation_time", "s"),
    "slice_profile": Spelling("slice_profile", "1"),
}
"""Names and units of the fields of a :class:`PulseSequence`."""


class SequenceKind(StrEnum):
    """Kind of a pulse sequence."""

    FISP = "FISP"
    """Gradient-spoiled steady-state free precession."""
    BSSFP = "bSSFP"
    """Balanced steady-state free precession."""


@dataclass(frozen=True, eq=False)
class PulseSequence:
    """One train of T excitations, repeated in every shot.

    Frame t is excited, read at its echo time and ends after its repetition
    time. FISP has one dephasing (spoiling) gradient after each echo; bSSFP has
    none. The receiver phase follows that of the excitation, so the signal
    of frame t is demodulated by ``rf_phase[t]``.

    Sequences of numbers become arrays, and a name in any case the type of that name.

    Raises
    ------
    ArgumentError
        If a value has another shape, is not finite or is beyond the bounds of
        :mod:`mri2qmap_bids.recon.bounds`, as it is in other units.
    """

    kind: str
    """Name of its type: FISP (gradient-spoiled SSFP), bSSFP (balanced), or another of the registry."""
    flip_angle: NDArray[np.float64]
    """Nominal flip angle [rad], shape (frame,)."""
    repetition_time: NDArray[np.float64]
    """Time from one excitation to the next [s], shape (frame,)."""
    echo_time: NDArray[np.float64]
    """Time from excitation to echo [s], shape (frame,)."""
    rf_phase: NDArray[np.float64]
    """Phase of each excitation [rad], shape (frame,)."""
    inversion_time: float | None = None
    """Delay from an adiabatic inversion to frame 0 [s]; None: no inversion."""
    inversion_efficiency: float = 1.0
    """Mz after the inversion is -efficiency times Mz before it, 0..1."""
    preparation_time: float | None = None
    """Time from one shot's start (its inversion) to the next [s]; None: one shot from equilibrium."""
    slice_profile: tuple[float, ...] = ()
    """Flip-angle factors at equally spaced positions across the slice; empty: one, exactly 1."""

    def __post_init__(self) -> None:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in values.items():
            if name == "kind":
                values[name] = _type_name(value)
            elif name in _TRAINS:
                values[name] = _numbers(name, value)
            elif name == "slice_profile":
                values[name] = tuple(_numbers(name, value).reshape(-1).tolist())
            elif value is not None:
                values[name] = _number(name, value)
            object.__setattr__(self, name, values[name])
        shape = self.flip_angle.shape
        for name in _TRAINS:
            if values[name].shape != shape or len(shape) != 1:
                raise ArgumentError(
                    f"{name} must be an array with one value per flip angle {shape}, got shape "
                    f"{values[name].shape}"
                )
        text = sequence_fault(values, SPELLINGS)
        if text:
            raise ArgumentError(text)

    @property
    def n_frames(self) -> int:
        """Number of excitations T in the train."""
        return len(self.flip_angle)

    @property
    def duration(self) -> float:
        """Time from a shot's start to the end of its last repetition [s]."""
        return float(self.repetition_time.sum()) + (self.inversion_time or 0.0)

    @staticmethod
    def fisp(
        flip_angle_deg: Train,
        repetition_time: Train,
        echo_time: Train,
        inversion_time: float | None = None,
        **settings: Any,
    ) -> "PulseSequence":
        """A gradient-spoiled train (FISP).

        Parameters
        ----------
        flip_angle_deg
            Nominal flip angles [degree], shape (frame,), or one for all frames.
        repetition_time, echo_time
            [s], shape (frame,), or one for all frames.
        inversion_time, settings
            As of :func:`~mri2qmap_bids.recon.physics.sequences.fisp.fisp`.

        Raises
        ------
        ArgumentError
            If the numbers of values differ, or a value is beyond its bounds.
        """
        # Types of pulse sequences are built on this class.
        from mri2qmap_bids.recon.physics.sequences.fisp import fisp

        angle = np.deg2rad(_numbers("flip_angle_deg", flip_angle_deg))
        times = _numbers("repetition_time", repetition_time), _numbers("echo_time", echo_time)
        return fisp(angle, *times, inversion_time=inversion_time, **settings)

    @staticmethod
    def bssfp(
        flip_angle_deg: Train,
        repetition_time: Train,
        echo_time: Train | None = None,
        inversion_time: float | None = None,
        **settings: Any,
    ) -> "PulseSequence":
        """A balanced train (bSSFP) whose excitations alternate in phase by 180 degrees.

        Parameters
        ----------
        flip_angle_deg, repetition_time
            As of :meth:`fisp`.
        echo_time
            As of :meth:`fisp`; None: half the repetition time.
        inversion_time, settings
            As of :func:`~mri2qmap_bids.recon.physics.sequences.bssfp.bssfp`.

        Raises
        ------
        ArgumentError
            If the numbers of values differ, or a value is beyond its bounds.
        """
        from mri2qmap_bids.recon.physics.sequences.bssfp import bssfp

        angle = np.deg2rad(_numbers("flip_angle_deg", flip_angle_deg))
        repetition = _numbers("repetition_time", repetition_time)
        echo = None if echo_time is None else _numbers("echo_time", echo_time)
        return bssfp(angle, repetition, echo, inversion_time=inversion_time, **settings)


def default_rf_phase(kind: str, n_frames: int) -> NDArray[np.float64]:
    """Phase of each excitation where none is given [rad], shape (frame,): 0 and pi in turn (bSSFP), else 0."""
    if kind == SequenceKind.BSSFP:
        return np.where(np.arange(n_frames) % 2, np.pi, 0.0)
    return np.zeros(n_frames)


def sequence_fault(values: Mapping[str, Any], spellings: Mapping[str, Spelling]) -> str | None:
    """The first rule that the fields of a sequence break, as one sentence; None: none.

    Parameters
    ----------
    values
        Fields of a :class:`PulseSequence`, in SI units.
    spellings
        How the message calls them, and their units there.
    """
    if len(values["flip_angle"]) < 2:
        name = spellings["flip_angle"].name
        return f"{name} must have one value per frame, at least 2, got {len(values['flip_angle'])}"
    for name, rules in _BOUNDS.items():
        value = values.get(name)
        if value is None or np.size(value) == 0:
            continue
        for rule in rules:
            text = fault(rule, value, spellings[name])
            if text:
                return text
    return _phase_fault(values["rf_phase"], spellings["rf_phase"]) or _timing_fault(
        values, spellings
    )


def _phase_fault(phase: NDArray[np.float64], spelling: Spelling) -> str | None:
    """Phases in rad that are all quarters of a number, beyond a full turn, are in degrees."""
    quarters = np.allclose(4 * phase, np.round(4 * phase), rtol=0, atol=1e-9)
    if spelling.unit != "rad" or np.abs(phase).max() <= 2 * np.pi or not quarters:
        return None
    return f"{spelling.name} must be in rad, got whole numbers up to {np.abs(phase).max():g} (is it in deg?)"


def _timing_fault(values: Mapping[str, Any], spellings: Mapping[str, Spelling]) -> str | None:
    """Times that do not fit into one another."""
    echo, repetition = values["echo_time"], values["repetition_time"]
    if (echo >= repetition).any():
        frame = int(np.argmax(echo >= repetition))
        unit = spellings["echo_time"].unit
        factor = ECHO_TIME.units[unit]
        return (
            f"{spellings['echo_time'].name} must be below the repetition time of its frame "
            f"({repetition[frame] / factor:.4g} {unit} in frame {frame}), got {echo[frame] / factor:.4g}"
        )
    preparation = values.get("preparation_time")
    if preparation is None:
        return None
    duration = float(repetition.sum()) + (values.get("inversion_time") or 0.0)
    # Sums of rounded times differ in their last digits.
    pause = preparation - duration
    if 0 > pause > -1e-6 or PREPARATION_PAUSE.lower <= pause <= PREPARATION_PAUSE.upper:
        return None
    as_ms = preparation * 1e-3 - duration
    hint = " (is it in ms?)" if 0 <= as_ms <= PREPARATION_PAUSE.upper else ""
    return (
        f"{spellings['preparation_time'].name} must be at least the {duration:.4g} s that one shot lasts and "
        f"at most {PREPARATION_PAUSE.upper:g} s more, got {preparation:.6g}{hint}"
    )


def _type_name(kind: Any) -> str:
    # The registry's types are built on this class.
    from mri2qmap_bids.recon.physics.sequences.registry import sequence_type_named

    try:
        return sequence_type_named(kind).name
    except ValueError as error:
        raise ArgumentError(f"kind {error}") from error


def _numbers(name: str, value: Any) -> NDArray[np.float64]:
    try:
        if np.asarray(value).dtype.kind in "bOSUcM":
            raise TypeError(f"{np.asarray(value).dtype} values")
        return np.array(value, np.float64)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{name} must be real numbers, got {error}") from error


def _number(name: str, value: Any) -> float:
    array = _numbers(name, value)
    if array.size != 1:
        raise ArgumentError(f"{name} must be one number, got shape {array.shape}")
    return float(array.item())

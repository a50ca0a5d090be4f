"""Bounds of the quantities of a scan: a value outside them is impossible in the unit demanded.

Bounds are wide enough for every scanner (0.05 T to 20 T), animal and phantom, and as close as they can be
to the values that a quantity would have in the unit it is mistaken for.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from operator import index
from typing import Any, TypeVar

from mri2qmap_bids.errors import ArgumentError

Choice = TypeVar("Choice", bound=StrEnum)

TIMES = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
ANGLES = {"rad": 1.0, "deg": math.pi / 180}
LENGTHS = {"m": 1.0, "mm": 1e-3, "cm": 1e-2}
# The Larmor frequency of protons is 42.577 MHz/T.
FIELDS = {"T": 1.0, "mT": 1e-3, "MHz": 1 / 42.577, "G": 1e-4}
RATIOS = {"1": 1.0, "%": 1e-2}
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Bound:
    """Lowest and highest value of a quantity, in the unit of factor 1 in ``units``."""

    key: str
    """Name in the input."""
    unit: str
    """Its unit there; one of ``units``."""
    lower: float
    upper: float
    units: Mapping[str, float]
    """Units that may be mistaken for each other, with their factors."""
    reason: str
    """Why no scan has a value beyond."""
    of: str = "each"
    """``each`` value, the ``largest`` magnitude, or the ``middle`` value (median)."""
    zero: bool = False
    """Whether 0 is allowed besides, as "none"."""


@dataclass(frozen=True)
class Spelling:
    """How a message calls a quantity."""

    name: str
    unit: str


FLIP_ANGLE = Bound(
    "FlipAngle",
    "deg",
    math.radians(3.2),
    math.radians(180.0),
    ANGLES,
    "no excitation is above 180 deg; a list in rad has no value above pi = 3.14, and a train below that would "
    "encode neither T1 nor T2",
    of="largest",
)
REPETITION_TIME = Bound(
    "RepetitionTimeExcitation",
    "s",
    0.5e-3,
    10.0,
    TIMES,
    "excitation, encoding and readout take at least 0.5 ms; a pause within a train is at most 10 s",
)
TYPICAL_REPETITION_TIME = Bound(
    "RepetitionTimeExcitation",
    "s",
    0.5e-3,
    1.0,
    TIMES,
    "a train of pulses a second apart is no fingerprint; the shortest in ms is above 1",
    of="middle",
)
ECHO_TIME = Bound(
    "EchoTime",
    "s",
    8e-6,
    0.5,
    TIMES,
    "coils need 8 us from transmission to reception; always below RepetitionTimeExcitation",
    zero=True,
)
INVERSION_TIME = Bound(
    "InversionTime",
    "s",
    0.5e-3,
    4.0,
    TIMES,
    "an adiabatic pulse lasts milliseconds; after 4 s the longest T1 (5 s) has passed its zero",
    zero=True,
)
INVERSION_EFFICIENCY = Bound(
    "InversionEfficiency", "1", 0.0, 1.0, RATIOS, "0 saturates, 1 inverts completely"
)
RF_PHASE = Bound(
    "RFPhase",
    "deg",
    math.radians(6.284),
    math.radians(1e10),
    ANGLES,
    "wrapped phases in rad are at most 2 pi = 6.28; above 1e10 deg their fraction is lost in rounding",
    of="largest",
    zero=True,
)
PREPARATION_PAUSE = Bound(
    "RepetitionTimePreparation minus the duration of a shot",
    "s",
    0.0,
    60.0,
    TIMES,
    "the next inversion comes after the last repetition; 60 s are 12 times the longest T1",
)
SLICE_PROFILE = Bound(
    "SliceProfile",
    "1",
    0.0,
    3.0,
    RATIOS,
    "factors of the nominal flip angle; no pulse overshoots it threefold",
)
SLICE_PROFILE_PEAK = Bound(
    "SliceProfile",
    "1",
    0.1,
    3.0,
    RATIOS,
    "somewhere in the slice the flip angle is about the nominal one",
    of="largest",
)
FIELD_STRENGTH = Bound(
    "MagneticFieldStrength",
    "T",
    5e-3,
    30.0,
    FIELDS,
    "from ultra-low field to the strongest magnets for animals",
)
B1_MIDDLE = Bound(
    "TB1map",
    "%",
    0.3,
    2.0,
    RATIOS,
    "at no field strength is the transmit field of half a head further from nominal",
    of="middle",
)
OFF_RESONANCE = Bound(
    "fieldmap",
    "Hz",
    -5e3,
    5e3,
    {"Hz": 1.0},
    "at 7 T air beside tissue shifts the frequency by less than 3 kHz",
)
FIELD_OF_VIEW = Bound(
    "fieldOfView_mm x, y",
    "mm",
    3e-3,
    1.5,
    LENGTHS,
    "from 3 mm (microscopy) to three times the 0.5 m that a magnet can image",
)
SLAB = Bound(
    "fieldOfView_mm z",
    "mm",
    0.1e-3,
    1.5,
    LENGTHS,
    "the thinnest slice is 0.1 mm thick, the longest slab 1.5 m long",
)
MATRIX = Bound(
    "matrixSize x, y",
    "1",
    4.0,
    4096.0,
    {"1": 1.0},
    "below 4 there is no image, above 4096 no scanner",
)
PARTITIONS = Bound("matrixSize z", "1", 1.0, 4096.0, {"1": 1.0}, "one slice, up to a volume")
VOXEL_SIZE = Bound(
    "voxel size x, y (field of view / matrix)",
    "mm",
    0.02e-3,
    0.1,
    LENGTHS,
    "from 0.02 mm (microscopy) to 100 mm",
)
POSITION = Bound(
    "position",
    "mm",
    0.0,
    2.0,
    LENGTHS,
    "no table moves the centre of a scan further than 2 m from the isocentre",
    of="largest",
)
SLICE_SPACING = Bound(
    "distance between slices / thickness",
    "1",
    0.25,
    9.0,
    {"1": 1.0},
    "slices neither overlap by three quarters nor lie 9 times their thickness apart",
)
TRAJECTORY_SHARE = Bound(
    "trajectory: share of k-space (of the product over all axes)",
    "1",
    0.1,
    1.0,
    {"1": 1.0},
    "the encoded matrix says how far k-space was sampled",
)
TRAJECTORY_EXTENT = Bound(
    "trajectory: largest position / edge of k-space, every axis",
    "1",
    0.0,
    1.2,
    {"1": 1.0},
    "gradients overshoot a little; up to 2 with a warning if the unit is named",
)
TRAJECTORY_RATIO = Bound(
    "trajectory: extent of an axis / that of the widest axis",
    "1",
    0.6,
    1.0,
    {"1": 1.0},
    "else one axis has another unit, or the encoded matrix is not that of the samples",
)
TRAJECTORY_ENERGY = Bound(
    "trajectory: mean of |k|^2 weighted with the signal / mean of |k|^2",
    "1",
    0.0,
    1.5,
    {"1": 1.0},
    "the energy of an image lies at the centre of k-space; noise alone has 1",
)

# Of pulse sequences that are made of events: every value by itself.
PULSE_ANGLE = Bound(
    "FlipAngle, RefocusingAngle of one pulse",
    "deg",
    0.0,
    2 * math.pi,
    ANGLES,
    "types made of events may have pulses of 0; none turns further than once",
)
PULSE_PHASE = Bound(
    "RFPhase of one pulse", "deg", -1e6, 1e6, ANGLES, "beyond 1e6 rad its fraction is lost"
)
PHASE_INCREMENT = Bound(
    "SpoilingRFPhaseIncrement",
    "deg",
    -2 * math.pi,
    2 * math.pi,
    ANGLES,
    "an increment by more than a turn is one within a turn",
)
GRADIENT_ECHO_REPETITION = Bound(
    "RepetitionTimeExcitation of gradient echoes made of events",
    "s",
    1e-4,
    1.0,
    TIMES,
    "gradient echoes repeat within a second",
)
SPIN_ECHO_REPETITION = Bound(
    "RepetitionTimeExcitation of spin echoes",
    "s",
    1e-4,
    30.0,
    TIMES,
    "30 s are 6 times the longest T1",
)
EVENT_ECHO_TIME = Bound(
    "EchoTime of types made of events", "s", 0.0, 1.0, TIMES, "all echoes come within a second"
)
EVENT_INVERSION_TIME = Bound(
    "InversionTime of types made of events",
    "s",
    0.0,
    20.0,
    TIMES,
    "20 s are 4 times the longest T1",
)
T2_PREPARATION_TIME = Bound(
    "T2PreparationTime", "s", 0.0, 1.0, TIMES, "after a second only fluids have signal"
)
RECOVERY_TIME = Bound("RecoveryTime", "s", 0.0, 30.0, TIMES, "30 s are 6 times the longest T1")
SHOT_TIME = Bound(
    "RepetitionTimePreparation of types made of events",
    "s",
    0.0,
    600.0,
    TIMES,
    "a shot lasts minutes at most",
)
DELAY = Bound("Duration of a Delay", "s", 0.0, 60.0, TIMES, "60 s are 12 times the longest T1")
SPOILING_CYCLES = Bound(
    "SpoilingCycles", "1", 0.0, 16.0, {"1": 1.0}, "more need more states than are simulated"
)
DUMMIES = Bound(
    "NumberDummies", "1", 0.0, 100.0, {"1": 1.0}, "the steady state is reached in fewer"
)

BOUNDS = (
    FLIP_ANGLE,
    TYPICAL_REPETITION_TIME,
    REPETITION_TIME,
    ECHO_TIME,
    RF_PHASE,
    INVERSION_TIME,
    INVERSION_EFFICIENCY,
    PREPARATION_PAUSE,
    SLICE_PROFILE,
    SLICE_PROFILE_PEAK,
    FIELD_STRENGTH,
    B1_MIDDLE,
    OFF_RESONANCE,
    MATRIX,
    PARTITIONS,
    FIELD_OF_VIEW,
    SLAB,
    VOXEL_SIZE,
    POSITION,
    SLICE_SPACING,
    TRAJECTORY_SHARE,
    TRAJECTORY_EXTENT,
    TRAJECTORY_RATIO,
    TRAJECTORY_ENERGY,
    PULSE_ANGLE,
    PULSE_PHASE,
    PHASE_INCREMENT,
    GRADIENT_ECHO_REPETITION,
    SPIN_ECHO_REPETITION,
    EVENT_ECHO_TIME,
    EVENT_INVERSION_TIME,
    T2_PREPARATION_TIME,
    RECOVERY_TIME,
    SHOT_TIME,
    DELAY,
    SPOILING_CYCLES,
    DUMMIES,
)
"""Bounds of the input, in the order of the documentation."""


def limits(bound: Bound, unit: str | None = None) -> str:
    """Both bounds in words, e.g. ``0.0005 to 1 s``.

    Parameters
    ----------
    bound
        The bound.
    unit
        Unit to state them in; None: that of the input.

    >>> limits(INVERSION_TIME), limits(FLIP_ANGLE), limits(INVERSION_EFFICIENCY)
    ('0, or 0.0005 to 4 s', '3.2 to 180 deg', '0 to 1')
    """
    unit = unit or bound.unit
    factor = bound.units[unit]
    words = f"{bound.lower / factor:.5g} to {bound.upper / factor:.5g}"
    return f"{'0, or ' if bound.zero else ''}{words}{'' if unit == '1' else f' {unit}'}"


def fault(bound: Bound, values: Any, spelling: Spelling) -> str | None:
    """What is wrong with values, as one sentence with the probable unit; None: nothing.

    Parameters
    ----------
    bound
        The bound to be kept.
    values
        One or more numbers in the unit of factor 1, any shape.
    spelling
        Name and unit of the message.
    """
    # The options of the command line are bounded, too: its help shall not wait for NumPy.
    import numpy as np

    array = np.atleast_1d(np.asarray(values, np.float64))
    factor = bound.units[spelling.unit]
    if not np.isfinite(array).all():
        return f"{spelling.name} must be finite, got {_first_infinite(array)}"
    extremes = _extremes(bound, array)
    if _within(bound, extremes):
        return None
    what = {"each": "", "largest": "have a largest value of ", "middle": "have a median of "}[
        bound.of
    ]
    low, high = (value / factor for value in extremes)
    span = f"{low:.4g}" + ("" if low == high else f" to {high:.4g}")
    other = [u for u, f in bound.units.items() if _within(bound, (low * f, high * f))]
    hint = f" (is it in {other[0]}?)" if other else ""
    verb = what if what else "be "
    return f"{spelling.name} must {verb}{limits(bound, spelling.unit)}, got {span}{hint}"


def check(bound: Bound, values: Any, name: str) -> None:
    """Refuse an argument, in the unit of factor 1, that is beyond its bounds.

    Raises
    ------
    ArgumentError
        With the argument's name, both bounds, the value and the probable unit.
    """
    unit = next(unit for unit, factor in bound.units.items() if factor == 1.0)
    text = fault(bound, values, Spelling(name, unit))
    if text:
        raise ArgumentError(text)


def member(choices: type[Choice], value: Any, name: str) -> Choice:
    """A member of an enumeration from its value in any case.

    Raises
    ------
    ArgumentError
        If there is none; the text lists all.
    """
    for choice in choices:
        if isinstance(value, str) and value.lower() == choice.value.lower():
            return choice
    raise ArgumentError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def whole(value: Any, name: str, least: int) -> int:
    """A whole number of at least ``least``, from Python's or NumPy's.

    Raises
    ------
    ArgumentError
        If it is none.
    """
    try:
        number = -1 if isinstance(value, bool) else index(value)
    except TypeError:
        number = -1
    if number < least:
        raise ArgumentError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return number


def _extremes(bound: Bound, array: Any) -> tuple[float, float]:
    """Lowest and highest of the values that the bound is of; 0 twice if there are none."""
    import numpy as np

    if bound.of == "largest":
        array = np.abs(array).max(keepdims=True)
    elif bound.of == "middle":
        array = np.atleast_1d(np.median(array))
    if bound.zero:
        array = array[np.abs(array) > _ROUNDING * bound.lower]
    return (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)


def _within(bound: Bound, extremes: tuple[float, float]) -> bool:
    if bound.zero and not any(extremes):
        return True
    low = bound.lower - _ROUNDING * abs(bound.lower)
    high = bound.upper + _ROUNDING * abs(bound.upper)
    return low <= extremes[0] and extremes[1] <= high


def _first_infinite(array: Any) -> str:
    import numpy as np

    wrong = np.argwhere(~np.isfinite(array))
    place = f" at index {tuple(wrong[0].tolist())}" if array.size > 1 else ""
    return f"{array[tuple(wrong[0])]:g}{place}"

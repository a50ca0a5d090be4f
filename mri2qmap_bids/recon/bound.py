"""The lowest and highest value of a quantity, and what a message says of a value beyond."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mri2qmap_bids.errors import ArgumentError

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


def limits(bound: Bound, unit: str | None = None) -> str:
    """Both bounds in words, e.g. ``0.0005 to 1 s``.

    Parameters
    ----------
    bound
        The bound.
    unit
        Unit to state them in; None: that of the input.

    >>> from mri2qmap_bids.recon.bounds import FLIP_ANGLE, INVERSION_EFFICIENCY, INVERSION_TIME
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

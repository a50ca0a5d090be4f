"""Elements of arrays in memory: what numbers they must be."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.errors import ArgumentError


@dataclass(frozen=True)
class Elements:
    """A kind of elements."""

    words: str
    """For messages."""
    codes: str
    """Kinds of NumPy's types."""
    whole: bool = False
    """Whether the numbers have no fraction."""


COMPLEX = Elements("complex numbers", "c")
REAL = Elements("real numbers", "iuf")
NUMBERS = Elements("numbers", "iufc")
WHOLE = Elements("whole numbers", "iuf", whole=True)


def check_elements(name: str, array: NDArray[Any], elements: Elements) -> None:
    """Refuse an array without elements, or with elements of another kind.

    Parameters
    ----------
    name
        For messages.
    array
        Any shape.
    elements
        Their kind.

    Raises
    ------
    ArgumentError
        If there are none, one is of another kind, NaN or infinite, or has a fraction though they are whole numbers.
    """
    if array.size == 0 or array.dtype.kind not in elements.codes:
        raise ArgumentError(
            f"{name} must be {elements.words}, got {array.dtype} of shape {array.shape}"
        )
    if array.dtype.kind not in "fc":
        return
    finite = np.isfinite(array)
    if not finite.all():
        raise ArgumentError(f"{name} must be finite, got {(~finite).sum()} NaN or infinite values")
    if elements.whole:
        broken = array[array != np.rint(array)]
        if broken.size:
            raise ArgumentError(f"{name} must be {elements.words}, got {broken[0]:g}")

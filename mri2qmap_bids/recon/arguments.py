"""Arguments that are a choice or a whole number."""

from enum import StrEnum
from operator import index
from typing import Any, TypeVar

from mri2qmap_bids.errors import ArgumentError

Choice = TypeVar("Choice", bound=StrEnum)


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

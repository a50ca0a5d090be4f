"""Golden-section search."""

from collections.abc import Callable

_GOLDEN = (5**0.5 - 1) / 2


def golden_section(
    function: Callable[[float], float], low: float, high: float, tolerance: float
) -> float:
    """Minimiser of a function between two ends, where it has one minimum.

    Parameters
    ----------
    function
        Evaluated once in every step.
    low, high
        Ends of the interval.
    tolerance
        Length of the last interval, whose middle is returned.

    References
    ----------
    Kiefer, Sequential minimax search for a maximum (1953), doi:10.1090/S0002-9939-1953-0055639-3.
    """
    inner = [high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)]
    first, second = map(function, inner)
    while high - low > tolerance:
        if first < second:
            high, inner, second = inner[1], [0.0, inner[0]], first
            inner[0] = high - _GOLDEN * (high - low)
            first = function(inner[0])
        else:
            low, inner, first = inner[0], [inner[1], 0.0], second
            inner[1] = low + _GOLDEN * (high - low)
            second = function(inner[1])
    return (low + high) / 2

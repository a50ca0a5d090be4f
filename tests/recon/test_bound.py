"""The table of bounds, row by row: just inside passes, just outside is refused with the unit that would fit."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.bound import Spelling, check, fault, limits
from mri2qmap_bids.recon.bounds import (
    BOUNDS,
    FLIP_ANGLE,
    INVERSION_TIME,
    RF_PHASE,
    TYPICAL_REPETITION_TIME,
)

ROWS = pytest.mark.parametrize("bound", BOUNDS, ids=lambda bound: f"{bound.key}, {bound.of}")


def unit_of(bound):
    """The unit of factor 1."""
    return next(unit for unit, factor in bound.units.items() if factor == 1)


@ROWS
def test_both_bounds_themselves_are_inside(bound):
    for value in (bound.lower, bound.upper):
        check(bound, [value] * 3, "x")


@ROWS
def test_beyond_either_bound_is_refused_with_rule_and_value(bound):
    outside = [bound.upper * 1.001]
    if bound.of != "largest" or bound.lower > 0:
        outside.append(bound.lower - 1e-3 * (abs(bound.lower) or 1))
    for value in outside:
        with pytest.raises(ArgumentError, match="x must .*, got ") as caught:
            check(bound, [value] * 3, "x")
        assert limits(bound, unit_of(bound)) in str(caught.value)
        assert isinstance(caught.value, ValueError)


@ROWS
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(bound, value):
    middle = (bound.lower + bound.upper) / 2
    with pytest.raises(ArgumentError, match="x must be finite"):
        check(bound, [middle, value], "x")


@ROWS
def test_a_value_stated_in_another_unit_is_refused_with_that_unit(bound):
    stated = Spelling("x", bound.unit)
    middle = np.sqrt(max(bound.lower, 1e-3 * bound.upper) * bound.upper)
    for factor in bound.units.values():
        # The number that a middle value has in another unit, taken for one in this unit.
        mistaken = middle / factor * bound.units[bound.unit]
        text = fault(bound, mistaken, stated)
        if text is not None:
            assert "(is it in " in text


@pytest.mark.parametrize(
    ("bound", "value", "unit", "words"),
    [
        (FLIP_ANGLE, np.deg2rad(1.2), "deg", "largest value of 3.2 to 180 deg, got 1.2 (is it in rad?)"),
        (FLIP_ANGLE, 70.0, "rad", "got 70 (is it in deg?)"),
        (TYPICAL_REPETITION_TIME, 12e-6, "ms", "0.5 to 1000 ms, got 0.012 (is it in s?)"),
        (TYPICAL_REPETITION_TIME, 12.0, "s", "got 12 (is it in ms?)"),
        (INVERSION_TIME, 20.0, "s", "got 20 (is it in ms?)"),
        (RF_PHASE, np.deg2rad(np.pi), "deg", "got 3.142 (is it in rad?)"),
    ],
)  # fmt: skip
def test_messages_propose_the_probable_unit(bound, value, unit, words):
    assert words in fault(bound, value, Spelling("x", unit))


@given(st.floats(3.2, 180.0))
def test_no_largest_flip_angle_is_possible_in_both_units(degrees):
    """Trains in degrees read as rad, and trains in rad read as degrees, are always refused."""
    assert fault(FLIP_ANGLE, np.deg2rad(degrees), Spelling("x", "rad")) is None
    assert fault(FLIP_ANGLE, degrees, Spelling("x", "rad")) is not None
    assert fault(FLIP_ANGLE, np.deg2rad(np.deg2rad(degrees)), Spelling("x", "deg")) is not None


def test_every_row_is_on_the_page_of_the_input():
    text = (Path(__file__).parents[2] / "docs" / "input.md").read_text()
    table = text.split("<!-- filled: input bounds -->")[1].split("<!-- end -->")[0]
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert len(rows) >= 2 + len({bound.key for bound in BOUNDS})
    assert len({(bound.key, bound.of) for bound in BOUNDS}) == len(BOUNDS)

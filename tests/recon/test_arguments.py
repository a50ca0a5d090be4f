"""Arguments that are a choice or a whole number."""

from enum import StrEnum

import numpy as np
import pytest

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.arguments import member, whole


class Colour(StrEnum):
    RED = "Red"
    BLUE = "Blue"


def test_a_member_is_chosen_in_any_case():
    assert member(Colour, "rED", "x") is Colour.RED


@pytest.mark.parametrize("value", ["green", 1, None])
def test_what_is_no_member_is_refused_with_all_that_there_are(value):
    with pytest.raises(ArgumentError, match="x must be one of Red, Blue, got"):
        member(Colour, value, "x")


@pytest.mark.parametrize("value", [True, 1.5, "3", -1, None])
def test_whole_numbers_are_whole(value):
    assert whole(np.int16(3), "x", 1) == 3
    with pytest.raises(ArgumentError, match="x must be a whole number of at least 1"):
        whole(value, "x", 1)

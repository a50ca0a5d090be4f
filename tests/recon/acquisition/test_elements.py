"""Elements of arrays: kinds are told apart, and what is wrong is named."""

import numpy as np
import pytest

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.acquisition.elements import COMPLEX, NUMBERS, REAL, WHOLE, check_elements

RIGHT = [
    (COMPLEX, [1j, 2]),
    (NUMBERS, [1j, 2]),
    (NUMBERS, [1, 2]),
    (REAL, [0.5, 2]),
    (WHOLE, [3, 4]),
    (WHOLE, [3.0, 4.0]),
]
WRONG = [
    (COMPLEX, [1.0], "x must be complex numbers, got float64"),
    (NUMBERS, ["1"], "x must be numbers, got <U1"),
    (REAL, [1j], "x must be real numbers, got complex128"),
    (REAL, [], "x must be real numbers, got float64 of shape \\(0,\\)"),
    (REAL, [1.0, np.nan, np.inf], "x must be finite, got 2 NaN or infinite"),
    (COMPLEX, [complex(0, np.nan)], "x must be finite, got 1 NaN"),
    (WHOLE, [3.0, 4.5], "x must be whole numbers, got 4.5"),
    (WHOLE, [np.inf], "x must be finite"),
    (WHOLE, [True], "x must be whole numbers, got bool"),
]


@pytest.mark.parametrize(("elements", "values"), RIGHT)
def test_right_elements_pass(elements, values):
    check_elements("x", np.array(values), elements)


@pytest.mark.parametrize(("elements", "values", "words"), WRONG)
def test_wrong_elements_are_named(elements, values, words):
    with pytest.raises(ArgumentError, match=words):
        check_elements("x", np.array(values), elements)

"""Golden-section search."""

import pytest

from mri2qmap_bids.recon.golden_section import golden_section


@pytest.mark.parametrize("place", [-1.0, -0.3, 0.7, 2.0])
def test_the_minimiser_is_within_half_a_tolerance_in_few_evaluations(place):
    points = []

    def function(x):
        points.append(x)
        return abs(x - place)

    assert golden_section(function, -1.0, 2.0, 1e-3) == pytest.approx(place, abs=6e-4)
    # 3 / 0.618^-n < 0.001 after n = 17 steps, of one evaluation each.
    assert len(points) == 19

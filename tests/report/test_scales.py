"""Colour scales: ends, units and what has no value."""

import numpy as np
import pytest

from mri2qmap_bids.report.scales import MISFIT, RELATIVE_T1, RESIDUAL, T1, T2, Scale, own_scale


@pytest.mark.parametrize("scale", [T1, T2, RELATIVE_T1, MISFIT, RESIDUAL], ids=lambda s: s.label)
def test_colours_go_from_the_low_to_the_high_end_and_no_further(scale):
    values = np.geomspace(max(scale.low, 1e-3), scale.high, 7)
    positions = np.asarray(scale.norm(values))
    assert (np.diff(positions) > 0).all()
    assert scale.norm(scale.low) == 0 and scale.norm(scale.high) == 1
    assert scale.norm(1e6 * scale.high) == 1
    assert all(scale.low <= tick <= scale.high for tick in scale.shown_ticks)


def test_a_logarithmic_scale_has_its_geometric_mean_in_the_middle():
    assert float(T1.norm((400 * 4000) ** 0.5)) == pytest.approx(0.5)
    assert float(RESIDUAL.norm(2.0)) == pytest.approx(0.5)


def test_maps_in_seconds_are_shown_in_milliseconds_and_shares_in_per_cent():
    assert (T1.factor, T2.factor) == (1e3, 1e3) and "[ms]" in T1.label
    assert RELATIVE_T1.factor == 100 and "[%]" in RELATIVE_T1.label


def test_where_there_is_no_value_it_is_black():
    assert T1.colormap(np.ma.masked_invalid([np.nan]))[0].tolist() == [0, 0, 0, 1]
    assert T1.colormap(0.9)[:3] != (0, 0, 0)


def test_automatic_ticks_lie_on_the_scale():
    ticks = Scale("x", "gray", 0.3, 7.2).shown_ticks
    assert len(ticks) >= 3 and min(ticks) >= 0.3 and max(ticks) <= 7.2


def test_an_image_without_a_unit_is_white_at_its_brightest_tissue():
    values = np.arange(1001.0)
    scale = own_scale("T2w", values)
    assert scale.high == pytest.approx(990)
    assert own_scale("T2w", 7 * values).high == pytest.approx(7 * 990)
    for empty in (np.zeros(0), np.zeros(5)):
        assert own_scale("T2w", empty).high == 1.0


def test_an_image_of_any_sign_with_holes_has_a_scale():
    values = np.linspace(-100.0, -1.0, 1001)
    for shown in (values, np.full(5, -3.0), np.append(values, [np.nan, np.inf])):
        scale = own_scale("x", shown)
        assert scale.low < scale.high
        assert float(scale.norm(shown[0])) < 0.02
    assert own_scale("x", np.append(values, np.nan)).low == pytest.approx(-99, abs=0.1)
    assert (own_scale("x", np.array([np.nan])).low, own_scale("x", -values).low) == (0, 0)

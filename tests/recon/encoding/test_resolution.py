import math

import numpy as np
import pytest
import torch

from mri2qmap_bids.recon.encoding.resolution import empty_shells, point_spread_widths

VOXEL = (1e-3, 1.5e-3)
GRID = (64, 64)


def disc(inner=0.0, outer=1.0, n=20_000):
    """Samples between two radii, relative to the edge of the grid's band."""
    torch.manual_seed(0)
    radius = math.pi * (inner + (outer - inner) * torch.rand(n))
    angle = 2 * math.pi * torch.rand(n)
    return torch.stack([radius * angle.sin(), radius * angle.cos()], 1)


def low_pass(n, share):
    """Box of |f| below a share of the band along every axis of a square."""
    inside = torch.fft.fftfreq(n, dtype=torch.double).abs() < 0.5 * share
    return (inside[:, None] & inside).double()


def test_a_full_disc_gives_no_message():
    assert empty_shells(disc(), GRID, VOXEL) == []


@pytest.mark.parametrize("n", [6, 8, 9, 16, 24, 25, 32, 40, 50, 64, 256])
def test_a_full_cartesian_grid_gives_no_message(n):
    frequency = 2 * torch.pi * torch.fft.fftfreq(n)
    assert empty_shells(torch.cartesian_prod(frequency, frequency), (n, n), VOXEL) == []


@pytest.mark.parametrize(("share", "voxel"), [(0.5, "3 x 2"), (0.25, "6 x 4")])
def test_a_trajectory_cut_short_says_the_resolution_left(share, voxel):
    """Axes x and y, as a reader of an image expects them."""
    (message,) = empty_shells(disc(outer=share), GRID, VOXEL)
    assert f"beyond {100 * share:.0f} %" in message
    assert f"about {voxel} mm" in message


def test_an_empty_ring_is_named():
    both = torch.cat([disc(outer=0.5), disc(inner=0.625)])
    (message,) = empty_shells(both, GRID, VOXEL)
    assert "3 of 24 shells between 50 and 62 %" in message
    assert "1.6 mm" in message


def test_a_ring_and_an_empty_edge_are_both_named():
    both = torch.cat([disc(outer=0.25), disc(inner=0.5, outer=0.75)])
    edge, ring = empty_shells(both, GRID, VOXEL)
    assert "beyond 75 %" in edge and "between 25 and 50 %" in ring


def test_all_of_the_band_spreads_a_point_over_1_2_voxels():
    assert point_spread_widths(torch.ones(64, 65)) == pytest.approx((1.207, 1.207), abs=0.04)


def test_half_of_the_band_spreads_it_twice_as_far():
    whole = point_spread_widths(low_pass(255, 1.0))
    half = point_spread_widths(low_pass(255, 128 / 255))
    assert half == pytest.approx((2.41, 2.41), abs=0.05)
    assert np.array(half) == pytest.approx(2 * np.array(whole), rel=0.02)


def test_a_narrower_response_never_sharpens():
    widths = [point_spread_widths(low_pass(64, share))[0] for share in (1, 0.8, 0.6, 0.4, 0.2)]
    assert widths == sorted(widths) and len(set(widths)) == 5


def test_axes_and_strength_are_kept_apart():
    response = torch.ones(64, 64, dtype=torch.double)
    response[torch.fft.fftfreq(64).abs() > 0.25] = 0
    first, second = point_spread_widths(response)
    assert first == pytest.approx(2.4, abs=0.1) and second == pytest.approx(1.2, abs=0.04)
    assert point_spread_widths(0.1 * response) == (first, second)
    assert point_spread_widths(response.T) == (second, first)


def test_one_voxel_along_an_axis_is_as_wide_as_it_is():
    assert point_spread_widths(torch.ones(1, 16))[0] == 1.0

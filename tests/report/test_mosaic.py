"""Pictures of several planes: which planes, how large, and what colours."""

import numpy as np
import pytest

from mri2qmap_bids.report import mosaic
from mri2qmap_bids.report.mosaic import cropped, draw, layout_of, planes_of, single_layout
from mri2qmap_bids.report.scales import Scale

SCALE = Scale("x", "gray", 0.0, 1.0)


def ball(shape=(20, 24, 28), radius=7):
    axes = [np.arange(n) - n // 2 for n in shape]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    return z**2 + y**2 + x**2 < radius**2


def test_planes_of_a_volume_lie_inside_its_mask_and_are_spread_evenly():
    mask = ball()
    for row in layout_of(mask, np.eye(4), is_3d=True):
        indices = [tile.index for tile in row]
        assert indices == sorted(indices) and len(set(np.diff(indices)) - {1, 2}) == 0
        for tile in row:
            assert mask.take(tile.index, tile.view.axis).any()


@pytest.mark.parametrize("n_slices", [1, 5, 8, 22, 60])
def test_slices_are_shown_in_order_in_even_rows(n_slices):
    layout = layout_of(np.ones((n_slices, 6, 6), bool), np.eye(4), is_3d=False, columns=7)
    indices = [tile.index for row in layout for tile in row]
    assert indices == sorted(set(indices)) and len(indices) == min(n_slices, 21)
    assert indices[0] == 0 and indices[-1] == n_slices - 1
    assert max(len(row) for row in layout) <= 7
    assert max(len(row) for row in layout) - min(len(row) for row in layout) <= 6


def test_outside_the_mask_there_is_nothing_and_inside_nothing_is_changed():
    mask = ball()
    volume = np.random.default_rng(0).random(mask.shape).astype(np.float32)
    layout = layout_of(mask, np.eye(4), is_3d=True)
    for tiles, planes in zip(layout, planes_of(volume, mask, layout), strict=True):
        for tile, plane in zip(tiles, planes, strict=True):
            inside = np.isfinite(plane)
            expected = volume.take(tile.index, tile.view.axis)
            own_mask = mask.take(tile.index, tile.view.axis)
            assert sorted(plane[inside]) == sorted(expected[own_mask])
            # Two voxels of margin around the mask, if there are any.
            assert min(plane.shape) <= 2 * 7 + 4


def test_an_empty_mask_is_not_cropped():
    layout = single_layout([(0, 1)], (4, 6, 8), np.eye(4))
    plane = cropped(np.ones((6, 8)), np.zeros((4, 6, 8), bool), layout[0][0])
    assert plane.shape == (6, 8) and np.isnan(plane).all()


def test_a_picture_has_its_tiles_by_the_millimetre_beside_a_colour_bar():
    mask = np.ones((1, 20, 40), bool)
    affine = np.diag([1.0, 2.0, 1.0, 1.0])
    layout = single_layout([(0, 0)], mask.shape, affine)
    picture = draw([[np.ones((20, 40))]], layout, SCALE)
    pixels = np.asarray(picture)
    white = (pixels[:, : picture.width - 96] == 255).all(-1)
    rows, columns = np.flatnonzero(white.any(1)), np.flatnonzero(white.any(0))
    # 40 mm by 40 mm: voxels are twice as high as they are wide.
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=2)
    bar = pixels[:, picture.width - 96 :]
    assert (bar == 255).all(-1).any() and (bar == 0).all(-1).any()


def test_values_without_a_number_are_black():
    values = np.full((10, 10), np.nan)
    values[:5] = 1.0
    layout = single_layout([(0, 0)], (1, 10, 10), np.eye(4))
    pixels = np.asarray(draw([[values]], layout, SCALE))
    part = pixels[40:-40, 60:300]
    assert (part[: len(part) // 2 - 8] == 255).mean() > 0.9
    assert (part[len(part) // 2 + 8 :] < 255).all()


def test_every_tile_has_the_sides_of_its_own_view(monkeypatch):
    words = []
    pen = mosaic.ImageDraw.ImageDraw
    write = pen.text
    monkeypatch.setattr(
        pen,
        "text",
        lambda self, at, text, *a, **k: words.append(text) or write(self, at, text, *a, **k),
    )
    layout = single_layout([(0, 10), (1, 12), (2, 14)], (20, 24, 28), np.eye(4))
    draw(planes_of(np.ones((20, 24, 28)), ball(), layout), layout, SCALE, bar=False)
    assert [word for word in words if len(word) == 1] == ["L", "R", "L", "R", "P", "A"]


@pytest.mark.parametrize(
    ("value", "arrows"), [(0.5, (False, False)), (-1.0, (True, False)), (2.0, (False, True))]
)
def test_values_beyond_the_scale_are_told_by_an_arrow(value, arrows):
    assert mosaic._clipped([[np.full((4, 4), value)]], SCALE) == arrows

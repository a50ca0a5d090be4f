"""Mosaic of several planes of a map."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from matplotlib import get_data_path
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mri2qmap_bids.report.planes import View, position_of, view_of
from mri2qmap_bids.report.scales import Scale

_WIDTH = 1120  # pixels of all tiles of a row
_TALLEST = 400  # pixels of a tile
_BAR = 96  # pixels for the colour bar
_GAP = 4
_LOWEST = 170  # pixels of the picture
_LETTERS = 16  # pixels of a line of text
_GREY = "#d0d0d0"
_CLIPPED = 1e-3  # share of values beyond the scale from which an arrow says so


@dataclass(frozen=True)
class Tile:
    """One plane of the picture."""

    view: View
    index: int
    """Index along the view's axis."""
    label: str
    """World coordinate."""


Layout = tuple[tuple[Tile, ...], ...]
"""Rows of tiles."""


def layout_of(
    mask: NDArray[np.bool_], affine: NDArray[np.float64], is_3d: bool, columns: int = 7
) -> Layout:
    """Planes spread evenly over the mask: three directions of a volume, the slices of a stack.

    Parameters
    ----------
    mask
        Axes (z, y, x).
    affine
        Voxel indices (x, y, z) to world coordinates, RAS+ [mm].
    is_3d
        Whether the data are one volume.
    columns
        Most tiles in a row.
    """
    if is_3d:
        return tuple(_row(axis, mask, affine, columns) for axis in range(3))
    n_slices = len(mask)
    if n_slices <= 3 * columns:
        indices = list(range(n_slices))
    else:
        indices = np.linspace(0, n_slices - 1, 3 * columns).round().astype(int).tolist()
    tiles = [_tile(0, index, mask.shape, affine) for index in indices]
    in_row = int(np.ceil(len(tiles) / np.ceil(len(tiles) / columns)))
    return tuple(tuple(tiles[i : i + in_row]) for i in range(0, len(tiles), in_row))


def single_layout(
    places: list[tuple[int, int]], shape: tuple[int, ...], affine: NDArray[np.float64]
) -> Layout:
    """One row of given planes, each by its array axis and index."""
    return (tuple(_tile(axis, index, shape, affine) for axis, index in places),)


def planes_of(
    volume: NDArray[np.floating], mask: NDArray[np.bool_], layout: Layout
) -> list[list[NDArray[np.floating]]]:
    """The values of every tile, NaN outside the mask, cropped to the mask and in display orientation."""
    box = _bounds(mask)
    rows = []
    for tiles in layout:
        row = []
        for tile in tiles:
            axis = tile.view.axis
            window = tuple(part for a, part in enumerate(box) if a != axis)
            plane = np.take(volume, tile.index, axis)[window].astype(np.float32)
            inside = np.take(mask, tile.index, axis)[window]
            row.append(tile.view.turned(np.where(inside, plane, np.nan)))
        rows.append(row)
    return rows


def cropped(
    plane: NDArray[np.floating],
    mask: NDArray[np.bool_],
    tile: Tile,
    shown: NDArray[np.bool_] | None = None,
) -> NDArray[np.floating]:
    """A single plane, cropped and oriented as by :func:`planes_of`; shown is also another mask's inside."""
    axis = tile.view.axis
    window = tuple(part for a, part in enumerate(_bounds(mask)) if a != axis)
    inside = np.take(mask if shown is None else shown, tile.index, axis)[window]
    values = np.where(inside, plane.astype(np.float32)[window], np.nan)
    return tile.view.turned(values)


def draw(
    rows: list[list[NDArray[np.floating]]], layout: Layout, scale: Scale, bar: bool = True
) -> Image.Image:
    """The picture: tiles with their coordinates, and the colour bar.

    Parameters
    ----------
    rows
        Values of every tile, in the unit of the map.
    layout
        The tiles.
    scale
        Values to colours.
    bar
        Whether the colour bar is drawn.
    """
    colours = scale.colormap
    table = []
    for planes, tiles in zip(rows, layout, strict=True):
        sizes = _sizes([plane.shape for plane in planes], tiles)
        table.append(list(zip(planes, tiles, sizes, strict=True)))
    heights = [max(size[0] for _, _, size in row) for row in table]
    width = max(sum(size[1] + _GAP for _, _, size in row) for row in table)
    height = sum(heights) + _GAP * (len(heights) - 1)
    lowest = _LOWEST if bar else height
    picture = Image.new("RGB", (width + (_BAR if bar else 0), max(height, lowest)), "black")
    pen = ImageDraw.Draw(picture)
    top = (picture.height - height) // 2
    for row, tall in zip(table, heights, strict=True):
        left = (width - sum(size[1] + _GAP for _, _, size in row)) // 2
        for plane, tile, size in row:
            values = np.ma.masked_invalid(plane * scale.factor)
            small = Image.fromarray(colours(scale.norm(values), bytes=True)).convert("RGB")
            larger = size[0] > plane.shape[0]
            method = Image.Resampling.NEAREST if larger else Image.Resampling.BOX
            offset = top + (tall - size[0]) // 2
            picture.paste(small.resize((size[1], size[0]), method), (left, offset))
            pen.text((left + 4, top + tall - 4), tile.label, _GREY, _font(), anchor="ls")
            sides = _sides(tile.view)
            pen.text((left + 4, top + 4), sides[0], _GREY, _font(), anchor="lt")
            pen.text((left + size[1] - 4, top + 4), sides[1], _GREY, _font(), anchor="rt")
            left += size[1] + _GAP
        top += tall + _GAP
    if bar:
        _draw_bar(picture, width + 14, scale, _clipped(rows, scale))
    return picture


def _clipped(rows: list[list[NDArray[np.floating]]], scale: Scale) -> tuple[bool, bool]:
    """Whether more than one in a thousand values lie below and above the scale."""
    values = scale.factor * np.concatenate(
        [plane[np.isfinite(plane)] for row in rows for plane in row]
    )
    least = _CLIPPED * max(values.size, 1)
    return bool((values < scale.low).sum() > least), bool((values > scale.high).sum() > least)


def _draw_bar(picture: Image.Image, left: int, scale: Scale, clipped: tuple[bool, bool]) -> None:
    """The colour bar with ticks and label, and arrows at the ends beyond which there are values."""
    length = min(320, picture.height - 28)
    top, wide = (picture.height - length) // 2, 14
    ramp = scale.colormap(np.linspace(1, 0, length)[:, None], bytes=True)[..., :3]
    picture.paste(Image.fromarray(np.repeat(ramp, wide, 1)), (left, top))
    pen = ImageDraw.Draw(picture)
    pen.rectangle((left - 1, top - 1, left + wide, top + length), outline="#707070")
    below, above = clipped
    if above:
        pen.polygon(
            [(left - 1, top - 3), (left + wide, top - 3), (left + wide / 2, top - 11)], _GREY
        )
    if below:
        end = top + length + 2
        pen.polygon([(left - 1, end), (left + wide, end), (left + wide / 2, end + 8)], _GREY)
    for tick in scale.shown_ticks:
        at = top + (1 - float(scale.norm(tick))) * (length - 1)
        pen.line((left + wide, at, left + wide + 4, at), _GREY)
        pen.text((left + wide + 7, at), f"{tick:g}", _GREY, _font(), anchor="lm")
    box = _font().getbbox(scale.label)
    text = Image.new("RGB", (int(box[2]) + 2, _LETTERS), "black")
    ImageDraw.Draw(text).text((1, _LETTERS / 2), scale.label, _GREY, _font(), anchor="lm")
    turned = text.rotate(90, expand=True)
    picture.paste(turned, (left + 58, (picture.height - turned.height) // 2))


@cache
def _font() -> ImageFont.FreeTypeFont:
    """The font shipped with matplotlib, so that no other is needed."""
    return ImageFont.truetype(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", 11)


def _sizes(shapes: list[tuple[int, ...]], tiles: tuple[Tile, ...]) -> list[tuple[int, int]]:
    """Pixels (rows, columns) of each tile of a row, with the same number of pixels per millimetre."""
    extents = [
        (shape[0] * tile.view.spacing[0], shape[1] * tile.view.spacing[1])
        for shape, tile in zip(shapes, tiles, strict=True)
    ]
    room = _WIDTH - _GAP * len(tiles)
    scale = min(room / sum(e[1] for e in extents), _TALLEST / max(e[0] for e in extents))
    return [(max(1, round(e[0] * scale)), max(1, round(e[1] * scale))) for e in extents]


def _sides(view: View) -> tuple[str, str]:
    """Anatomical labels of the left and the right side of a view."""
    return ("P", "A") if view.name == "sagittal" else ("L", "R")


def _row(
    axis: int, mask: NDArray[np.bool_], affine: NDArray[np.float64], n_tiles: int
) -> tuple[Tile, ...]:
    box = _bounds(mask)[axis]
    first, last = box.start, box.stop - 1
    margin = 0.12 * (last - first)
    indices = np.unique(np.linspace(first + margin, last - margin, n_tiles).round().astype(int))
    return tuple(_tile(axis, int(index), mask.shape, affine) for index in indices)


def _tile(axis: int, index: int, shape: tuple[int, ...], affine: NDArray[np.float64]) -> Tile:
    view = view_of(axis, affine)
    where = position_of(axis, index, affine, shape)
    return Tile(view, index, f"{view.letter} = {where:.0f} mm".replace("-0 mm", "0 mm"))


def _bounds(mask: NDArray[np.bool_], margin: int = 2) -> tuple[slice, slice, slice]:
    """Bounding box of the mask, with a margin."""
    if not mask.any():
        z, y, x = (slice(0, n) for n in mask.shape)
        return z, y, x
    parts = []
    for axis in range(3):
        indices = np.flatnonzero(mask.any(tuple(a for a in range(3) if a != axis)))
        start, stop = int(indices[0]) - margin, int(indices[-1]) + 1 + margin
        parts.append(slice(max(0, start), min(mask.shape[axis], stop)))
    z, y, x = parts
    return z, y, x

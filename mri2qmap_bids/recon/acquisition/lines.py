"""The image lines of a scan: which acquisitions they are, their frames and their slices."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.errors import RawDataError
from mri2qmap_bids.recon.acquisition.counters import FRAME_COUNTERS, check_counters, tally
from mri2qmap_bids.recon.acquisition.dimension import dimension_of
from mri2qmap_bids.recon.acquisition.flags import Role
from mri2qmap_bids.recon.acquisition.header import ScanHeader, check_extents
from mri2qmap_bids.recon.acquisition.layout import ReadLayout
from mri2qmap_bids.recon.acquisition.note import Note
from mri2qmap_bids.recon.acquisition.table import AcquisitionTable


@dataclass(frozen=True, eq=False)
class ImageLines:
    """The acquisitions to reconstruct."""

    table: AcquisitionTable
    """The file's acquisitions."""
    layout: ReadLayout
    """How they are read."""
    header: ScanHeader
    """Of their encoding."""
    numbers: NDArray[np.int64]
    """Their places in the file, shape (line,)."""
    heads: NDArray[Any]
    """Their headers, shape (line,)."""
    frames: NDArray[np.int64]
    """Frame of each line, shape (line,)."""
    slices: NDArray[np.int64]
    """Slice number of each line, 0 for a volume, shape (line,)."""
    is_3d: bool
    """Whether they are one volume."""
    has_density: bool
    """Whether the third component of the trajectory is a density, to be ignored."""
    notes: tuple[Note, ...]
    """Messages for the log."""

    @property
    def n_samples(self) -> NDArray[np.int64]:
        """Samples of each line without those to discard, shape (line,)."""
        return _n_samples(self.heads)


def image_lines(table: AcquisitionTable, layout: ReadLayout) -> ImageLines:
    """Choose a scan's image lines, and find the frame and the slice of each.

    Parameters
    ----------
    table
        Headers of its acquisitions.
    layout
        How to read it.

    Raises
    ------
    RawDataError
        If lines of several scans would be mixed, frames are missing, or header, counters and trajectory
        contradict each other or the layout.
    """
    path = table.path
    encoding, notes = _encoding(table, layout)
    numbers = np.flatnonzero(
        (table.roles == Role.IMAGE) & (table.heads["encoding_space_ref"] == encoding)
    )
    heads, header = table.heads[numbers], table.headers[encoding]
    check_extents(path, header)
    _check_heads(path, heads)
    slices = _slices(heads, layout)
    frames = _frames(path, heads, slices, layout)
    n_slices = len(np.unique(slices))
    dimension = dimension_of(path, header, table.probes[encoding], n_slices, layout.is_3d)
    check_counters(path, heads, frames, slices, layout.frame_counter, dimension.is_3d)
    return ImageLines(
        table=table,
        layout=layout,
        header=header,
        numbers=numbers,
        heads=heads,
        frames=frames,
        slices=np.zeros_like(slices) if dimension.is_3d else slices,
        is_3d=dimension.is_3d,
        has_density=dimension.has_density,
        notes=(*table.notes, *notes, *dimension.notes, *_averages(heads, layout)),
    )


def _averages(heads: NDArray[Any], layout: ReadLayout) -> tuple[Note, ...]:
    """The message for a train that was measured several times."""
    averages = heads["idx"]["average"]
    if layout.frame_counter == "average" or len(np.unique(averages)) == 1:
        return ()
    text = f"averages are more samples of their frames (idx.average {tally(averages)})"
    return ((logging.INFO, text),)


def _encoding(table: AcquisitionTable, layout: ReadLayout) -> tuple[int, tuple[Note, ...]]:
    """Which encoding the scan has; the lines of others are left out."""
    references = table.heads["encoding_space_ref"][table.roles == Role.IMAGE]
    counts = f"lines by encoding_space_ref: {tally(references)}"
    encodings = np.unique(references).tolist()
    if encodings[-1] >= len(table.headers):
        raise RawDataError(
            f"{table.path}: encoding_space_ref must be one of the {len(table.headers)} encodings of the "
            f"header, from 0 ({counts})"
        )
    if layout.encoding is not None:
        if layout.encoding not in encodings:
            raise RawDataError(
                f"{table.path}: MRFEncoding must be an encoding with image lines, got {layout.encoding} ({counts})"
            )
        encoding = layout.encoding
    else:
        complete = [n for n in encodings if len(encodings) == 1 or _is_complete(table, n, layout)]
        if len(complete) != 1:
            raise RawDataError(
                f"{table.path}: image lines of one encoding must have a trajectory and all {layout.n_frames} "
                f"frames, got {len(complete)} such encodings ({counts}); name the scan's with MRFEncoding "
                "in the sidecar"
            )
        encoding = complete[0]
    n_others = int((references != encoding).sum())
    if not n_others:
        return encoding, ()
    text = (
        f"{n_others} of {len(references)} image lines left out: of another encoding than {encoding} "
        f"({counts})"
    )
    return encoding, ((logging.WARNING, text),)


def _is_complete(table: AcquisitionTable, encoding: int, layout: ReadLayout) -> bool:
    """Whether the lines of an encoding have a trajectory and every frame."""
    lines = (table.roles == Role.IMAGE) & (table.heads["encoding_space_ref"] == encoding)
    heads = table.heads[lines]
    try:
        _check_heads(table.path, heads)
        _frames(table.path, heads, _slices(heads, layout), layout)
    except RawDataError:
        return False
    return True


def _check_heads(path: Path, heads: NDArray[Any]) -> None:
    """Lines must have samples, positions of 2 to 4 components, and the same coils."""
    empty = np.flatnonzero((_n_samples(heads) < 1) | (heads["active_channels"] < 1))
    if len(empty):
        head = heads[empty[0]]
        raise RawDataError(
            f"{path}: every imaging acquisition must have samples of at least one coil besides those to "
            f"discard, got number_of_samples {head['number_of_samples']}, discard_pre {head['discard_pre']}, "
            f"discard_post {head['discard_post']}, active_channels {head['active_channels']} in imaging "
            f"acquisition {empty[0]} ({len(empty)} such)"
        )
    dims = heads["trajectory_dimensions"]
    wrong = np.flatnonzero((dims < 2) | (dims > 4))
    if len(wrong):
        raise RawDataError(
            f"{path}: every imaging acquisition must carry a trajectory with 2 or 3 components per sample "
            f"(a density may follow), got {dims[wrong[0]]} in imaging acquisition {wrong[0]} "
            f"({len(wrong)} such)"
        )
    for field, what in (
        ("active_channels", "the same number of coils"),
        ("trajectory_dimensions", "trajectories of as many components"),
    ):
        if len(np.unique(heads[field])) > 1:
            raise RawDataError(
                f"{path}: all imaging acquisitions must have {what}, got in {field} {tally(heads[field])}"
            )


def _n_samples(heads: NDArray[Any]) -> NDArray[np.int64]:
    discarded = heads["discard_pre"].astype(np.int64) + heads["discard_post"].astype(np.int64)
    counts: NDArray[np.int64] = heads["number_of_samples"].astype(np.int64) - discarded
    return counts


def _slices(heads: NDArray[Any], layout: ReadLayout) -> NDArray[np.int64]:
    """Slice number of each line; where that counter numbers the frames, there is one slice."""
    slices: NDArray[np.int64] = heads["idx"]["slice"].astype(np.int64)
    return np.zeros_like(slices) if layout.frame_counter == "slice" else slices


def _frames(
    path: Path, heads: NDArray[Any], slices: NDArray[np.int64], layout: ReadLayout
) -> NDArray[np.int64]:
    """Frame of each line; every slice must have all of them."""
    if layout.frame_counter == "order":
        return _frames_by_order(path, heads, slices, layout.n_frames)
    n_frames, counter = layout.n_frames, layout.frame_counter
    frames: NDArray[np.int64] = heads["idx"][counter].astype(np.int64)
    numbers = np.unique(frames)
    if numbers[-1] + 1 != n_frames:
        others = [
            name
            for name in FRAME_COUNTERS
            if name not in ("order", "slice") and _numbers_all(heads["idx"][name], n_frames)
        ]
        advice = f"; MRFFrameCounter `{others[0]}` would fit" if others else ""
        raise RawDataError(
            f"{path}: the frames in the file (counter `{counter}`) must be as many as the values of FlipAngle, "
            f"numbered from 0, got {len(numbers)} frames from {numbers[0]} to {numbers[-1]} and {n_frames} "
            f"flip angles{advice}"
        )
    for number in np.unique(slices).tolist():
        gaps = np.setdiff1d(np.arange(n_frames), frames[slices == number])
        if len(gaps):
            lines = f"slice {number} ({int((slices == number).sum())} lines)"
            raise RawDataError(
                f"{path}: every slice must have all {n_frames} frames (counter `{counter}`), got "
                f"{len(gaps)} missing in {lines}: {_ranges(gaps)}"
            )
    return frames


def _numbers_all(values: NDArray[Any], n_frames: int) -> bool:
    return np.array_equal(np.unique(values), np.arange(n_frames))


def _ranges(numbers: NDArray[np.int64]) -> str:
    """``3 to 5, 9``, cut after five parts."""
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    parts = [f"{run[0]} to {run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs]
    return ", ".join(parts if len(parts) <= 5 else [*parts[:5], "..."])


def _frames_by_order(
    path: Path, heads: NDArray[Any], slices: NDArray[np.int64], n_frames: int
) -> NDArray[np.int64]:
    """Frames 0..T-1 again and again, slice by slice, in the order of acquisition.

    That is the order of ``scan_counter`` where it numbers the lines, else the order in the file.
    """
    counter = heads["scan_counter"].astype(np.int64)
    numbered = len(np.unique(counter)) == len(counter)
    order = np.argsort(counter) if numbered else np.arange(len(heads))
    frames = np.empty(len(heads), np.int64)
    for number in np.unique(slices).tolist():
        lines = order[slices[order] == number]
        if len(lines) % n_frames:
            raise RawDataError(
                f"{path}: with MRFFrameCounter `order` the number of imaging acquisitions of every slice must be "
                f"a multiple of the {n_frames} frames (FlipAngle), got {len(lines)} in slice {number}"
            )
        frames[lines] = np.arange(len(lines)) % n_frames
    return frames

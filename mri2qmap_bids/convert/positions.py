"""Positions of readouts in k-space: from a file of their own, from the source, or as Cartesian lines."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.convert.arrays import read_trajectory
from mri2qmap_bids.convert.cartesian import Lines, line_positions, without_oversampling
from mri2qmap_bids.convert.conversion import ConversionOptions
from mri2qmap_bids.convert.readouts import Readouts, given_positions, ranks_of
from mri2qmap_bids.errors import RawDataError, UsageError
from mri2qmap_bids.recon.acquisition.header import ScanHeader
from mri2qmap_bids.recon.acquisition.trajectory import cycles_per_metre


@dataclass(frozen=True, eq=False)
class Centres:
    """Which sample, line and partition is at the centre of k-space; 0 for a line or partition: the middle."""

    sample: NDArray[np.int64]
    """Of each readout, shape (readout,)."""
    line: NDArray[np.int64]
    """The same."""
    partition: NDArray[np.int64]
    """The same."""


@dataclass(frozen=True, eq=False)
class Placement:
    """Readouts with their positions."""

    readouts: Readouts
    """Those that came in, without oversampling."""
    positions: Sequence[NDArray[np.float32]]
    """[cycles/m] of each readout, shape (sample, dim)."""
    header: ScanHeader
    """Matrix and field of view as they are encoded now."""
    oversampling: int = 1
    """The factor that was removed, by which the time between samples is longer now."""


def requested_grid(
    matrix: Sequence[int], fov: Sequence[float], options: ConversionOptions
) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    """Voxels and field of view [m] along (x, y, z): the user's, else those of the source."""
    sizes, spans = options.matrix or (), options.fov or ()
    # One number holds along x and y.
    sizes = sizes * 2 if len(sizes) == 1 else sizes
    spans = spans * 2 if len(spans) == 1 else spans
    nx, ny, nz = (*sizes, *matrix[len(sizes) :])
    x, y, z = (*spans, *fov[len(spans) :])
    return (nx, ny, nz), (x, y, z)


def place_readouts(
    path: Path,
    readouts: Readouts,
    centres: Centres,
    frame: NDArray[np.int64],
    header: ScanHeader,
    options: ConversionOptions,
    stored: Sequence[NDArray[np.float32]] | None = None,
) -> Placement:
    """Positions of all readouts.

    Parameters
    ----------
    path
        The source, for messages.
    readouts, centres, frame
        The readouts, and of each the centre and the frame.
    header
        Matrix and field of view without oversampling.
    options
        The file with the trajectory and its unit, or how lines are counted.
    stored
        Positions in the source; None: it has none.

    Raises
    ------
    RawDataError, UsageError
        If the trajectory or the lines do not fit the readouts or the grid, or positions lie beyond
        k-space or fill less than a tenth of it.
    """
    source = path
    if options.trajectory is not None:
        source = options.trajectory
        stored = given_positions(source, read_trajectory(source), readouts, frame)
    if stored is None:
        return _lines(path, readouts, centres, frame, header, options)
    joined = cycles_per_metre(
        source,
        np.concatenate(stored),
        header.encoded_matrix,
        header.encoded_fov,
        options.trajectory_units,
    )
    ends = np.cumsum([len(part) for part in stored])[:-1]
    return Placement(readouts, np.split(joined, ends), header)


def _lines(
    path: Path,
    readouts: Readouts,
    centres: Centres,
    frame: NDArray[np.int64],
    header: ScanHeader,
    options: ConversionOptions,
) -> Placement:
    """Cartesian lines, without oversampling where whole lines were read."""
    nx, ny, nz = header.encoded_matrix
    line = (
        ranks_of(readouts, frame)
        if options.line_counter == "order"
        else readouts.counters[options.line_counter]
    )
    partition = readouts.counters["kspace_encode_step_2"] if nz > 1 else None
    _check_lines(path, line, ny, "line")
    if partition is not None:
        _check_lines(path, partition, nz, "partition")
    lengths = {part.shape[1] for part in readouts.samples}
    if len(lengths) > 1:
        raise UsageError(
            f"--trajectory: must be given for readouts of different lengths, got {min(lengths)} to "
            f"{max(lengths)} samples in {path}"
        )
    (length,) = lengths
    factor = max(1, -(-length // nx))
    whole = length == factor * nx
    fov = header.encoded_fov
    # Lines that were cut short at one end stay as they are: only their field of view is larger.
    spans = (fov[0] if whole else factor * fov[0], fov[1], fov[2])
    samples, positions = [], []
    for number, part in enumerate(readouts.samples):
        centre, data = int(centres.sample[number]), part
        if whole and factor > 1:
            data, centre = without_oversampling(part, nx, centre)
        where = Lines(
            encoded_fov=spans,
            centre_sample=centre,
            centre_line=int(centres.line[number]) or ny // 2,
            centre_partition=int(centres.partition[number]) or nz // 2,
        )
        plane = None if partition is None else int(partition[number])
        samples.append(data)
        positions.append(line_positions(where, data.shape[1], int(line[number]), plane))
    encoded = (nx if whole else factor * nx, ny, nz)
    return Placement(
        readouts=replace(readouts, samples=samples),
        positions=positions,
        header=replace(header, encoded_matrix=encoded, encoded_fov=spans),
        oversampling=factor if whole else 1,
    )


def _check_lines(path: Path, numbers: NDArray[np.int64], count: int, name: str) -> None:
    if numbers.max() >= count:
        raise RawDataError(
            f"{path}: {name} numbers of Cartesian readouts must be below the matrix size {count}, got "
            f"{numbers.max()}; --matrix and --fov set the grid, --line-counter order numbers lines by their "
            "order, --trajectory gives positions"
        )

"""ISMRMRD file to a scan: samples with their positions and frames."""

import logging
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from mri2qmap_bids.errors import ArgumentError, RawDataError
from mri2qmap_bids.recon.acquisition.dimension import kz_varies
from mri2qmap_bids.recon.acquisition.flags import has_flag
from mri2qmap_bids.recon.acquisition.layout import ReadLayout
from mri2qmap_bids.recon.acquisition.lines import ImageLines, image_lines
from mri2qmap_bids.recon.acquisition.noise import noise_scale
from mri2qmap_bids.recon.acquisition.placement import place
from mri2qmap_bids.recon.acquisition.readout import check_finite, line_of, samples_of
from mri2qmap_bids.recon.acquisition.scan import RawScan, SliceSamples
from mri2qmap_bids.recon.acquisition.table import open_file, read_table
from mri2qmap_bids.recon.acquisition.timing import delayed, sample_times
from mri2qmap_bids.recon.acquisition.trajectory import (
    check_energy,
    cycles_per_metre,
    flip_is_needed,
)

logger = logging.getLogger(__name__)

_READ_AT_ONCE = 4096


def read_raw(path: Path, layout: ReadLayout) -> RawScan:
    """Read a scan: samples, positions in cycles per metre, frames, noise and geometry.

    Parameters
    ----------
    path
        ISMRMRD file (HDF5).
    layout
        Frame counter, trajectory units, dimension and encoding.

    Raises
    ------
    RawDataError
        If the file is unreadable or incomplete, has no imaging data or no trajectory, holds NaN or
        infinity, mixes scans, its frames do not match ``layout.n_frames``, or its slices are not on
        one grid.
    """
    return read_samples(image_lines(read_table(path), layout))


def read_samples(lines: ImageLines, timed: bool = False) -> RawScan:
    """Read the samples of a scan whose acquisition headers have been read.

    ``discard_pre`` and ``discard_post`` samples are dropped. A readout flagged as
    reversed has its trajectory flipped where that puts the signal's energy
    at the centre of k-space (see :func:`flip_is_needed`).

    Parameters
    ----------
    lines
        The image lines of the scan.
    timed
        Whether the time of every sample is needed, as for the correction of off-resonance.

    Raises
    ------
    RawDataError
        As :func:`read_raw`; or if the time is needed and the file has no ``sample_time_us``.
    """
    path = lines.table.path
    for level, text in lines.notes:
        logger.log(level, "%s: %s", path.name, text)
    geometry, numbers = place(lines)
    _report_gaps(lines)
    with open_file(path) as file:
        noise = _read_noise(file, lines)
        data = file[lines.table.group]["data"]
        slices = tuple(_read_slice(data, lines, number, timed) for number in numbers)
    logger.info(
        "%s: %d coils, %d frames, %d samples, %s",
        path.name,
        slices[0].kspace.shape[0],
        lines.layout.n_frames,
        sum(len(part.frame) for part in slices),
        "3D" if lines.is_3d else f"{len(slices)} slice(s)",
    )
    nx, ny, nz = lines.header.encoded_matrix
    try:
        return RawScan(
            slices=slices,
            noise=noise,
            geometry=geometry,
            encoded_fov=lines.header.encoded_fov[::-1],
            n_frames=lines.layout.n_frames,
            is_3d=lines.is_3d,
            encoded_matrix=(nz if lines.is_3d else 1, ny, nx),
        )
    except ArgumentError as error:
        raise RawDataError(f"{path}: {error}") from error


def _report_gaps(lines: ImageLines) -> None:
    """Say which slice numbers are missing, and whether frames have different numbers of lines."""
    name, slices = lines.table.path.name, np.unique(lines.slices)
    absent = np.setdiff1d(np.arange(slices[0], slices[-1] + 1), slices)
    if len(absent):
        logger.warning(
            "%s: slice %s missing between slices %d and %d (idx.slice): the others are placed by their positions",
            name,
            ", ".join(map(str, absent.tolist())),
            slices[0],
            slices[-1],
        )
    counts = np.unique(lines.slices * lines.layout.n_frames + lines.frames, return_counts=True)[1]
    if counts.min() < counts.max():
        logger.info("%s: frames have %d to %d lines", name, counts.min(), counts.max())


def _read_noise(file: h5py.File, lines: ImageLines) -> torch.Tensor | None:
    """Noise scaled to the imaging bandwidth, shape (coil, sample).

    Noise lines of other coils than the image's are left out.
    """
    table, n_coils = lines.table, int(lines.heads["active_channels"][0])
    data, heads = file[table.noise_group]["data"], table.noise_heads
    if table.noise_group != table.group:
        logger.info(
            "%s: noise scan of group %s, image lines of group %s",
            table.path.name,
            table.noise_group,
            table.group,
        )
    matches = heads["active_channels"] == n_coils
    if not matches.all():
        logger.warning(
            "%s: %d of %d noise lines left out: they have %s channels, the image %d",
            table.path.name,
            int((~matches).sum()),
            len(heads),
            sorted(set(heads["active_channels"].tolist()) - {n_coils}),
            n_coils,
        )
    if not heads["number_of_samples"][matches].any():
        return None
    parts = []
    for number in table.noise_numbers[matches].tolist():
        parts.append(samples_of(table.path, number, data[number]))
        check_finite(table.path, number, "noise", parts[-1])
    dwell_image = float(lines.heads["sample_time_us"][0])
    scales = [noise_scale(float(dwell), dwell_image) for dwell in heads["sample_time_us"][matches]]
    scaled = [part * scale for part, scale in zip(parts, scales, strict=True)]
    return torch.from_numpy(np.concatenate(scaled, axis=1))


def _read_slice(data: h5py.Dataset, lines: ImageLines, number: int, timed: bool) -> SliceSamples:
    """Samples of one slice, in file order and those of a readout in order of time."""
    path = lines.table.path
    places = np.flatnonzero(lines.slices == number)
    heads, rows = lines.heads[places], lines.numbers[places]
    lengths = lines.n_samples[places]
    ends = np.cumsum(lengths)
    n_dims = int(heads["trajectory_dimensions"][0])
    kspace = np.empty((int(heads["active_channels"][0]), int(ends[-1])), np.complex64)
    positions = np.empty((int(ends[-1]), min(n_dims, 3)), np.float32)
    for block in range(0, len(rows), _READ_AT_ONCE):
        part = rows[block : block + _READ_AT_ONCE]
        for offset, record in enumerate(data[part.tolist()], block):
            span = slice(ends[offset] - lengths[offset], ends[offset])
            kspace[:, span], positions[span] = line_of(path, int(rows[offset]), record)
    trajectory = positions[:, : 3 if lines.is_3d else 2]
    if not (lines.is_3d or lines.has_density):
        _check_flat(path, positions)
    reverse = has_flag(heads, "IS_REVERSE")
    if reverse.any() and flip_is_needed(kspace, trajectory, ends, lengths, reverse):
        for line in np.flatnonzero(reverse):
            # The positions, not the samples: both are in order of time then.
            span = slice(ends[line] - lengths[line], ends[line])
            trajectory[span] = trajectory[span][::-1].copy()
    time = sample_times(path, heads, trajectory, ends, lengths) if timed else None
    if any(lines.layout.gradient_delay):
        trajectory = delayed(path, heads, trajectory, ends, lines.layout.gradient_delay)
    check_energy(path, kspace, trajectory)
    header = lines.header
    return SliceSamples(
        kspace=torch.from_numpy(kspace),
        trajectory=torch.from_numpy(
            cycles_per_metre(
                path,
                trajectory,
                header.encoded_matrix,
                header.encoded_fov,
                lines.layout.trajectory_units,
            )
        ),
        frame=torch.from_numpy(np.repeat(lines.frames[places], lengths)),
        time=None if time is None else torch.from_numpy(time),
    )


def _check_flat(path: Path, trajectory: NDArray[np.float32]) -> None:
    """The samples of a 2D slice must have one kz."""
    if trajectory.shape[1] < 3:
        return
    low, high = float(trajectory[:, 2].min()), float(trajectory[:, 2].max())
    if kz_varies(low, high, float(np.abs(trajectory[:, :2]).max())):
        raise RawDataError(
            f"{path}: the third component of the trajectory (kz) must be one value in a 2D scan, got "
            f"{low:.4g} to {high:.4g}"
        )

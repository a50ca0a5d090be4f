"""ISMRMRD file to k-space samples with their positions and frames."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from mri2qmap_bids.errors import ArgumentError, RawDataError
from mri2qmap_bids.recon.acquisition.arguments import check_samples, check_slices, tensor_of
from mri2qmap_bids.recon.acquisition.dimension import kz_varies
from mri2qmap_bids.recon.acquisition.flags import has_flag
from mri2qmap_bids.recon.acquisition.geometry import Geometry
from mri2qmap_bids.recon.acquisition.layout import ReadLayout
from mri2qmap_bids.recon.acquisition.lines import ImageLines, image_lines
from mri2qmap_bids.recon.acquisition.noise import noise_scale
from mri2qmap_bids.recon.acquisition.placement import place
from mri2qmap_bids.recon.acquisition.table import open_file, read_table
from mri2qmap_bids.recon.acquisition.timing import delayed, sample_times
from mri2qmap_bids.recon.acquisition.trajectory import (
    check_energy,
    cycles_per_metre,
    flip_is_needed,
)
from mri2qmap_bids.recon.arguments import whole
from mri2qmap_bids.recon.arrays import FrameIndex, KSpace, Trajectory
from mri2qmap_bids.recon.bound import check
from mri2qmap_bids.recon.bounds import FIELD_OF_VIEW, PARTITIONS, SLAB

if TYPE_CHECKING:
    from mri2qmap_bids.recon.acquisition.arrays import Array

logger = logging.getLogger(__name__)

_READ_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class SliceSamples:
    """All imaging samples of one 2D slice, or of a whole 3D volume.

    NumPy arrays, other precisions and non-contiguous tensors are converted.

    Raises
    ------
    ArgumentError
        If an array has the wrong axes or kind of numbers, is not finite, or they disagree.
    """

    kspace: KSpace
    """Complex samples, shape (coil, sample)."""
    trajectory: Trajectory
    """Positions [cycles/m] along x, y and, in 3D, z, shape (sample, dim)."""
    frame: FrameIndex
    """Frame of each sample, shape (sample,)."""
    time: torch.Tensor | None = None
    """When each sample was read, relative to the centre of k-space of its readout [s], shape (sample,);
    None: not known, and no off-resonance can be corrected."""

    def __post_init__(self) -> None:
        for name, axes, dtype in (
            ("kspace", "coil, sample", torch.complex64),
            ("trajectory", "sample, dim", torch.float32),
            ("frame", "sample", torch.int64),
        ):
            object.__setattr__(self, name, tensor_of(getattr(self, name), name, axes, dtype))
        check_samples(self.kspace, self.trajectory, self.frame)
        if self.time is not None:
            time = tensor_of(self.time, "time", "sample", torch.float32)
            if len(time) != len(self.frame):
                raise ArgumentError(
                    f"time must have one value for each of the {len(self.frame)} samples, got {len(time)}"
                )
            object.__setattr__(self, "time", time)


@dataclass(frozen=True, eq=False)
class RawScan:
    """Raw data of one scan.

    Raises
    ------
    ArgumentError
        If slices, noise, frames and geometry disagree, or a value is beyond its bounds.
    """

    slices: tuple[SliceSamples, ...]
    """One entry per 2D slice, ordered along ``slice_dir``; a single entry for 3D."""
    noise: torch.Tensor | None
    """Noise samples scaled to the imaging bandwidth, shape (coil, sample); None without noise scan."""
    geometry: Geometry
    """The grid to reconstruct."""
    encoded_fov: tuple[float, float, float]
    """Encoded field of view along (z, y, x) [m]."""
    n_frames: int
    """Number of frames T."""
    is_3d: bool
    """Whether the scan is one volume."""
    encoded_matrix: tuple[int, int, int] | None = None
    """Positions in k-space along (z, y, x), 1 for z of slices; None: those of the geometry's voxel size."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "slices", tuple(self.slices))
        if self.noise is not None:
            noise = tensor_of(self.noise, "noise", "coil, sample", torch.complex64)
            object.__setattr__(self, "noise", noise)
        object.__setattr__(self, "n_frames", whole(self.n_frames, "n_frames", 1))
        for axis, extent in zip("zyx", self.encoded_fov, strict=True):
            check(SLAB if axis == "z" else FIELD_OF_VIEW, extent, f"encoded_fov along {axis}")
        if self.encoded_matrix is not None:
            check(PARTITIONS, self.encoded_matrix, "encoded_matrix")
        n_slices, n_dim = (1, 3) if self.is_3d else (self.geometry.matrix[0], 2)
        dims = {part.trajectory.shape[1] for part in self.slices}
        if len(self.slices) != n_slices or dims != {n_dim}:
            raise ArgumentError(
                f"slices must be {n_slices} with trajectories of {n_dim} components (is_3d is "
                f"{self.is_3d}, geometry.matrix {self.geometry.matrix}), got {len(self.slices)} with "
                f"{sorted(dims)} components"
            )
        check_slices(self.slices, self.noise, self.n_frames)

    @classmethod
    def from_arrays(
        cls,
        kspace: "Array",
        trajectory: "Array",
        frames: "int | Array | None",
        fov: "Array",
        matrix: "Array",
        *,
        trajectory_units: str,
        noise: "Array | None" = None,
        affine: "Array | None" = None,
    ) -> "RawScan":
        """A scan from numpy arrays or torch tensors.

        Parameters
        ----------
        kspace
            Complex samples, shape (coil, frame, arm, sample), (coil, frame, sample) or (coil, sample); with a
            first axis of slices (slice, coil, frame, arm, sample).
        trajectory
            Positions, shape (frame, arm, sample, dim), (frame, sample, dim) or (sample, dim), or without
            leading axes along which they are the same; dim is x, y[, z].
        frames
            Number of frames, or the frame of each sample for (coil, sample); None: as many as ``kspace`` has.
        fov
            Along (x, y, z) [m]; z of a 2D scan is the thickness of a slice.
        matrix
            Voxels along (x, y[, z]).
        trajectory_units
            cycles/m (1/m), 1/cm, 1/mm, rad/m, cycles/pixel, cycles/fov or rad/pixel.
        noise
            Samples without signal, shape (coil, sample).
        affine
            Voxel indices (x, y, z) to world coordinates, RAS+ [m], shape (4, 4); None: the scanner's axes.

        Raises
        ------
        ArgumentError
            If shapes do not fit each other, or positions are not in that unit; see
            :func:`mri2qmap_bids.recon.acquisition.arrays.scan_from_arrays`.
        """
        from mri2qmap_bids.recon.acquisition.arrays import scan_from_arrays

        return scan_from_arrays(
            kspace, trajectory, frames, fov, matrix, trajectory_units, noise, affine
        )


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
    reversed is flipped against its trajectory where that puts the signal's energy
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
        _check_finite(table.path, number, "noise", parts[-1])
    dwell_image = float(lines.heads["sample_time_us"][0])
    scales = [noise_scale(float(dwell), dwell_image) for dwell in heads["sample_time_us"][matches]]
    scaled = [part * scale for part, scale in zip(parts, scales, strict=True)]
    return torch.from_numpy(np.concatenate(scaled, axis=1))


def _read_slice(data: h5py.Dataset, lines: ImageLines, number: int, timed: bool) -> SliceSamples:
    """Samples of one slice, in file order."""
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
    time = sample_times(path, heads, trajectory, ends, lengths) if timed else None
    if reverse.any() and flip_is_needed(kspace, trajectory, ends, lengths, reverse):
        for line in np.flatnonzero(reverse):
            span = slice(ends[line] - lengths[line], ends[line])
            kspace[:, span] = kspace[:, span][:, ::-1]
            if time is not None:
                time[span] = time[span][::-1]
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


def samples_of(path: Path, number: int, record: Any) -> NDArray[np.complex64]:
    """All samples of one acquisition, shape (coil, sample).

    Parameters
    ----------
    path, number
        The file and the acquisition's place in it, for messages.
    record
        The acquisition as stored.

    Raises
    ------
    RawDataError
        If it does not hold what its header says.
    """
    head = record["head"]
    shape = int(head["active_channels"]), int(head["number_of_samples"])
    values = np.ascontiguousarray(record["data"], dtype=np.float32)
    if values.size != 2 * shape[0] * shape[1]:
        raise RawDataError(
            f"{path}: acquisition {number} must hold data for its {shape[1]} samples of {shape[0]} coils, got "
            f"{values.size / 2:g} values"
        )
    return values.view(np.complex64).reshape(shape)


def line_of(
    path: Path, number: int, record: Any
) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """Samples (coil, sample) and positions (sample, dim) of one acquisition without those to discard.

    Parameters
    ----------
    path, number, record
        As of :func:`samples_of`.

    Raises
    ------
    RawDataError
        If it does not hold what its header says, or a value is not finite.
    """
    head = record["head"]
    n_samples, n_dims = int(head["number_of_samples"]), int(head["trajectory_dimensions"])
    samples = samples_of(path, number, record)
    positions = np.asarray(record["traj"], np.float32)
    if positions.size != n_samples * n_dims:
        raise RawDataError(
            f"{path}: acquisition {number} must hold a trajectory of {n_dims} components for its {n_samples} "
            f"samples, got {positions.size} values"
        )
    span = slice(int(head["discard_pre"]), n_samples - int(head["discard_post"]))
    samples, positions = samples[:, span], positions.reshape(n_samples, n_dims)[span, :3]
    _check_finite(path, number, "k-space", samples)
    _check_finite(path, number, "trajectory", positions)
    return samples, positions


def _check_finite(path: Path, number: int, name: str, values: NDArray[Any]) -> None:
    if not np.isfinite(values).all():
        raise RawDataError(
            f"{path}: {name} must be finite, got {int((~np.isfinite(values)).sum())} NaN or "
            f"infinite values in acquisition {number}"
        )

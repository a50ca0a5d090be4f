"""ISMRMRD file to k-space samples with their positions and frames."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import ismrmrd
import numpy as np
import torch
from numpy.typing import NDArray

from mri2qmap_bids.errors import RawDataError
from mri2qmap_bids.recon.acquisition.geometry import Geometry
from mri2qmap_bids.recon.acquisition.header import ScanHeader, open_dataset, read_header
from mri2qmap_bids.recon.acquisition.placement import place
from mri2qmap_bids.recon.acquisition.trajectory import cycles_per_metre, flip_is_needed
from mri2qmap_bids.recon.arrays import FrameIndex, KSpace, Trajectory

if TYPE_CHECKING:
    from mri2qmap_bids.recon.acquisition.arrays import Array

logger = logging.getLogger(__name__)

FRAME_COUNTERS = (
    "contrast",
    "repetition",
    "kspace_encode_step_1",
    "kspace_encode_step_2",
    "slice",
    "phase",
    "set",
    "segment",
    "order",
)
# Acquisitions that are neither image nor noise.
_NOT_IMAGING = (
    ismrmrd.ACQ_IS_PARALLEL_CALIBRATION,
    ismrmrd.ACQ_IS_NAVIGATION_DATA,
    ismrmrd.ACQ_IS_PHASECORR_DATA,
    ismrmrd.ACQ_IS_HPFEEDBACK_DATA,
    ismrmrd.ACQ_IS_DUMMYSCAN_DATA,
    ismrmrd.ACQ_IS_RTFEEDBACK_DATA,
    ismrmrd.ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA,
)
_READ_AT_ONCE = 4096


@dataclass(frozen=True)
class ReadLayout:
    """How to interpret a file's counters and trajectory."""

    n_frames: int
    """Number of frames T."""
    frame_counter: str = "contrast"
    """The counter with the frame number, one of FRAME_COUNTERS."""
    trajectory_units: str | None = None
    """cycles/pixel, cycles/fov or rad/pixel; None: detected from the magnitude."""
    is_3d: bool | None = None
    """Whether the scan is one volume; None: taken from the header."""


@dataclass(frozen=True, eq=False)
class SliceSamples:
    """All imaging samples of one 2D slice, or of a whole 3D volume."""

    kspace: KSpace
    """Complex samples, shape (coil, sample)."""
    trajectory: Trajectory
    """Positions along x, y[, z] [cycles/m], shape (sample, dim)."""
    frame: FrameIndex
    """Frame of each sample, shape (sample,)."""


@dataclass(frozen=True, eq=False)
class RawScan:
    """Raw data of one scan."""

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
            cycles/m, rad/m, cycles/pixel, cycles/fov or rad/pixel.
        noise
            Samples without signal, shape (coil, sample).
        affine
            Voxel indices (x, y, z) to world coordinates, RAS+ [m], shape (4, 4); None: the scanner's axes.

        Raises
        ------
        ValueError
            If shapes do not fit each other, or positions are not in that unit; see
            :func:`mri2qmap_bids.recon.acquisition.arrays.scan_from_arrays`.
        """
        from mri2qmap_bids.recon.acquisition.arrays import scan_from_arrays

        return scan_from_arrays(
            kspace, trajectory, frames, fov, matrix, trajectory_units, noise, affine
        )


def read_raw(path: Path, layout: ReadLayout) -> RawScan:
    """Read a scan: samples, positions in cycles per metre, frames, noise and geometry.

    ``discard_pre`` and ``discard_post`` samples are dropped. A readout flagged as
    reversed is flipped against its trajectory where that puts the signal's energy
    at the centre of k-space (see :func:`flip_is_needed`).

    Parameters
    ----------
    path
        ISMRMRD file (HDF5).
    layout
        Frame counter, trajectory units and dimension.

    Raises
    ------
    RawDataError
        If the file is unreadable or incomplete, has no imaging data or no trajectory,
        holds NaN or infinity, its frames do not match ``layout.n_frames``, or its slices
        are not on one grid.
    """
    header = read_header(path)
    is_3d = header.is_3d if layout.is_3d is None else layout.is_3d
    file, group = open_dataset(path)
    with file:
        try:
            heads = group["data"].fields("head")[:]
            kinds = acquisition_kinds(heads)
            _check(path, heads[kinds == "image"], is_3d)
            frames = _frames(path, heads, kinds, layout)
            noise = _read_noise(group["data"], heads, kinds)
            slice_of = np.zeros(len(heads), int) if is_3d else heads["idx"]["slice"].astype(int)
            geometry, numbers = place(path, header, heads[kinds == "image"], is_3d)
            slices = []
            for number in numbers:
                chosen = np.flatnonzero((kinds == "image") & (slice_of == number))
                slices.append(
                    _read_slice(path, group["data"], heads, chosen, frames, header, layout, is_3d)
                )
        except (OSError, KeyError, ValueError) as error:
            raise RawDataError(f"{path}: must be a complete ISMRMRD file, got: {error}") from error
    logger.info(
        "%s: %d coils, %d frames, %d samples, %s",
        path.name,
        slices[0].kspace.shape[0],
        layout.n_frames,
        sum(len(part.frame) for part in slices),
        "3D" if is_3d else f"{len(slices)} slice(s)",
    )
    return RawScan(
        slices=tuple(slices),
        noise=noise,
        geometry=geometry,
        encoded_fov=(header.encoded_fov[2], header.encoded_fov[1], header.encoded_fov[0]),
        n_frames=layout.n_frames,
        is_3d=is_3d,
    )


def _flagged(heads: NDArray[Any], flag: int) -> NDArray[np.bool_]:
    return (heads["flags"].astype(np.uint64) >> np.uint64(flag - 1)) & np.uint64(1) > 0


def imaging_acquisitions(heads: NDArray[Any]) -> NDArray[Any]:
    """The headers of the acquisitions with image data."""
    chosen: NDArray[Any] = heads[acquisition_kinds(heads) == "image"]
    return chosen


def acquisition_kinds(heads: NDArray[Any]) -> NDArray[Any]:
    """'image', 'noise' or 'other' for every acquisition."""
    kinds = np.full(len(heads), "image")
    for flag in _NOT_IMAGING:
        kinds[_flagged(heads, flag)] = "other"
    kinds[_flagged(heads, ismrmrd.ACQ_IS_NOISE_MEASUREMENT)] = "noise"
    return kinds


def _check(path: Path, heads: NDArray[Any], is_3d: bool) -> None:
    """Check the headers of the imaging acquisitions."""
    if len(heads) == 0:
        raise RawDataError(f"{path}: must hold imaging acquisitions, got none")
    needed = 3 if is_3d else 2
    missing = np.flatnonzero(heads["trajectory_dimensions"] < needed)
    if len(missing):
        raise RawDataError(
            f"{path}: every imaging acquisition of a {needed}D scan must carry a trajectory with "
            f"{needed} components per sample, got {heads['trajectory_dimensions'][missing[0]]} "
            f"in imaging acquisition {missing[0]} ({len(missing)} such)"
        )
    if len(set(heads["active_channels"])) != 1:
        raise RawDataError(
            f"{path}: all imaging acquisitions must have the same number of coils, got "
            f"{sorted(set(heads['active_channels'].tolist()))}"
        )


def _frames(
    path: Path, heads: NDArray[Any], kinds: NDArray[Any], layout: ReadLayout
) -> NDArray[np.int64]:
    """Frame of every acquisition (meaningless outside imaging ones)."""
    imaging = kinds == "image"
    if layout.frame_counter == "order":
        frames = np.full(len(heads), -1)
        frames[imaging] = np.arange(imaging.sum()) % layout.n_frames
        if imaging.sum() % layout.n_frames:
            raise RawDataError(
                f"{path}: with MRFFrameCounter `order` the number of imaging acquisitions must be a "
                f"multiple of the {layout.n_frames} frames (FlipAngle), got {imaging.sum()}"
            )
        return frames
    frames = heads["idx"][layout.frame_counter].astype(np.int64)
    n_found = int(frames[imaging].max()) + 1
    if n_found != layout.n_frames:
        raise RawDataError(
            f"{path}: the frames in the file (counter `{layout.frame_counter}`) must be as many as "
            f"the values of FlipAngle, got {n_found} frames and {layout.n_frames} flip angles"
        )
    return frames


def _read_noise(
    data: h5py.Dataset, heads: NDArray[Any], kinds: NDArray[Any]
) -> torch.Tensor | None:
    """Noise scaled to the imaging bandwidth, shape (coil, sample)."""
    chosen = np.flatnonzero(kinds == "noise")
    if len(chosen) == 0:
        return None
    parts = [_samples(data[int(number)]) for number in chosen]
    dwell_noise = float(heads["sample_time_us"][chosen[0]])
    dwell_image = float(heads["sample_time_us"][kinds == "image"][0])
    # Noise power is proportional to bandwidth: a noise scan with another dwell time is rescaled.
    scale = (
        float(np.sqrt(dwell_noise / dwell_image)) if dwell_noise > 0 and dwell_image > 0 else 1.0
    )
    return torch.from_numpy(np.concatenate(parts, axis=1)) * scale


def _samples(record: Any) -> NDArray[np.complex64]:
    """One acquisition's samples, shape (coil, sample)."""
    n_coils = int(record["head"]["active_channels"])
    complexes = np.ascontiguousarray(record["data"], dtype=np.float32).view(np.complex64)
    return complexes.reshape(n_coils, -1)


def _read_slice(
    path: Path,
    data: h5py.Dataset,
    heads: NDArray[Any],
    chosen: NDArray[np.int64],
    frames: NDArray[np.int64],
    header: ScanHeader,
    layout: ReadLayout,
    is_3d: bool,
) -> SliceSamples:
    """Samples of the chosen acquisitions, in file order."""
    lengths = _kept_lengths(heads[chosen])
    ends = np.cumsum(lengths)
    n_dim = 3 if is_3d else 2
    kspace = np.empty((int(heads["active_channels"][chosen[0]]), int(ends[-1])), np.complex64)
    trajectory = np.empty((int(ends[-1]), n_dim), np.float32)
    for block in range(0, len(chosen), _READ_AT_ONCE):
        numbers = chosen[block : block + _READ_AT_ONCE]
        for offset, record in enumerate(data[numbers.tolist()]):
            end = ends[block + offset]
            kept = slice(end - lengths[block + offset], end)
            kspace[:, kept], trajectory[kept] = _kept(path, int(numbers[offset]), record, n_dim)
    reverse = _flagged(heads[chosen], ismrmrd.ACQ_IS_REVERSE)
    if reverse.any() and flip_is_needed(kspace, trajectory, ends, lengths, reverse):
        for number in np.flatnonzero(reverse):
            kept = slice(ends[number] - lengths[number], ends[number])
            kspace[:, kept] = kspace[:, kept][:, ::-1]
    return SliceSamples(
        kspace=torch.from_numpy(kspace),
        trajectory=torch.from_numpy(
            cycles_per_metre(
                path, trajectory, header.encoded_matrix, header.encoded_fov, layout.trajectory_units
            )
        ),
        frame=torch.from_numpy(np.repeat(frames[chosen], lengths)),
    )


def _kept_lengths(heads: NDArray[Any]) -> NDArray[np.int64]:
    discarded = heads["discard_pre"].astype(np.int64) + heads["discard_post"].astype(np.int64)
    kept: NDArray[np.int64] = heads["number_of_samples"].astype(np.int64) - discarded
    return np.maximum(kept, 0)


def _kept(
    path: Path, number: int, record: Any, n_dim: int
) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """Samples (coil, sample) and positions (sample, dim) of one acquisition, checked."""
    head = record["head"]
    n_samples = int(head["number_of_samples"])
    samples = _samples(record)
    positions = np.asarray(record["traj"], np.float32)
    if samples.shape[1] != n_samples or positions.size != n_samples * head["trajectory_dimensions"]:
        raise RawDataError(
            f"{path}: acquisition {number} must hold data and trajectory for its {n_samples} samples, "
            f"got {samples.shape[1]} and {positions.size // max(int(head['trajectory_dimensions']), 1)}"
        )
    positions = positions.reshape(n_samples, -1)[:, :n_dim]
    kept = slice(int(head["discard_pre"]), n_samples - int(head["discard_post"]))
    samples, positions = samples[:, kept], positions[kept]
    for name, values in (("k-space", samples), ("trajectory", positions)):
        if not np.isfinite(values).all():
            raise RawDataError(
                f"{path}: {name} must be finite, got {int((~np.isfinite(values)).sum())} NaN or "
                f"infinite values in acquisition {number}"
            )
    return samples, positions

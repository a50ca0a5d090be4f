"""A scan from arrays in memory, in the shapes in which programs hold k-space."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.acquisition.elements import (
    COMPLEX,
    NUMBERS,
    REAL,
    WHOLE,
    Elements,
    check_elements,
)
from mri2qmap_bids.recon.acquisition.geometry import Geometry
from mri2qmap_bids.recon.acquisition.scan import RawScan, SliceSamples
from mri2qmap_bids.recon.acquisition.trajectory import (
    TRAJECTORY_UNITS,
    TrajectoryUnits,
    extent_fault,
    unit_scales,
)

Array: TypeAlias = torch.Tensor | NDArray[Any] | Sequence[Any] | int | float

# Units besides those of a raw file.
_RADIANS_PER_METRE, _CYCLES_PER_METRE = "rad/m", "cycles/m"
UNITS = (*TRAJECTORY_UNITS, _CYCLES_PER_METRE, _RADIANS_PER_METRE)
"""Units of positions in arrays."""
# No field of view of a scanner is larger [m]; a larger number is in millimetres.
_LARGEST_FOV = 3.0


def scan_from_arrays(
    kspace: Array,
    trajectory: Array,
    frames: int | Array | None,
    fov: Array,
    matrix: Array,
    trajectory_units: str,
    noise: Array | None = None,
    affine: Array | None = None,
) -> RawScan:
    """A scan from k-space, positions and frames as numpy arrays or torch tensors.

    The signal is s(k) = sum over r of m(r) exp(-2 pi i k r), as for a Fourier transform
    ``numpy.fft.fft`` from image to k-space.

    Parameters
    ----------
    kspace
        Complex samples, shape (coil, frame, arm, sample), (coil, frame, sample) or (coil, sample), or
        of several slices, (slice, coil, frame, arm, sample).
    trajectory
        Positions along x, y[, z], shape (frame, arm, sample, dim), (frame, sample, dim) or
        (sample, dim), as ``kspace`` has them. Leading axes may be left out where the positions are the same in
        all frames, e.g. (arm, sample, dim). Complex numbers are kx + i ky.
    frames
        Number of frames T, or the frame 0..T-1 of each sample, shape (sample,), which (coil, sample) needs.
        None: as many as ``kspace`` has.
    fov
        Field of view along (x, y, z) [m]; in 2D z is the thickness of a slice, which may be left out if
        ``affine`` is given. One number: the same along x and y (and z in 3D).
    matrix
        Voxels along (x, y[, z]) to reconstruct. One number: the same along all encoded axes.
    trajectory_units
        cycles/m (the same as 1/m), 1/cm, 1/mm, rad/m, cycles/pixel (within 0.5), cycles/fov (within half
        the matrix) or rad/pixel (within pi).
    noise
        Samples without signal, with the bandwidth of the scan, shape (coil, ...); None: none.
    affine
        Voxel indices (x, y, z) to world coordinates, RAS+ [m], shape (4, 4). None: the scanner's axes, with
        the centre of the grid at the origin.

    Raises
    ------
    ArgumentError
        If elements are of another kind, shapes do not fit each other, a value is not finite, or positions lie
        beyond k-space or fill less than a tenth of it, as they do in another unit.
    """
    samples, positions = _samples(kspace, "kspace"), _positions(trajectory)
    n_dim = positions.shape[-1]
    samples, frame, n_frames = _in_frames(samples, frames)
    positions = _for_all_samples(positions, samples, frame)
    sizes, spans = _grid(matrix, fov, n_dim, len(samples), affine)
    if n_dim == 2 and sizes[2] != len(samples):
        raise ArgumentError(
            f"matrix must have as many slices as kspace ({len(samples)}), got {sizes[2]}"
        )
    voxel_size = np.array(spans) / (*sizes[:n_dim], *((1,) * (3 - n_dim)))
    scaled = _cycles_per_metre(positions, voxel_size[:n_dim], sizes[:n_dim], trajectory_units)
    numbers = torch.from_numpy(np.ascontiguousarray(frame).reshape(-1))
    parts = tuple(
        SliceSamples(
            kspace=torch.from_numpy(part.reshape(len(part), -1)),
            trajectory=torch.from_numpy(scaled),
            frame=numbers,
        )
        for part in samples
    )
    return RawScan(
        slices=parts,
        noise=_noise(noise, samples.shape[1]),
        geometry=_geometry(sizes, voxel_size, affine),
        encoded_fov=(float(spans[2]), float(spans[1]), float(spans[0])),
        n_frames=n_frames,
        is_3d=n_dim == 3,
    )


def _elements(values: Array, name: str, elements: Elements) -> NDArray[Any]:
    """An array in the host's memory, whose elements are checked."""
    own = values.numpy(force=True) if isinstance(values, torch.Tensor) else values
    array = np.asarray(own)
    check_elements(name, array, elements)
    return array


def _samples(values: Array, name: str) -> NDArray[np.complex64]:
    array = _elements(values, name, COMPLEX)
    with np.errstate(over="ignore"):
        samples = np.ascontiguousarray(array, dtype=np.complex64)
    if samples.dtype != array.dtype:
        check_elements(f"{name} in single precision", samples, COMPLEX)
    return samples


def _positions(trajectory: Array) -> NDArray[np.float32]:
    """Positions with their components on the last axis."""
    array = _elements(trajectory, "trajectory", NUMBERS)
    if np.iscomplexobj(array):
        array = np.stack([array.real, array.imag], axis=-1)
    positions = np.ascontiguousarray(array, dtype=np.float32)
    if positions.ndim < 2 or positions.shape[-1] not in (2, 3):
        raise ArgumentError(
            f"trajectory must have 2 or 3 components on its last axis, got shape {positions.shape}"
        )
    return positions


def _in_frames(
    kspace: NDArray[np.complex64], frames: int | Array | None
) -> tuple[NDArray[np.complex64], NDArray[np.int64], int]:
    """Samples (slice, coil, ...), frame of each sample with the shape of the last axes, number of frames."""
    if kspace.ndim not in (2, 3, 4, 5):
        raise ArgumentError(
            "kspace must have the axes (coil, frame, arm, sample), (coil, frame, sample) or "
            f"(coil, sample), got shape {kspace.shape}"
        )
    slices = kspace if kspace.ndim == 5 else kspace[None]
    shape = slices.shape[2:]
    frame = None if frames is None else _elements(frames, "frames", WHOLE)
    if kspace.ndim > 2:
        if frame is not None and (frame.ndim != 0 or int(frame) != shape[0]):
            raise ArgumentError(
                f"frames must be the number of frames in kspace, {shape[0]} of shape {kspace.shape}, "
                f"got {frame if frame.ndim == 0 else f'an array of shape {frame.shape}'}"
            )
        column = np.arange(shape[0]).reshape(-1, *(1,) * (len(shape) - 1))
        return slices, np.broadcast_to(column, shape), shape[0]
    if frame is None or frame.shape != shape:
        raise ArgumentError(
            f"frames must hold the frame of each of the {shape[0]} samples of kspace (coil, sample), "
            f"got {'none' if frame is None else f'shape {frame.shape}'}"
        )
    numbers = np.unique(frame)
    if not np.array_equal(numbers, np.arange(len(numbers))):
        raise ArgumentError(
            f"frames must be 0 to T - 1 without a gap, got {len(numbers)} numbers from {numbers[0]} to "
            f"{numbers[-1]}"
        )
    return slices, frame.astype(np.int64), len(numbers)


def _for_all_samples(
    positions: NDArray[np.float32], samples: NDArray[np.complex64], frame: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Positions of all samples of one coil, shape (sample, dim)."""
    n_dim = positions.shape[-1]
    try:
        complete = np.broadcast_to(positions, (*frame.shape, n_dim))
    except ValueError as error:
        raise ArgumentError(
            f"trajectory must have the shape {(*frame.shape, n_dim)} of kspace, or lack leading axes of "
            f"it, got {positions.shape}"
        ) from error
    if n_dim == 3 and len(samples) > 1:
        raise ArgumentError(
            f"kspace of a 3D trajectory must have no axis of slices, got {len(samples)} slices"
        )
    return np.ascontiguousarray(complete).reshape(-1, n_dim)


def _grid(
    matrix: Array,
    fov: Array,
    n_dim: int,
    n_slices: int,
    affine: Array | None,
) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    """Voxels, and field of view [m], along (x, y, z); of one slice in 2D."""
    sizes = [int(n) for n in np.atleast_1d(_elements(matrix, "matrix", WHOLE))]
    spans = [float(span) for span in np.atleast_1d(_elements(fov, "fov", REAL))]
    sizes = sizes * n_dim if len(sizes) == 1 else sizes
    spans = spans * n_dim if len(spans) == 1 else spans
    if len(sizes) == 2 and n_dim == 2:
        sizes.append(n_slices)
    if len(sizes) != 3 or min(sizes) < 1:
        raise ArgumentError(
            f"matrix must be one or {n_dim} numbers of voxels along x, y[, z], got {matrix}"
        )
    if len(spans) == 2 and n_dim == 2 and affine is not None:
        spans.append(float(np.linalg.norm(_elements(affine, "affine", REAL)[:3, 2])))
    if len(spans) != 3:
        rule = "x, y and the thickness of a slice" if n_dim == 2 else "x, y and z"
        raise ArgumentError(f"fov must be given along {rule} [m], got {fov}")
    if min(spans) <= 0 or max(spans) > _LARGEST_FOV:
        raise ArgumentError(
            f"fov must be above 0 and at most {_LARGEST_FOV:g} m (is it in mm?), got {fov}"
        )
    return (sizes[0], sizes[1], sizes[2]), (spans[0], spans[1], spans[2])


def _cycles_per_metre(
    positions: NDArray[np.float32],
    voxel_size: NDArray[np.float64],
    matrix: tuple[int, ...],
    units: str,
) -> NDArray[np.float32]:
    """Positions in cycles per metre, checked against the grid's edge of k-space."""
    fov = tuple((voxel_size * np.array(matrix)).tolist())
    if units == _RADIANS_PER_METRE:
        scaled = (positions / (2 * np.pi)).astype(np.float32)
        unit = TrajectoryUnits.PER_METRE
    else:
        name = TrajectoryUnits.PER_METRE if units == _CYCLES_PER_METRE else units
        if name not in TRAJECTORY_UNITS:
            raise ArgumentError(
                f"trajectory_units must be one of {', '.join(UNITS)}, got {units!r}"
            )
        unit, scaled = TrajectoryUnits(name), positions
    text = extent_fault(_largest(scaled), matrix, fov, unit, named=True)
    if text:
        raise ArgumentError(f"trajectory (in {units}) {text}")
    return (scaled * unit_scales(matrix, fov)[unit]).astype(np.float32)


def _largest(positions: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(np.abs(positions).max(axis=0, initial=0), np.float64)


def _noise(noise: Array | None, n_coils: int) -> torch.Tensor | None:
    if noise is None:
        return None
    samples = _samples(noise, "noise")
    if samples.ndim < 2 or len(samples) != n_coils:
        raise ArgumentError(
            f"noise must have the shape (coil, sample) with {n_coils} coils as kspace, got {samples.shape}"
        )
    return torch.from_numpy(samples.reshape(n_coils, -1))


def _geometry(
    matrix: tuple[int, int, int], voxel_size: NDArray[np.float64], affine: Array | None
) -> Geometry:
    """The grid, from its affine (RAS) or along the scanner's axes."""
    if affine is None:
        columns, position = np.diag([-1.0, -1.0, 1.0]) * voxel_size, np.zeros(3)
    else:
        world = _elements(affine, "affine", REAL).astype(np.float64)
        if world.shape != (4, 4):
            raise ArgumentError(f"affine must have the shape (4, 4), got {world.shape}")
        columns = world[:3, :3]
        position = columns @ (np.array(matrix) // 2) + world[:3, 3]
    lengths = np.linalg.norm(columns, axis=0)
    # Between 2D slices there may be a gap.
    if np.abs(lengths[:2] / voxel_size[:2] - 1).max() > 0.01:
        raise ArgumentError(
            "affine must have columns as long as the voxels, fov / matrix = "
            f"{np.round(voxel_size, 6).tolist()} m (is it in mm?), got {np.round(lengths, 6).tolist()}"
        )
    directions = columns / lengths
    if np.abs(directions.T @ directions - np.eye(3)).max() > 1e-2:
        raise ArgumentError(f"affine must have orthogonal columns, got {columns.tolist()}")
    to_lps = np.diag([-1.0, -1.0, 1.0])
    read, phase, slice_ = (to_lps @ directions).T
    return Geometry(
        matrix=(matrix[2], matrix[1], matrix[0]),
        voxel_size=(float(lengths[2]), float(voxel_size[1]), float(voxel_size[0])),
        position=to_lps @ position,
        read_dir=read,
        phase_dir=phase,
        slice_dir=slice_,
    )

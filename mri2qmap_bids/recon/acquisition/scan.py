"""Samples of a scan, with their positions, frames and times."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.acquisition.arguments import check_samples, check_slices, tensor_of
from mri2qmap_bids.recon.acquisition.geometry import Geometry
from mri2qmap_bids.recon.arguments import whole
from mri2qmap_bids.recon.arrays import FrameIndex, KSpace, Trajectory
from mri2qmap_bids.recon.bound import check
from mri2qmap_bids.recon.bounds import FIELD_OF_VIEW, PARTITIONS, SLAB

if TYPE_CHECKING:
    from mri2qmap_bids.recon.acquisition.arrays import Array


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

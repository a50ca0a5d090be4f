"""Position and orientation of the reconstructed volume."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.arguments import whole
from mri2qmap_bids.recon.bound import check
from mri2qmap_bids.recon.bounds import MATRIX, PARTITIONS, POSITION, SLAB, VOXEL_SIZE


@dataclass(frozen=True, eq=False)
class Geometry:
    """The grid of a reconstructed volume in patient coordinates (LPS, as ISMRMRD has them).

    Raises
    ------
    ArgumentError
        If a size or position is beyond its bounds, as it is in mm, or the directions are not orthogonal.
    """

    matrix: tuple[int, int, int]
    """Number of voxels along (z, y, x)."""
    voxel_size: tuple[float, float, float]
    """Distance between voxel centres along (z, y, x) [m]."""
    position: NDArray[np.float64]
    """Position of the voxel with index ``floor(n / 2)`` along every axis, LPS [m], shape (3,)."""
    read_dir: NDArray[np.float64]
    """Unit vector of increasing x index, LPS."""
    phase_dir: NDArray[np.float64]
    """Unit vector of increasing y index, LPS."""
    slice_dir: NDArray[np.float64]
    """Unit vector of increasing z index, LPS."""

    def __post_init__(self) -> None:
        if len(self.matrix) != 3 or len(self.voxel_size) != 3:
            raise ArgumentError(
                f"matrix and voxel_size must be along (z, y, x), got {self.matrix} and {self.voxel_size}"
            )
        object.__setattr__(self, "matrix", tuple(whole(n, "matrix", 1) for n in self.matrix))
        object.__setattr__(self, "voxel_size", tuple(float(size) for size in self.voxel_size))
        check(PARTITIONS, self.matrix[0], "matrix along z")
        check(MATRIX, self.matrix[1:], "matrix along y, x")
        # A single slice may be as thick as a slab.
        check(SLAB if self.matrix[0] == 1 else VOXEL_SIZE, self.voxel_size[0], "voxel_size along z")
        check(VOXEL_SIZE, self.voxel_size[1:], "voxel_size along y, x")
        for name in ("position", "read_dir", "phase_dir", "slice_dir"):
            vector = np.asarray(getattr(self, name), np.float64)
            if vector.shape != (3,):
                raise ArgumentError(f"{name} must have 3 components, got shape {vector.shape}")
            object.__setattr__(self, name, vector)
        check(POSITION, self.position, "position")
        axes = np.stack([self.read_dir, self.phase_dir, self.slice_dir])
        if not np.abs(axes @ axes.T - np.eye(3)).max() <= 1e-2:
            raise ArgumentError(
                "read_dir, phase_dir and slice_dir must be orthogonal unit vectors, got "
                f"{np.round(axes, 4).tolist()}"
            )

    def centre_of(self, slice_number: int | None) -> NDArray[np.float64]:
        """Centre of a slice, or of the volume [m]: the position of the voxel floor(n / 2) along its axes.

        Parameters
        ----------
        slice_number
            Index along z; None: the volume.
        """
        if slice_number is None:
            return self.position
        steps = slice_number - self.matrix[0] // 2
        return self.position + steps * self.voxel_size[0] * self.slice_dir


def affine(geometry: Geometry) -> NDArray[np.float64]:
    """Voxel indices (x, y, z) to world coordinates, RAS+ [m].

    world = D (i - c) + p, where D has the scaled directions as columns,
    c = floor(n / 2) and p is the position; LPS becomes RAS by negating the
    first two rows.

    Returns
    -------
    Matrix, shape (4, 4).
    """
    sizes = np.array(geometry.voxel_size[::-1])
    directions = np.stack([geometry.read_dir, geometry.phase_dir, geometry.slice_dir], axis=1)
    centre = np.array(geometry.matrix[::-1]) // 2
    matrix = np.eye(4)
    matrix[:3, :3] = directions * sizes
    matrix[:3, 3] = geometry.position - matrix[:3, :3] @ centre
    lps_to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])
    return lps_to_ras @ matrix

"""Position and orientation of the reconstructed volume."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Geometry:
    """The grid of a reconstructed volume in patient coordinates (LPS, as ISMRMRD has them)."""

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

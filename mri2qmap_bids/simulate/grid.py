"""The voxel grid that the simulated scan images."""

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.recon.acquisition.geometry import Geometry, affine

_LPS_RAS = np.array([-1.0, -1.0, 1.0])


def make_geometry(
    matrix: tuple[int, int, int],
    voxel_size: tuple[float, float, float],
    centre: NDArray[np.float64],
    oblique: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Geometry:
    """An axial grid around a point, turned by three angles.

    Without rotation x grows to the patient's left, y to the back, z to the
    head. The rotation is Rz Ry Rx, about the fixed patient axes L, P, S.

    Parameters
    ----------
    matrix
        Number of voxels along (z, y, x).
    voxel_size
        Distance between voxel centres along (z, y, x) [m].
    centre
        World position of voxel floor(n / 2), RAS+ [m], shape (3,).
    oblique
        Angles about L, P, S [rad].

    Returns
    -------
    The grid.
    """
    directions = _rotation(oblique)
    return Geometry(
        matrix=matrix,
        voxel_size=voxel_size,
        position=np.asarray(centre, dtype=float) * _LPS_RAS,
        read_dir=directions[:, 0],
        phase_dir=directions[:, 1],
        slice_dir=directions[:, 2],
    )


def voxel_centres(geometry: Geometry) -> NDArray[np.float64]:
    """World positions of all voxels, RAS+ [m], shape (voxel, 3), in (z, y, x) order."""
    z, y, x = (axis.ravel() for axis in np.indices(geometry.matrix))
    matrix = affine(geometry)
    return np.stack([x, y, z], axis=1) @ matrix[:3, :3].T + matrix[:3, 3]


def grid_centre(geometry: Geometry) -> NDArray[np.float64]:
    """World position of the grid's origin voxel, RAS+ [m]."""
    centre: NDArray[np.float64] = geometry.position * _LPS_RAS
    return centre


def offsets_in_voxel(
    geometry: Geometry, thickness: float | None, spacing: float
) -> NDArray[np.float64]:
    """Points spread evenly inside one voxel, relative to its centre, RAS+ [m].

    Parameters
    ----------
    geometry
        The grid.
    thickness
        Extent of a voxel along z [m]; None: the distance between slices.
    spacing
        Largest distance between neighbouring points [m].

    Returns
    -------
    Offsets, shape (point, 3).
    """
    size_z, size_y, size_x = geometry.voxel_size
    sizes = (size_x, size_y, size_z if thickness is None else thickness)
    counts = [max(2, int(np.ceil(size / spacing))) for size in sizes]
    axes = [
        (np.arange(n) + 0.5) / n * size - size / 2 for n, size in zip(counts, sizes, strict=True)
    ]
    in_voxel = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    directions = affine(geometry)[:3, :3] / np.array([size_x, size_y, size_z])
    offsets: NDArray[np.float64] = in_voxel @ directions.T
    return offsets


def _rotation(angles: tuple[float, float, float]) -> NDArray[np.float64]:
    """Rz Ry Rx of three angles [rad]."""
    rotation = np.eye(3)
    for axis, angle in enumerate(angles):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        step = np.eye(3)
        step[i, i] = step[j, j] = np.cos(angle)
        step[j, i], step[i, j] = np.sin(angle), -np.sin(angle)
        rotation = step @ rotation
    return rotation

"""Receive coils around the head, by the law of Biot and Savart."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from mri2qmap_bids.recon.acquisition.geometry import Geometry
from mri2qmap_bids.simulate.fields import generator
from mri2qmap_bids.simulate.grid import voxel_centres

LOOP_RADIUS = 55e-3
"""Radius of one loop [m]."""
HELMET_RADIUS = 150e-3
"""Distance of the loops from the middle of the head [m]."""
_N_SEGMENTS = 32
_COARSE = 28
_GOLDEN_TURN = np.pi * (3.0 - np.sqrt(5.0))


def coil_maps(
    geometry: Geometry, n_coils: int, centre: NDArray[np.float64], seed: int
) -> NDArray[np.complex64]:
    """Sensitivities of circular loops on a helmet around the head.

    S = Bx - i By of the field of a unit current in the loop (the main field is
    along the body), scaled so that the root sum of squares has median one.

    Parameters
    ----------
    geometry
        The grid.
    n_coils
        Number of loops.
    centre
        Middle of the helmet, RAS+ [m], shape (3,).
    seed
        Of the small misplacements and the phases of the loops.

    Returns
    -------
    Complex maps, shape (coil, z, y, x).

    References
    ----------
    Roemer et al., The NMR phased array (1990), doi:10.1002/mrm.1910160203.
    """
    rng = generator(seed, "coils")
    coarse = _coarse(geometry)
    points = voxel_centres(coarse)
    maps = np.stack(
        [
            _onto(_loop_field(points, *loop).reshape(coarse.matrix), geometry.matrix)
            for loop in _helmet(n_coils, centre, rng)
        ]
    )
    maps *= np.exp(2j * np.pi * rng.uniform(size=n_coils))[:, None, None, None]
    scale = float(np.median(np.sqrt((np.abs(maps) ** 2).sum(axis=0))))
    scaled: NDArray[np.complex64] = (maps / scale).astype(np.complex64)
    return scaled


def _helmet(
    n_coils: int, centre: NDArray[np.float64], rng: np.random.Generator
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Middle and normal of each loop: evenly spread over a sphere open at the neck."""
    loops = []
    for coil in range(n_coils):
        height = -0.45 + 1.3 * (coil + 0.5) / n_coils
        azimuth = coil * _GOLDEN_TURN + rng.normal(scale=0.05)
        flat = np.sqrt(1.0 - height**2)
        normal = np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), height])
        loops.append((centre + HELMET_RADIUS * rng.normal(1.0, 0.03) * normal, normal))
    return loops


def _loop_field(
    points: NDArray[np.float64], middle: NDArray[np.float64], normal: NDArray[np.float64]
) -> NDArray[np.complex128]:
    """Bx - i By of a loop of unit current at each point."""
    helper = np.eye(3)[np.argmin(np.abs(normal))]
    across = np.cross(normal, helper)
    across /= np.linalg.norm(across)
    along = np.cross(normal, across)
    field = np.zeros((len(points), 3))
    for angle in 2.0 * np.pi * np.arange(_N_SEGMENTS) / _N_SEGMENTS:
        position = middle + LOOP_RADIUS * (np.cos(angle) * across + np.sin(angle) * along)
        current = LOOP_RADIUS * (-np.sin(angle) * across + np.cos(angle) * along)
        away = points - position
        # The wire has a thickness, so nothing diverges on it.
        field += np.cross(current, away) / ((away**2).sum(axis=1, keepdims=True) + 1e-4) ** 1.5
    return field[:, 0] - 1j * field[:, 1]


def _coarse(geometry: Geometry) -> Geometry:
    """The same field of view with at most ``_COARSE`` voxels along an axis, ends included."""
    matrix = tuple(min(n, _COARSE) for n in geometry.matrix)
    size = tuple(
        (n - 1) * d / (m - 1) if m > 1 else d
        for n, d, m in zip(geometry.matrix, geometry.voxel_size, matrix, strict=True)
    )
    axes = (geometry.slice_dir, geometry.phase_dir, geometry.read_dir)
    position = geometry.position.copy()
    for axis, n, d, m, s in zip(
        axes, geometry.matrix, geometry.voxel_size, matrix, size, strict=True
    ):
        position += axis * ((m // 2) * s - (n // 2) * d)
    return Geometry(
        (matrix[0], matrix[1], matrix[2]), (size[0], size[1], size[2]), position,
        geometry.read_dir, geometry.phase_dir, geometry.slice_dir,
    )  # fmt: skip


def _onto(values: NDArray[np.complex128], matrix: tuple[int, int, int]) -> NDArray[np.complex128]:
    """Cubic interpolation of a coarse volume onto all voxels."""
    if values.shape == matrix:
        return values
    axes = [np.linspace(0, m - 1, n) for n, m in zip(matrix, values.shape, strict=True)]
    at = np.meshgrid(*axes, indexing="ij")
    fine = np.empty(matrix, dtype=np.complex128)
    fine.real = map_coordinates(values.real, at, order=3, mode="nearest")
    fine.imag = map_coordinates(values.imag, at, order=3, mode="nearest")
    return fine

"""The quantitative maps of one scan."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class QuantitativeMaps:
    """Maps on one voxel grid, axes (z, y, x)."""

    t1: NDArray[np.float32]
    """Longitudinal relaxation time [s]."""
    t2: NDArray[np.float32]
    """Transverse relaxation time [s]."""
    m0: NDArray[np.complex64]
    """Complex scale of the signal (receive-weighted, arbitrary unit)."""
    mask: NDArray[np.bool_]
    """True inside the head or brain."""
    affine: NDArray[np.float64]
    """Voxel indices (x, y, z) to world coordinates, RAS+ [m], shape (4, 4)."""
    t1_std: NDArray[np.float32] | None = None
    """Standard deviation of the error of T1 [s]; None: unknown."""
    t2_std: NDArray[np.float32] | None = None
    """Standard deviation of the error of T2 [s]; None: unknown."""
    resolution: NDArray[np.float64] | None = None
    """Full width at half maximum of the point-spread function of the least-squares image along the encoded
    axes ([z,] y, x) [m], shape (2,) or (3,); None: unknown."""
    inversion_efficiency: NDArray[np.float32] | None = None
    """Efficiency of the inversion, 0..1; None: not estimated for every voxel."""


def save_maps(maps: QuantitativeMaps, path: Path) -> None:
    """Write maps as an uncompressed ``.npz``."""
    arrays = {f.name: getattr(maps, f.name) for f in fields(maps)}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


def load_maps(path: Path) -> QuantitativeMaps:
    """Read maps written by :func:`save_maps`."""
    with np.load(path) as arrays:
        return QuantitativeMaps(**arrays)

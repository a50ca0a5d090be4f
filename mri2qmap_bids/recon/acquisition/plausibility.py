"""Sizes and positions of a raw file against their bounds."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.errors import RawDataError
from mri2qmap_bids.recon.acquisition.header import ScanHeader
from mri2qmap_bids.recon.bound import Bound, Spelling, fault, limits
from mri2qmap_bids.recon.bounds import (
    FIELD_OF_VIEW,
    MATRIX,
    PARTITIONS,
    POSITION,
    SLAB,
    SLICE_SPACING,
    VOXEL_SIZE,
)

logger = logging.getLogger(__name__)

# A scan is somewhere within half a metre of the isocentre: 0.5 mm may be that in metres.
_NEAR, _ROUNDING = 0.5e-3, 1e-6


def check_sizes(path: Path, header: ScanHeader) -> None:
    """Refuse matrices, fields of view and voxels that no scan has.

    Raises
    ------
    RawDataError
        If one is beyond its bounds, e.g. a field of view in metres.
    """
    for space, matrix, fov in (
        ("encodedSpace", header.encoded_matrix, header.encoded_fov),
        ("reconSpace", header.recon_matrix, header.recon_fov),
    ):
        for axis, n, extent in zip("xyz", matrix, fov, strict=True):
            name = f"{path}: {space}"
            flat = axis == "z"
            _refuse(PARTITIONS if flat else MATRIX, n, f"{name} matrixSize {axis}", "1")
            _refuse(SLAB if flat else FIELD_OF_VIEW, extent, f"{name} fieldOfView_mm {axis}", "mm")
            if n > 1:
                _refuse(VOXEL_SIZE, extent / n, f"{name} voxel size {axis}", "mm")


def check_position(path: Path, position: NDArray[np.float64]) -> None:
    """Refuse a position [m] far from the magnet; warn of one that is probably in metres.

    Raises
    ------
    RawDataError
        If it is beyond its bound.
    """
    _refuse(POSITION, position, f"{path}: position", "mm")
    distance = float(np.abs(position).max())
    if _ROUNDING < distance < _NEAR:
        logger.warning(
            "%s: position %s mm is within %g mm of the isocentre; if it is in m, the maps are in the "
            "wrong place",
            path.name,
            np.round(1e3 * position, 4).tolist(),
            1e3 * _NEAR,
        )


def check_stack(
    path: Path,
    positions: NDArray[np.float64],
    directions: Mapping[str, NDArray[np.float64]],
    voxel_size: tuple[float, float, float],
) -> None:
    """Refuse slices that are not stacked along ``slice_dir``, about their thickness apart.

    Slices that all have one position are left to the caller.

    Parameters
    ----------
    path
        The file, for messages.
    positions
        Position of every slice [m], shape (slice, 3).
    directions
        Unit vectors ``read_dir``, ``phase_dir`` and ``slice_dir``.
    voxel_size
        Along (z, y, x) [m]; z is the thickness, or that of the whole stack.

    Raises
    ------
    RawDataError
        If slices are shifted in their plane by more than half a voxel, or their distance is beyond
        its bounds.
    """
    for position in positions:
        _refuse(POSITION, position, f"{path}: position", "mm")
    if len(positions) < 2:
        check_position(path, positions[0])
        return
    thickness, dy, dx = voxel_size
    for name, size in (("read_dir", dx), ("phase_dir", dy)):
        shift = float(np.ptp(positions @ directions[name]))
        if shift > 0.5 * size:
            raise RawDataError(
                f"{path}: slices must be stacked along slice_dir, got positions that differ by "
                f"{1e3 * shift:.4g} mm along {name} (voxels of {1e3 * size:.4g} mm)"
            )
    spacing = float(np.ptp(positions @ directions["slice_dir"])) / (len(positions) - 1)
    ratio = spacing / thickness
    whole_stack = 0.7 < ratio * len(positions) < 1.4
    if spacing < 1e-9 or whole_stack:
        return
    if not SLICE_SPACING.lower <= ratio <= SLICE_SPACING.upper:
        units = [
            unit
            for unit, factor in (("m", 1e3), ("cm", 10.0))
            if SLICE_SPACING.lower <= ratio * factor <= SLICE_SPACING.upper
        ]
        raise RawDataError(
            f"{path}: slices must be {limits(SLICE_SPACING)} times their thickness "
            f"({1e3 * thickness:.4g} mm, fieldOfView_mm z) apart, got {1e3 * spacing:.4g} mm"
            + (f" (are positions in {units[0]}?)" if units else "")
        )
    if ratio < 0.95:
        logger.warning(
            "%s: slices overlap: %.4g mm apart, %.4g mm thick",
            path.name,
            1e3 * spacing,
            1e3 * thickness,
        )


def _refuse(bound: Bound, value: object, name: str, unit: str) -> None:
    text = fault(bound, value, Spelling(name, unit))
    if text:
        raise RawDataError(text)

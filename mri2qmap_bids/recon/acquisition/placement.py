"""Grid of the reconstructed volume, from the acquisition headers."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.errors import RawDataError
from mri2qmap_bids.recon.acquisition.geometry import Geometry
from mri2qmap_bids.recon.acquisition.header import ScanHeader
from mri2qmap_bids.recon.acquisition.lines import ImageLines
from mri2qmap_bids.recon.acquisition.plausibility import check_position, check_sizes, check_stack

logger = logging.getLogger(__name__)

_AXES = {"read_dir": (1.0, 0.0, 0.0), "phase_dir": (0.0, 1.0, 0.0), "slice_dir": (0.0, 0.0, 1.0)}
_SAME_DIRECTION = 1e-3


def place(lines: ImageLines) -> tuple[Geometry, list[int]]:
    """Grid of a scan, and the numbers of its slices in their order along ``slice_dir``.

    Parameters
    ----------
    lines
        The image lines of the scan.

    Raises
    ------
    RawDataError
        If lines of one slice, or of a volume, lie at several places; if slices differ in direction, or
        are not equally spaced.
    """
    path, header = lines.table.path, lines.header
    check_sizes(path, header)
    numbers = np.unique(lines.slices).tolist()
    for number in numbers:
        _check_one_place(path, lines.heads[lines.slices == number], min(_voxel_size(header)))
    firsts = [lines.heads[lines.slices == number][0] for number in numbers]
    if lines.is_3d:
        check_position(path, _position(firsts[0]))
        return place_volume(path, header, firsts[0]), [0]
    geometry, order = place_slices(path, header, firsts)
    return geometry, [numbers[position] for position in order]


def _check_one_place(path: Path, heads: NDArray[Any], voxel: float) -> None:
    """Lines that are reconstructed together must lie at one place, to a tenth of a voxel."""
    places = np.stack([heads[name] for name in ("position", *_AXES)], axis=1).astype(np.float64)
    if not np.isfinite(places).all():
        raise RawDataError(f"{path}: position and directions must be finite, got NaN or infinity")
    shifts = np.abs(places - places[0]).max(axis=2)
    other = np.flatnonzero(
        (shifts[:, 0] > 0.1 * voxel * 1e3) | (shifts[:, 1:].max(axis=1) > _SAME_DIRECTION)
    )
    if len(other):
        first, second = (np.round(places[line, 0], 3).tolist() for line in (0, other[0]))
        raise RawDataError(
            f"{path}: all lines of one slice (idx.slice {heads['idx']['slice'][0]}) or volume must have one "
            f"position and direction, got {len(other)} of {len(heads)} lines elsewhere (position {second} mm, "
            f"not {first} mm); number slices by idx.slice, and write one run a slab"
        )


def place_volume(path: Path, header: ScanHeader, head: Any) -> Geometry:
    """Grid of a 3D scan from the header of its first imaging acquisition."""
    directions = _directions(path, head)
    nx, ny, nz = header.recon_matrix
    return Geometry(
        matrix=(nz, ny, nx),
        voxel_size=_voxel_size(header),
        position=_position(head),
        **directions,
    )


def place_slices(path: Path, header: ScanHeader, heads: list[Any]) -> tuple[Geometry, list[int]]:
    """Grid of a 2D multi-slice scan, and the order of its slices along ``slice_dir``.

    Parameters
    ----------
    path
        The file, for messages.
    header
        Matrix and field of view.
    heads
        The first imaging acquisition's header of every slice.

    Raises
    ------
    RawDataError
        If slices differ in direction, or are not equally spaced.
    """
    directions = _directions(path, heads[0])
    for number, head in enumerate(heads):
        if any(
            np.abs(d - directions[k]).max() > _SAME_DIRECTION
            for k, d in _directions(path, head).items()
        ):
            raise RawDataError(
                f"{path}: all slices must have the same read, phase and slice direction, got another "
                f"in slice {number}"
            )
    positions = np.stack([_position(head) for head in heads])
    heights = positions @ directions["slice_dir"]
    dz, dy, dx = _voxel_size(header)
    if header.recon_matrix[2] != len(heads):
        dz = header.recon_fov[2]  # of one slice: no partitions divide it
    check_stack(path, positions, directions, (dz, dy, dx))
    order = np.argsort(heights, kind="stable")
    gaps = np.diff(heights[order])
    if len(gaps) and np.ptp(heights) < 1e-9:
        logger.warning(
            "%s: all slices have the same position; they are stacked by slice number", path.name
        )
    elif len(gaps):
        if np.ptp(gaps) > 0.02 * gaps.mean():
            raise RawDataError(
                f"{path}: slices must be equally spaced along slice_dir, got gaps of "
                f"{np.round(1e3 * gaps, 3).tolist()} mm"
            )
        dz = float(gaps.mean())
    nx, ny, _ = header.recon_matrix
    geometry = Geometry(
        matrix=(len(heads), ny, nx),
        voxel_size=(dz, dy, dx),
        position=positions[order[len(heads) // 2]],
        **directions,
    )
    return geometry, order.tolist()


def _voxel_size(header: ScanHeader) -> tuple[float, float, float]:
    x, y, z = (fov / n for fov, n in zip(header.recon_fov, header.recon_matrix, strict=True))
    return z, y, x


def _position(head: Any) -> NDArray[np.float64]:
    return np.asarray(head["position"], np.float64) * 1e-3


def _directions(path: Path, head: Any) -> dict[str, NDArray[np.float64]]:
    """The three unit vectors; the scanner axes where a file leaves them all at zero."""
    vectors = {name: np.asarray(head[name], np.float64) for name in _AXES}
    if not any(vector.any() for vector in vectors.values()):
        logger.warning("%s: no direction cosines in the file; taking the scanner's axes", path.name)
        return {name: np.array(vector) for name, vector in _AXES.items()}
    matrix = np.stack(list(vectors.values()))
    if not np.abs(matrix @ matrix.T - np.eye(3)).max() <= 1e-2:
        raise RawDataError(
            f"{path}: read_dir, phase_dir and slice_dir must be orthogonal unit vectors, got "
            f"{np.round(matrix, 4).tolist()}"
        )
    return vectors

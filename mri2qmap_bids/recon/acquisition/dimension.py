"""Whether a scan is one volume or 2D slices."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.errors import RawDataError
from mri2qmap_bids.recon.acquisition.header import ScanHeader
from mri2qmap_bids.recon.acquisition.note import Note

# Of the extent in plane. Two partitions over 0.4 m come to 4e-3; less is what a slice rephaser leaves.
_LEAST_KZ = 2e-3


@dataclass(frozen=True)
class Dimension:
    """What the third component of the trajectory makes of a scan."""

    is_3d: bool
    """Whether it is one volume."""
    has_density: bool
    """Whether the third component is a density, to be ignored."""
    notes: tuple[Note, ...]
    """Messages for the log."""


def dimension_of(
    path: Path,
    header: ScanHeader,
    trajectories: Sequence[NDArray[np.float32]],
    n_slices: int,
    is_3d: bool | None,
) -> Dimension:
    """Whether a scan is one volume: if the third component of the trajectory varies.

    With one partition in the header, a third component that varies within every line and is
    nowhere negative is no kz but a density compensation, as some programs store it.

    Parameters
    ----------
    path
        The file, for messages.
    header
        Of the lines' encoding.
    trajectories
        Of some lines, each of shape (sample, dim).
    n_slices
        Different values of ``idx.slice``.
    is_3d
        What the metadata says (MRAcquisitionType); None: nothing.

    Raises
    ------
    RawDataError
        If kz contradicts the metadata, or a header with one partition.
    """
    nz = header.encoded_matrix[2]
    trajectories = [t for t in trajectories if len(t) and np.isfinite(t).all()]
    third = [t[:, 2] for t in trajectories if t.shape[1] > 2]
    low = min((float(values.min()) for values in third), default=0.0)
    high = max((float(values.max()) for values in third), default=0.0)
    varies = kz_varies(low, high, _extent(trajectories))
    density = varies and nz == 1 and _is_density(third)
    encodes = varies and not density
    if is_3d is not None and is_3d != encodes:
        raise RawDataError(
            f"{path}: MRAcquisitionType must be that of the trajectory, got {'3D' if is_3d else '2D'} and "
            + (
                "a third component (kz) that varies"
                if encodes
                else "no third component (kz) that varies, which a 3D scan must carry"
            )
        )
    if encodes and nz < 2:
        raise RawDataError(
            f"{path}: matrixSize z must be the number of partitions of a scan whose trajectory has a third "
            f"component (kz) that varies, got {nz}"
        )
    if encodes and header.recon_matrix[2] < 2:
        raise RawDataError(
            f"{path}: matrixSize z of reconSpace must be at least 2 in a 3D scan, got "
            f"{header.recon_matrix[2]} for {nz} partitions"
        )
    notes = []
    if density:
        notes.append("the third component of the trajectory is taken as a density, and ignored")
    if not encodes and nz > 1 and nz != n_slices:
        notes.append(
            f"the header has {nz} partitions, but the samples have no kz: taken as 2D, {n_slices} slice(s)"
        )
    return Dimension(encodes, density, tuple((logging.WARNING, text) for text in notes))


def kz_varies(low: float, high: float, extent: float) -> bool:
    """Whether kz takes more than one value.

    Parameters
    ----------
    low, high
        Smallest and largest kz, in any unit.
    extent
        Of k-space in plane, in the same unit.
    """
    return high - low > _LEAST_KZ * extent


def _extent(trajectories: Sequence[NDArray[np.float32]]) -> float:
    """Largest position in plane."""
    return max((float(np.abs(t[:, :2]).max()) for t in trajectories), default=0.0)


def _is_density(third: Sequence[NDArray[np.float32]]) -> bool:
    return all(values.min() >= 0 and np.ptp(values) > 0 for values in third)

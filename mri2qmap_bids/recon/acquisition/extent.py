"""Size of a scan, from its headers alone."""

from dataclasses import dataclass

import numpy as np

from mri2qmap_bids.recon.acquisition.lines import ImageLines
from mri2qmap_bids.recon.acquisition.placement import place
from mri2qmap_bids.recon.acquisition.scan import RawScan


@dataclass(frozen=True)
class ScanExtent:
    """Grid, coils and samples of a scan."""

    matrix: tuple[int, int, int]
    """Voxels along (z, y, x)."""
    voxel_size: tuple[float, float, float]
    """Along (z, y, x) [m]."""
    encoded_fov: tuple[float, float, float]
    """Encoded field of view along (z, y, x) [m]."""
    is_3d: bool
    """Whether the scan is one volume."""
    n_coils: int
    """Receive coils."""
    n_samples: int
    """Samples of one coil in the largest slice, or in the volume."""
    readout_time: float = 0.0
    """Duration of the longest readout [s]; 0: not known."""


def extent_of(scan: RawScan) -> ScanExtent:
    """Size of a scan that has been read."""
    return ScanExtent(
        matrix=scan.geometry.matrix,
        voxel_size=scan.geometry.voxel_size,
        encoded_fov=scan.encoded_fov,
        is_3d=scan.is_3d,
        n_coils=len(scan.slices[0].kspace),
        n_samples=max(len(part.frame) for part in scan.slices),
        readout_time=max(
            (
                float(part.time.max() - part.time.min())
                for part in scan.slices
                if part.time is not None
            ),
            default=0.0,
        ),
    )


def extent_of_lines(lines: ImageLines) -> ScanExtent:
    """Size of a scan whose samples have not been read.

    Parameters
    ----------
    lines
        The image lines of the scan.

    Raises
    ------
    RawDataError
        If its slices are not on one grid.
    """
    geometry, _ = place(lines)
    return ScanExtent(
        matrix=geometry.matrix,
        voxel_size=geometry.voxel_size,
        encoded_fov=lines.header.encoded_fov[::-1],
        is_3d=lines.is_3d,
        n_coils=int(lines.heads["active_channels"][0]),
        n_samples=int(np.bincount(lines.slices, weights=lines.n_samples).max()),
        readout_time=float((lines.n_samples * lines.heads["sample_time_us"]).max()) * 1e-6,
    )

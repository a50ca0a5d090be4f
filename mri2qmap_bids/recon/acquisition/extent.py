"""Size of a scan, from its headers alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.errors import RawDataError
from mri2qmap_bids.recon.acquisition.geometry import Geometry
from mri2qmap_bids.recon.acquisition.header import ScanHeader, open_dataset, read_header
from mri2qmap_bids.recon.acquisition.placement import place
from mri2qmap_bids.recon.acquisition.raw import RawScan, ReadLayout, imaging_acquisitions


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


def extent_of(scan: RawScan) -> ScanExtent:
    """Size of a scan that has been read."""
    return ScanExtent(
        matrix=scan.geometry.matrix,
        voxel_size=scan.geometry.voxel_size,
        encoded_fov=scan.encoded_fov,
        is_3d=scan.is_3d,
        n_coils=len(scan.slices[0].kspace),
        n_samples=max(len(part.frame) for part in scan.slices),
    )


def read_geometry(path: Path, layout: ReadLayout) -> tuple[Geometry, bool]:
    """Grid of a scan on disk, and whether it is one volume.

    Parameters
    ----------
    path
        ISMRMRD file (HDF5).
    layout
        As for reading it.

    Raises
    ------
    RawDataError
        If the file is unreadable, has no imaging data, or its slices are not on one grid.
    """
    header, heads, is_3d = _heads(path, layout)
    return place(path, header, heads, is_3d)[0], is_3d


def read_extent(path: Path, layout: ReadLayout) -> ScanExtent:
    """Size of a scan on disk.

    Parameters
    ----------
    path
        ISMRMRD file (HDF5).
    layout
        As for reading it.

    Raises
    ------
    RawDataError
        If the file is unreadable or has no imaging data.
    """
    header, heads, is_3d = _heads(path, layout)
    kept = heads["number_of_samples"].astype(int) - heads["discard_pre"] - heads["discard_post"]
    slices = np.zeros(len(heads), int) if is_3d else heads["idx"]["slice"].astype(int)
    counts = np.bincount(slices, weights=kept)
    nx, ny, nz = header.recon_matrix
    n_slices = nz if is_3d else len(np.unique(slices))
    sizes = [f / n for f, n in zip(header.recon_fov, header.recon_matrix, strict=True)]
    fov = header.encoded_fov
    return ScanExtent(
        matrix=(n_slices, ny, nx),
        voxel_size=(sizes[2], sizes[1], sizes[0]),
        encoded_fov=(fov[2], fov[1], fov[0]),
        is_3d=is_3d,
        n_coils=int(heads["active_channels"][0]),
        n_samples=int(counts.max()),
    )


def _heads(path: Path, layout: ReadLayout) -> tuple[ScanHeader, NDArray[Any], bool]:
    """A file's header, the headers of its imaging acquisitions, and whether it is one volume."""
    header = read_header(path)
    file, group = open_dataset(path)
    with file:
        try:
            heads = imaging_acquisitions(group["data"].fields("head")[:])
        except (OSError, KeyError, ValueError) as error:
            raise RawDataError(f"{path}: must be a complete ISMRMRD file, got: {error}") from error
    if len(heads) == 0:
        raise RawDataError(f"{path}: must hold imaging acquisitions, got none")
    return header, heads, header.is_3d if layout.is_3d is None else layout.is_3d

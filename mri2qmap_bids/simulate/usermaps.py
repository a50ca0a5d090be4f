"""A digital brain from measured maps: T1, T2 and perhaps M0 in NIfTI files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.ndimage import map_coordinates

from mri2qmap_bids.dataset.volume_file import read_volume
from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.recon.acquisition.geometry import Geometry
from mri2qmap_bids.simulate.grid import offsets_in_voxel, voxel_centres
from mri2qmap_bids.simulate.phantom import (
    PURE,
    T1_RANGE,
    T2_RANGE,
    DigitalBrain,
    make_brain,
    smooth_phase,
)
from mri2qmap_bids.simulate.tissue import FLUID, GREY_MATTER, MIXED, WHITE_MATTER

T1_WINDOWS = {WHITE_MATTER: (0.6, 1.05), GREY_MATTER: (1.15, 1.8), FLUID: (2.5, 10.0)}
"""T1 of each tissue at 3 T [s], where no segmentation is given."""
_LEAST_TISSUE = 0.5


@dataclass(frozen=True)
class MapFiles:
    """Names of the files, all on one voxel grid."""

    t1: Path
    """T1 [s]."""
    t2: Path
    """T2 [s]."""
    m0: Path | None = None
    """M0, real or complex, any unit; None: one everywhere."""
    labels: Path | None = None
    """Segmentation, 1 grey matter, 2 white matter, 3 fluid; None: by windows of T1."""


@dataclass(frozen=True, eq=False)
class MeasuredMaps:
    """Measured maps on their own grid, axes (x, y, z)."""

    t1: NDArray[np.float32]
    """Longitudinal relaxation time [s]."""
    t2: NDArray[np.float32]
    """Transverse relaxation time [s]."""
    m0: NDArray[np.complex64]
    """Equilibrium magnetisation, median magnitude one."""
    labels: NDArray[np.uint8]
    """Pure tissues, else 4."""
    mask: NDArray[np.bool_]
    """Where T1, T2 and M0 are above zero."""
    affine: NDArray[np.float64]
    """Voxel indices to world, RAS+ [m]."""

    @property
    def centre(self) -> NDArray[np.float64]:
        """Middle of the mask's bounding box, RAS+ [m]."""
        corners = self._corners()
        centre: NDArray[np.float64] = (corners.min(axis=0) + corners.max(axis=0)) / 2
        return centre

    @property
    def extent(self) -> NDArray[np.float64]:
        """Edges of the mask's bounding box along the world's axes [m]."""
        extent: NDArray[np.float64] = np.ptp(self._corners(), axis=0)
        return extent

    def _corners(self) -> NDArray[np.float64]:
        voxels = np.argwhere(self.mask)
        box = np.array([voxels.min(axis=0), voxels.max(axis=0)])
        index = np.array(np.meshgrid(*box.T)).reshape(3, -1).T
        corners: NDArray[np.float64] = index @ self.affine[:3, :3].T + self.affine[:3, 3]
        return corners


def read_maps(files: MapFiles) -> MeasuredMaps:
    """Read measured maps.

    Parameters
    ----------
    files
        Their names.

    Raises
    ------
    UsageError
        If a file cannot be read, the shapes differ, T1, T2 or labels are complex, or T1 is not in seconds.
    """
    t1, affine = _volume(files.t1)
    t2 = _volume(files.t2, t1.shape)[0]
    m0 = np.ones_like(t1) if files.m0 is None else _volume(files.m0, t1.shape, None)[0]
    mask = (t1 > 0) & (t2 > 0) & (np.abs(m0) > 0) & np.isfinite(t1 + t2 + np.abs(m0))
    if not mask.any():
        raise UsageError(f"{files.t1}: must have voxels with T1, T2 and M0 above 0, got none")
    median = float(np.median(t1[mask]))
    if median > 10.0:
        raise UsageError(f"{files.t1}: must be in seconds, got a median of {median:g}")
    t1_seconds = np.clip(t1, *T1_RANGE)
    if files.labels is None:
        labels = _by_windows(t1_seconds)
    else:
        labels = np.rint(_volume(files.labels, t1.shape)[0])
        labels = np.where((labels >= 1) & (labels <= FLUID), labels, MIXED).astype(np.uint8)
    return MeasuredMaps(
        t1=t1_seconds,
        t2=np.clip(t2, *T2_RANGE),
        m0=(m0 / np.median(np.abs(m0[mask]))).astype(np.complex64),
        labels=labels,
        mask=mask,
        affine=np.diag([1e-3, 1e-3, 1e-3, 1.0]) @ affine,
    )


def from_maps(
    measured: MeasuredMaps, geometry: Geometry, seed: int, thickness: float | None = None
) -> DigitalBrain:
    """Measured maps on another grid.

    Rates R1 and R2, M0 and tissues are interpolated at points spread inside
    each voxel and averaged over those within the mask. A real M0 is given a
    smooth phase.

    Parameters
    ----------
    measured
        The maps.
    geometry
        The grid.
    seed
        Of the phase.
    thickness
        Slice thickness [m]; None: the distance between slices.

    Returns
    -------
    The brain.
    """
    mask = measured.mask.astype(np.float32)
    classes = [mask * (measured.labels == label) for label in (1, 2, 3)]
    volumes = [mask, mask / measured.t1, mask / measured.t2]
    volumes += [mask * measured.m0.real, mask * measured.m0.imag, *classes]
    part, rate1, rate2, real, imaginary, *pure = (
        mean.reshape(geometry.matrix)
        for mean in _voxel_means([np.nan_to_num(v) for v in volumes], measured, geometry, thickness)
    )
    inside = part > _LEAST_TISSUE
    safe = np.where(inside, part, 1.0)
    m0 = ((real + 1j * imaginary) / safe).astype(np.complex128)
    if not measured.m0.imag.any():
        m0 = m0 * smooth_phase(geometry, seed)
    labels = np.where(inside, MIXED, 0).astype(np.uint8)
    for label, fraction in enumerate(pure, start=1):
        labels[inside & (fraction > PURE)] = label
    t1, t2 = safe / np.where(inside, rate1, 1.0), safe / np.where(inside, rate2, 1.0)
    return make_brain(t1, t2, m0, labels, geometry.voxel_size)


def _voxel_means(
    volumes: list[NDArray[np.float32]],
    measured: MeasuredMaps,
    geometry: Geometry,
    thickness: float | None,
) -> list[NDArray[np.float64]]:
    """Mean of each volume over points in every voxel; 0 outside the volumes."""
    to_index = np.linalg.inv(measured.affine)
    start = voxel_centres(geometry) @ to_index[:3, :3].T + to_index[:3, 3]
    spacing = float(np.cbrt(abs(np.linalg.det(measured.affine[:3, :3]))))
    steps = offsets_in_voxel(geometry, thickness, spacing) @ to_index[:3, :3].T
    shape = np.array(measured.mask.shape)
    sums = np.zeros((len(volumes), len(start)))
    for step in steps:
        at = start + step
        inside = ((at >= -0.5) & (at <= shape - 0.5)).all(axis=1)
        for row, volume in enumerate(volumes):
            sums[row] += inside * map_coordinates(volume, at.T, order=1, mode="nearest")
    return list(sums / len(steps))


def _by_windows(t1: NDArray[Any]) -> NDArray[np.uint8]:
    """Tissue of each voxel by its T1."""
    labels = np.full(t1.shape, MIXED, dtype=np.uint8)
    for label, (low, high) in T1_WINDOWS.items():
        labels[(t1 >= low) & (t1 <= high)] = label
    return labels


def _volume(
    path: Path, shape: tuple[int, ...] | None = None, dtype: DTypeLike | None = np.float32
) -> tuple[NDArray[Any], NDArray[Any]]:
    """A 3D volume and its affine [mm]; ``dtype`` None: it may be complex."""
    image, values = read_volume(path, UsageError, dtype)
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or (shape is not None and values.shape != shape):
        rule = "three axes" if shape is None else f"shape {shape}"
        raise UsageError(f"{path}: must have {rule}, got shape {values.shape}")
    return values, image.affine

"""A B1 map on disk to the transmit field of an MRF scan's voxels."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.processing import resample_from_to
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from mri2qmap_bids.errors import SidecarError
from mri2qmap_bids.recon.acquisition.geometry import Geometry, affine
from mri2qmap_bids.recon.bounds import B1_MIDDLE

logger = logging.getLogger(__name__)

# What a B1 map in per cent has in the middle of its values, at any field strength.
_PLAUSIBLE = (100 * B1_MIDDLE.lower, 100 * B1_MIDDLE.upper)
# No voxel of a head is further from nominal.
_LIMITS = (0.3, 1.8)


@dataclass(frozen=True)
class FieldMap:
    """A B1 map of a participant."""

    path: Path
    """NIfTI file, per cent of the nominal flip angle."""
    uri: str
    """BIDS URI of it."""
    entities: Mapping[str, str]
    """Its BIDS entities by short key."""


def nearest(maps: Sequence[FieldMap], entities: Mapping[str, str]) -> FieldMap | None:
    """The B1 map for a run: of its session, else of the session next to it in order.

    Among several of one session the first by name whose acquisition label is the run's, else
    the first.

    Parameters
    ----------
    maps
        All maps of the participant.
    entities
        Of the run.
    """
    if not maps:
        return None
    own = entities.get("ses", "")
    sessions = sorted({own, *(found.entities.get("ses", "") for found in maps)})

    def distance(found: FieldMap) -> tuple[int, bool, str]:
        steps = abs(sessions.index(found.entities.get("ses", "")) - sessions.index(own))
        return steps, found.entities.get("acq") != entities.get("acq"), found.path.name

    chosen = min(maps, key=distance)
    if chosen.entities.get("ses", own) != own:
        logger.warning(
            "%s: B1 map of another session: %s",
            "_".join(f"{key}-{value}" for key, value in entities.items()),
            chosen.path.name,
        )
    return chosen


def read_transmit_field(path: Path, geometry: Geometry) -> NDArray[np.float32]:
    """The field at the centres of a scan's voxels, relative to nominal.

    Voxels of the map that are not positive and finite take the value of the nearest that is;
    beyond the map its edge goes on.

    Parameters
    ----------
    path
        NIfTI file, per cent of the nominal flip angle.
    geometry
        The scan's grid.

    Returns
    -------
    Axes (z, y, x).

    Raises
    ------
    SidecarError
        If it is no NIfTI file, not in per cent, or lies elsewhere.
    """
    try:
        image = nib.load(path)
        values = np.asarray(image.dataobj, np.float64)
    except (OSError, ValueError, EOFError, nib.filebasedimages.ImageFileError) as error:
        raise SidecarError(f"{path}: must be a complete NIfTI file, got: {error}") from error
    values = (
        values.reshape(values.shape[:3]) if values.size == np.prod(values.shape[:3]) else values
    )
    known = np.isfinite(values) & (values > 0)
    middle = float(np.median(values[known])) if known.any() else 0.0
    if values.ndim != 3 or not _PLAUSIBLE[0] <= middle <= _PLAUSIBLE[1]:
        raise SidecarError(
            f"{path}: must be one volume in per cent of the nominal flip angle (median "
            f"{_PLAUSIBLE[0]:g} to {_PLAUSIBLE[1]:g}), got {values.ndim} axes with a median of {middle:g}"
        )
    filled = values[
        tuple(distance_transform_edt(~known, return_distances=False, return_indices=True))
    ]
    grid = geometry.matrix[::-1], np.diag([1e3, 1e3, 1e3, 1.0]) @ affine(geometry)
    inside = resample_from_to(nib.Nifti1Image(np.ones(values.shape), image.affine), grid, order=0)
    covered = float(np.mean(np.asarray(inside.dataobj) > 0))
    if covered == 0:
        raise SidecarError(f"{path}: must cover the scan, got none of its voxels inside the map")
    if covered < 0.5:
        logger.warning("%s: covers only %.0f %% of the scan", path.name, 100 * covered)
    field = resample_from_to(nib.Nifti1Image(filled, image.affine), grid, order=1, mode="nearest")
    relative = np.asarray(field.dataobj).transpose(2, 1, 0) / 100
    return np.ascontiguousarray(relative.clip(*_LIMITS), np.float32)

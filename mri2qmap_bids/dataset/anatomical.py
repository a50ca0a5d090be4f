"""The T1w image of a participant that maps are registered to: which one, and what it must be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mri2qmap_bids.dataset.entities import in_counting_order
from mri2qmap_bids.dataset.fieldmap import check_placement
from mri2qmap_bids.dataset.registration import Volume
from mri2qmap_bids.dataset.volume_file import read_volume
from mri2qmap_bids.errors import SidecarError

# Of every axis of a scan: below these a rigid motion is not told reliably from the images.
_LEAST_EXTENT = 40.0  # [mm]
_LEAST_VOXELS = 8


@dataclass(frozen=True)
class AnatomicalImage:
    """A T1w image of a participant."""

    path: Path
    """NIfTI file."""
    uri: str
    """BIDS URI of it."""
    entities: Mapping[str, str]
    """Its BIDS entities by short key."""


def choose(
    images: Sequence[AnatomicalImage], entities: Mapping[str, str]
) -> AnatomicalImage | None:
    """The image for a run: the first by name of its session, else of any session.

    Phases and other parts of a complex image are left out, and so is what has been processed (``desc``, ``space``).

    Parameters
    ----------
    images
        All T1w images of the participant.
    entities
        Of the run.
    """
    usable = [
        image
        for image in images
        if image.entities.get("part", "mag") == "mag"
        and not {"desc", "space"} & set(image.entities)
    ]
    own = entities.get("ses")
    return min(
        usable,
        key=lambda image: (
            image.entities.get("ses") != own,
            in_counting_order(image.path.name),
        ),
        default=None,
    )


def read_t1w(path: Path) -> Volume:
    """Read a T1w image.

    Values that are not finite count as 0.

    Parameters
    ----------
    path
        NIfTI file of one volume.

    Raises
    ------
    SidecarError
        If it is no complete NIfTI file of one volume, does not say where it lies, or shows nothing.
    """
    image, values = read_volume(path, SidecarError, np.float64)
    if values.ndim != 3 or min(values.shape) < 4:
        raise SidecarError(
            f"{path}: must be one volume of at least 4 voxels along each axis, got shape {image.shape}"
        )
    check_placement(path, image)
    finite = np.nan_to_num(values, posinf=0.0, neginf=0.0).astype(np.float32)
    if not np.ptp(finite):
        raise SidecarError(f"{path}: must show a head, got the value {finite.flat[0]:g} everywhere")
    affine = np.diag([1e-3, 1e-3, 1e-3, 1.0]) @ image.affine
    return Volume(np.ascontiguousarray(finite.transpose(2, 1, 0)), affine)


def too_thin(shape: Sequence[int], voxel_size: Sequence[float]) -> str | None:
    """Why a scan is not registered: too few voxels, or too short, along an axis; None: it is.

    Parameters
    ----------
    shape
        Voxels along (z, y, x).
    voxel_size
        Along (z, y, x) [mm].
    """
    for n, size in zip(shape, voxel_size, strict=True):
        if n < _LEAST_VOXELS or n * size < _LEAST_EXTENT - 1e-6:
            return (
                f"a scan must have at least {_LEAST_VOXELS} voxels and {_LEAST_EXTENT:g} mm along each axis, got "
                f"{n} voxels over {n * size:.3g} mm"
            )
    return None

"""The transform from a run's maps to the participant's T1w image, as a file."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.atomic import write_json, write_text
from mri2qmap_bids.dataset.derivatives import MapDocument, relative_path
from mri2qmap_bids.dataset.placement import Placement
from mri2qmap_bids.dataset.registration import METRIC, RAS_TO_LPS

REGISTRATION = "MRFRegistration"
"""Key of the maps' sidecars that says where the transform is, and what was registered to what."""
T1W = "T1w"
"""Label of the space of the T1w image."""


def transform_path(entities: Mapping[str, str], extension: str = ".txt") -> Path:
    """Where the transform of a run lies below its dataset's root.

    >>> str(transform_path({"sub": "01", "ses": "a", "run": "1"}))
    'sub-01/ses-a/anat/sub-01_ses-a_run-1_from-MRF_to-T1w_mode-image_xfm.txt'
    """
    path = relative_path(entities, "xfm", extension)
    stem = path.name.removesuffix(f"_xfm{extension}")
    return path.with_name(f"{stem}_from-MRF_to-{T1W}_mode-image_xfm{extension}")


def describe_placement(
    placement: Placement | None, entities: Mapping[str, str], spaces: tuple[str, ...]
) -> dict[str, Any]:
    """What the maps' sidecars say of the registration, under :data:`REGISTRATION`; nothing without one."""
    if placement is None:
        return {}
    return {
        REGISTRATION: {
            "Transform": f"bids::{transform_path(entities)}",
            "Target": placement.uri,
            "OutputSpaces": [space for space in spaces if space == T1W],
            "Software": _software(),
        }
    }


def write_transform(
    placement: Placement,
    document: MapDocument,
    output_dir: Path,
) -> None:
    """Write the transform as ITK has it, and its sidecar.

    The transform takes points of the T1w image to points of the maps, LPS+ [mm]: given to ``antsApplyTransforms``,
    it brings an image on the grid of the maps onto the grid of the T1w image.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    registration, entities = placement.registration, document.entities
    write_text(output_dir / transform_path(entities), itk_text(registration.matrix))
    sidecar = {
        "Description": "Rigid transform from the maps of this run to the participant's T1w image: the synthetic T1w "
        "image was registered to it",
        "Type": "rigid",
        "Convention": "ITK transform file: points of T1w space to points of MRF space, LPS+ in mm. Resampling by it "
        "brings images on the grid of the maps onto that of the T1w image",
        "Sources": [
            f"bids::{relative_path(entities, T1W, desc='synthetic')}",
            placement.uri,
        ],
        "SpatialReference": placement.uri,
        "Software": _software(),
        "Metric": METRIC,
        "MetricValue": round(registration.mutual_information, 5),
        "Converged": registration.converged,
        "Rotation": round(float(np.rad2deg(registration.angle)), 4),
        "RotationUnits": "deg",
        "Displacement": round(1e3 * registration.distance, 4),
        "DisplacementUnits": "mm",
        "ShareInsideHead": round(registration.shared, 4),
        **document.every,
    }
    write_json(output_dir / transform_path(entities, ".json"), sidecar)


def itk_text(matrix: NDArray[np.float64]) -> str:
    """The ITK transform file that resamples along a motion.

    Parameters
    ----------
    matrix
        World coordinates before the motion to those after it, RAS+ [m], shape (4, 4); rigid.
    """
    back = RAS_TO_LPS @ np.linalg.inv(matrix) @ RAS_TO_LPS
    numbers = [*back[:3, :3].ravel(), *(1e3 * back[:3, 3])]
    return (
        "#Insight Transform File V1.0\n#Transform 0\n"
        "Transform: AffineTransform_double_3_3\n"
        f"Parameters: {' '.join(repr(float(number)) for number in numbers)}\n"
        "FixedParameters: 0 0 0\n"
    )


def _software() -> str:
    return f"SimpleITK {version('SimpleITK')}"

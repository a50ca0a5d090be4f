"""A run's place in the participant's T1w image."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.dataset.anatomical import read_t1w, too_thin
from mri2qmap_bids.dataset.registration import Registration, Volume, register
from mri2qmap_bids.errors import Mri2QmapError
from mri2qmap_bids.recon.physics.maps import QuantitativeMaps

logger = logging.getLogger(__name__)

# Beyond these a registration is likely wrong; chosen on simulated heads.
_LEAST_INFORMATION, _LEAST_SHARED, _MOST_TURNED = 0.3, 0.5, np.deg2rad(30)


@dataclass(frozen=True, eq=False)
class Placement:
    """A run's place in the participant's T1w image."""

    registration: Registration
    target: Volume
    """The T1w image."""
    uri: str
    """BIDS URI of it."""


def place_in_t1w(
    maps: QuantitativeMaps, synthetic: NDArray[np.float32], path: Path, uri: str
) -> Placement | None:
    """Register a run's synthetic T1w image to the participant's T1w image; the log says why not, if it is not done.

    Parameters
    ----------
    maps
        Of the run.
    synthetic
        T1w image of the maps, axes (z, y, x).
    path, uri
        The T1w image and its BIDS URI.
    """
    sizes = 1e3 * np.linalg.norm(maps.affine[:3, :3], axis=0)[::-1]
    thin = too_thin(maps.mask.shape, sizes.tolist())
    if thin is not None:
        logger.info("Not registered to %s: %s", path.name, thin)
        return None
    try:
        target = read_t1w(path)
        scan = Volume(np.where(maps.mask, synthetic, 0).astype(np.float32), maps.affine)
        registration = register(scan, maps.mask, target)
    except Mri2QmapError as error:
        logger.warning("Not registered to %s: %s", path.name, error)
        return None
    moved, turned = 1e3 * registration.distance, np.rad2deg(registration.angle)
    logger.info("Registered to %s: moved by %.1f mm, turned by %.1f deg", path.name, moved, turned)
    doubts = doubts_of(registration)
    if doubts:
        logger.warning(
            "The registration to %s may be wrong, look at it in the report: %s", path.name, doubts
        )
    return Placement(registration, target, uri)


def doubts_of(registration: Registration) -> str:
    """What is unusual of a registration; empty: nothing.

    Parameters
    ----------
    registration
        Little mutual information or overlap, a large rotation and a search without an end are unusual.
    """
    doubts = []
    if registration.mutual_information < _LEAST_INFORMATION:
        doubts.append(
            f"mutual information of {registration.mutual_information:.2f} (usually above "
            f"{_LEAST_INFORMATION:g})"
        )
    if registration.shared < _LEAST_SHARED:
        doubts.append(f"{registration.shared:.0%} of the scan inside the head")
    if registration.angle > _MOST_TURNED:
        doubts.append(f"turned by {np.rad2deg(registration.angle):.0f} deg")
    if not registration.converged:
        doubts.append("no convergence")
    return ", ".join(doubts)

"""Every image that a run's derivatives hold: one table for all who write, check, show or sum them up."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.recon.physics.maps import QuantitativeMaps

_DEVIATION = (
    "Standard deviation of the error of {}, from the measured noise by the Cramer-Rao bound, and for "
    "mri2qmap the error of its prior (one standard deviation)"
)


@dataclass(frozen=True)
class OutputMap:
    """One map and how it is got."""

    suffix: str
    """BIDS suffix."""
    desc: str | None
    """Entity desc; None: the quantity itself."""
    unit: str
    """As BIDS has it."""
    description: str
    """For the sidecar."""
    values: Callable[[QuantitativeMaps], NDArray[np.float32] | None]
    """From the reconstruction's maps, axes (z, y, x); None: this run has none."""

    @property
    def entities(self) -> dict[str, str]:
        """Further entities of its file name."""
        return {} if self.desc is None else {"desc": self.desc}


MAPS = (
    OutputMap(
        "T1map",
        None,
        "s",
        "Longitudinal relaxation time, from MR fingerprinting",
        lambda maps: maps.t1,
    ),
    OutputMap(
        "T2map",
        None,
        "s",
        "Transverse relaxation time, from MR fingerprinting",
        lambda maps: maps.t2,
    ),
    OutputMap(
        "M0map",
        None,
        "arbitrary",
        "Equilibrium magnetisation times receive sensitivity (magnitude), from MR fingerprinting",
        lambda maps: np.abs(maps.m0),
    ),
    OutputMap("T1map", "std", "s", _DEVIATION.format("T1map"), lambda maps: maps.t1_std),
    OutputMap("T2map", "std", "s", _DEVIATION.format("T2map"), lambda maps: maps.t2_std),
)
"""Maps, in the order in which they are written; the first is the one that others refer to."""
QUANTITIES = tuple(output for output in MAPS if output.desc is None)
"""Those of them that are quantities, not errors of quantities."""
SYNTHETIC = ("T1w", "T2w", "PDw", "FLAIR")
"""Suffixes of the synthetic weighted images, whose desc is ``synthetic``."""
MASK, MASK_DESC = "mask", "brain"
"""Suffix and desc of the voxels that have maps."""


def file_ends() -> tuple[tuple[str, str | None], ...]:
    """Suffix and desc of every image of a run."""
    return (
        *((output.suffix, output.desc) for output in MAPS),
        *((suffix, "synthetic") for suffix in SYNTHETIC),
        (MASK, MASK_DESC),
    )

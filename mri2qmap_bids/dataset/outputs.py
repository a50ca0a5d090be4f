"""Every image that a run's derivatives hold: one table for all who write, check, show or sum them up."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.dataset.tissue import TISSUES
from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.physics.maps import QuantitativeMaps

ENTRY_POINTS = "mri2qmap_bids.outputs"
"""Group of entry points by which other packages add maps: any name, and an :class:`OutputMap`."""
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
    source: str | None = None
    """Suffix of the one map of this package that it is computed from; None: from several, or from the scan."""

    @property
    def entities(self) -> dict[str, str]:
        """Further entities of its file name."""
        return {} if self.desc is None else {"desc": self.desc}


class FileEnd(NamedTuple):
    """End of the file name, which distinguishes the images of a run."""

    suffix: str
    """BIDS suffix."""
    desc: str | None = None
    """Entity desc."""
    label: str | None = None
    """Entity label."""

    @property
    def entities(self) -> dict[str, str]:
        """Further entities of its file name."""
        pairs = (("label", self.label), ("desc", self.desc))
        return {key: value for key, value in pairs if value is not None}

    @property
    def name(self) -> str:
        """As the file name has it.

        >>> FileEnd("T1map", "std").name
        'desc-std_T1map'
        """
        return "_".join([*(f"{key}-{value}" for key, value in self.entities.items()), self.suffix])


def _rate(time: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 / T [1/s]; 0 where T is 0."""
    return np.divide(1, time, out=np.zeros_like(time), where=time > 0)


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
    OutputMap(
        "R1map",
        None,
        "1/s",
        "Longitudinal relaxation rate, 1 / T1map",
        lambda maps: _rate(maps.t1),
        source="T1map",
    ),
    OutputMap(
        "R2map",
        None,
        "1/s",
        "Transverse relaxation rate, 1 / T2map",
        lambda maps: _rate(maps.t2),
        source="T2map",
    ),
)
"""This package's maps, in the order in which they are written; the first is the one that others refer to."""
EFFICIENCY = OutputMap(
    "IEmap",
    None,
    "1",
    "Efficiency of the inversion (1: complete, 0: saturation), from MR fingerprinting, the same within a window; "
    "no suffix of BIDS",
    lambda maps: maps.inversion_efficiency,
)
"""Only of runs in which it was estimated for every voxel."""
QUANTITIES = tuple(output for output in MAPS if output.desc is None and output.source is None)
"""Those of them that are quantities of the reconstruction, not their errors or computed from one of them."""
RATES = tuple(output for output in MAPS if output.source is not None)
"""Those of them that are computed from another one."""
SYNTHETIC = ("T1w", "T2w", "PDw", "FLAIR")
"""Suffixes of the synthetic weighted images, whose desc is ``synthetic``."""
MASK, MASK_DESC = "mask", "head"
"""Suffix and desc of the voxels that have maps."""
BRAIN_DESC = "brain"
"""Desc of the mask of the brain; in datasets of version 0.1.0, of the voxels that have maps."""
CLASSES, PROBABILITY = "dseg", "probseg"
"""Suffixes of the tissue classes and of the probability of each."""


@cache
def output_maps() -> tuple[OutputMap, ...]:
    """This package's maps, :data:`EFFICIENCY` last, then those of other packages.

    Raises
    ------
    ArgumentError
        If an entry point is not an :class:`OutputMap`, its suffix and desc are no words or those
        of another image, or its source is none of this package's maps.
    """
    outputs = [*MAPS, EFFICIENCY]
    ends: set[tuple[str, str | None]] = {
        (MASK, MASK_DESC),
        (MASK, BRAIN_DESC),
        (CLASSES, None),
        *((suffix, "synthetic") for suffix in SYNTHETIC),
    }
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name):
        output = entry.load()
        place = f"entry point {entry.name} of {ENTRY_POINTS}"
        if not isinstance(output, OutputMap):
            raise ArgumentError(f"{place} must be an OutputMap, got {output!r}")
        if not re.fullmatch("[A-Za-z0-9]+", output.suffix + (output.desc or "")):
            raise ArgumentError(
                f"{place} must have a suffix and desc of letters and digits, got {output.suffix!r} "
                f"and {output.desc!r}"
            )
        ends |= {(other.suffix, other.desc) for other in outputs}
        if (output.suffix, output.desc) in ends:
            raise ArgumentError(
                f"{place} must have a suffix and desc of its own, got {output.suffix}"
            )
        suffixes = [other.suffix for other in MAPS if other.source is None]
        if output.source is not None and output.source not in suffixes:
            raise ArgumentError(
                f"{place} must have a source among {', '.join(dict.fromkeys(suffixes))}, got {output.source!r}"
            )
        outputs.append(output)
    return tuple(outputs)


def further_maps() -> tuple[OutputMap, ...]:
    """The efficiency of the inversion and the maps of other packages: those that not every run has."""
    return output_maps()[len(MAPS) :]


def file_ends() -> tuple[FileEnd, ...]:
    """Every image of a run."""
    return (
        *(FileEnd(output.suffix, output.desc) for output in output_maps()),
        *(FileEnd(suffix, "synthetic") for suffix in SYNTHETIC),
        FileEnd(MASK, MASK_DESC),
        FileEnd(MASK, BRAIN_DESC),
        FileEnd(CLASSES),
        *(FileEnd(PROBABILITY, label=tissue) for tissue in TISSUES),
    )

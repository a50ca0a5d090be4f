"""What every source is converted to, before it is written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.recon.acquisition.scan import RawScan

LONGEST_READOUT = 65535
"""Most samples of an acquisition in an ISMRMRD file, which counts them with 16 bits."""


@dataclass(frozen=True)
class ConversionOptions:
    """Properties of a source that its file lacks, from the user."""

    frame_counter: str = "contrast"
    """Counter with the frame, by its ISMRMRD name; order: frames follow one another in the file."""
    n_frames: int | None = None
    """Number of frames T; None: as many as the source has."""
    matrix: tuple[int, ...] | None = None
    """Voxels along x, y[, z]; None: from the source."""
    fov: tuple[float, ...] | None = None
    """Field of view along x, y[, z] [m], in 2D with the thickness of a slice; None: from the source."""
    trajectory: Path | None = None
    """File with the positions of the samples; None: those of the source, or Cartesian lines."""
    pulseq: Path | None = None
    """Pulseq file that was played: its positions, frames and pulse sequence; None: there is none."""
    trajectory_units: str | None = None
    """Their unit."""
    line_counter: str = "kspace_encode_step_1"
    """Counter with the number of a Cartesian line; order: lines of a frame follow one another."""
    reverse_k: bool | None = None
    """Whether positions count against the file's directions; None: as the source's convention has it."""


@dataclass(frozen=True, eq=False)
class Conversion:
    """A scan and its metadata, without names of persons and dates."""

    scan: RawScan
    """Samples, positions, noise and grid; noise has the bandwidth of the scan."""
    readout_lengths: tuple[NDArray[np.int64], ...]
    """Samples of each readout of each slice, in the order of the samples."""
    coil_names: tuple[str, ...] = ()
    """One for each receive coil; empty: unknown."""
    dwell_time: float = 0.0
    """Time between samples [s]; 0: unknown."""
    is_cartesian: bool = False
    """Whether all readouts are parallel lines."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the sidecar that are in the source, in the units of BIDS."""
    train: Mapping[str, Any] = field(default_factory=dict)
    """The same of flip angles and times, for the file's header: any sidecar of the dataset outweighs them."""

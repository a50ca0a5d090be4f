"""Readouts of a raw file as a Pulseq file played them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.convert.conversion import ConversionOptions
from mri2qmap_bids.convert.pulseq import PulseqScan, match_readouts
from mri2qmap_bids.convert.readouts import Readouts
from mri2qmap_bids.recon.acquisition.trajectory import TrajectoryUnits


@dataclass(frozen=True, eq=False)
class PlayedReadouts:
    """Imaging readouts with frames and positions, and noise."""

    readouts: Readouts
    """Those after an excitation."""
    places: NDArray[np.int64]
    """Their places among all readouts, shape (readout,)."""
    frame: NDArray[np.int64]
    """Of each, shape (readout,)."""
    positions: list[NDArray[np.float32]]
    """[1/m] of each, shape (sample, dim)."""
    noise: list[NDArray[np.complex64]]
    """Samples before the first excitation, shape (coil, sample) each."""


def as_played(scan: PulseqScan, readouts: Readouts, path: Path) -> PlayedReadouts:
    """Imaging readouts and noise of a raw file by its Pulseq file.

    Parameters
    ----------
    scan
        From :func:`mri2qmap_bids.convert.pulseq.read_pulseq_scan`.
    readouts
        All readouts, samples in the order of time.
    path
        The raw file, for messages.

    Raises
    ------
    RawDataError
        If the raw file has other readouts.
    """
    numbers = match_readouts(scan, [part.shape[1] for part in readouts.samples], path)
    frame = scan.frame[numbers]
    places = np.flatnonzero(frame >= 0)
    return PlayedReadouts(
        readouts=_some(readouts, places),
        places=places,
        frame=frame[places],
        positions=[scan.positions[number] for number in numbers[places].tolist()],
        noise=[readouts.samples[place] for place in np.flatnonzero(frame < 0).tolist()],
    )


def with_pulseq(options: ConversionOptions, scan: PulseqScan) -> ConversionOptions:
    """Options with the file's matrix and field of view where the user gave none."""
    return replace(
        options,
        matrix=options.matrix or scan.matrix,
        fov=options.fov or scan.fov,
        trajectory_units=str(TrajectoryUnits.PER_METRE),
    )


def _some(readouts: Readouts, places: NDArray[np.int64]) -> Readouts:
    def some(values: Sequence[object]) -> list[object]:
        return [values[place] for place in places.tolist()]

    return Readouts(
        samples=some(readouts.samples),  # type: ignore[arg-type]
        counters={name: values[places] for name, values in readouts.counters.items()},
        heads=some(readouts.heads),  # type: ignore[arg-type]
    )

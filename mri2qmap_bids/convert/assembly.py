"""A conversion from readouts whose frames and positions are known."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.convert.conversion import Conversion
from mri2qmap_bids.convert.positions import Placement
from mri2qmap_bids.convert.readouts import assemble


def conversion_of(
    path: Path,
    placement: Placement,
    frame: NDArray[np.int64],
    noise: Sequence[NDArray[np.complex64]],
    *,
    reverse: bool,
    dwell_time: float,
    is_cartesian: bool,
    coil_names: tuple[str, ...],
    metadata: Mapping[str, Any],
) -> Conversion:
    """The scan of placed readouts, and its metadata with ``DwellTime``.

    Parameters
    ----------
    path
        The source, for messages.
    placement
        Readouts and their positions.
    frame
        Of each readout, shape (readout,).
    noise
        Samples without signal with the bandwidth of the scan, shape (coil, sample) each.
    reverse
        Whether the positions are against the directions of the readouts: they are negated.
    dwell_time
        Time between samples [s]; 0: unknown.
    is_cartesian
        Whether all readouts are parallel lines.
    coil_names
        One for each receive coil; empty: unknown.
    metadata
        Keys of the sidecar, of which a ``DwellTime`` takes precedence.

    Raises
    ------
    RawDataError
        If slices do not lie on one grid, have no readouts in some frame, or a sample is not finite.
    """
    scan, lengths = assemble(
        path,
        placement.readouts,
        [-part for part in placement.positions] if reverse else placement.positions,
        frame,
        placement.header,
        np.concatenate(noise, axis=1) if noise else None,
    )
    return Conversion(
        scan=scan,
        readout_lengths=lengths,
        coil_names=coil_names,
        dwell_time=dwell_time,
        is_cartesian=is_cartesian,
        metadata={**({"DwellTime": dwell_time} if dwell_time else {}), **metadata},
    )

"""The off-resonance of a scan: its slices, its span, and what it does to balanced sequences."""

import logging

import numpy as np
import torch
from numpy.typing import NDArray

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.acquisition.geometry import Geometry
from mri2qmap_bids.recon.acquisition.scan import RawScan
from mri2qmap_bids.recon.bound import check
from mri2qmap_bids.recon.bounds import OFF_RESONANCE
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence

logger = logging.getLogger(__name__)

# Pass band of a balanced sequence, as a share of the distance 1 / TR between its dark bands.
_PASS_BAND = 2 / 3


def frequency_of_slices(
    b0: NDArray[np.float32] | None, geometry: Geometry, scan: RawScan, device: torch.device
) -> list[torch.Tensor | None]:
    """The off-resonance frequency [Hz] of every slice, or of the volume; None where there is none.

    Parameters
    ----------
    b0
        On the grid, axes (z, y, x) [Hz]; None: not known.
    geometry
        The grid.
    scan
        Its samples must have times.
    device
        Where to compute.

    Raises
    ------
    ArgumentError
        If the field has another shape, is not finite or beyond its bounds, or the samples have no times.
    """
    if b0 is None:
        return [None] * (1 if scan.is_3d else geometry.matrix[0])
    b0 = np.asarray(b0)
    if b0.shape != geometry.matrix or not np.isfinite(b0).all():
        raise ArgumentError(f"b0 must be finite of shape {geometry.matrix}, got {b0.shape}")
    check(OFF_RESONANCE, b0, "b0 (off-resonance, Hz)")
    if any(part.time is None for part in scan.slices):
        raise ArgumentError("time must be known of every sample to correct off-resonance, got none")
    if not b0.any():
        return [None] * (1 if scan.is_3d else geometry.matrix[0])
    field = torch.from_numpy(b0.astype(np.float32)).to(device)
    return [field] if scan.is_3d else list(field)


def span_of(b0: NDArray[np.float32] | None) -> float:
    """Difference between the largest and the least frequency [Hz]; 0 without a field."""
    return 0.0 if b0 is None else float(np.ptp(b0))


def warn_of_bands(sequence: PulseSequence, b0: NDArray[np.float32] | None) -> None:
    """Say where off-resonance changes more than the encoding corrects.

    With echo times that differ between frames, so does the phase at the echo, which is not in the model.
    Off-resonance also changes the fingerprints of a balanced sequence: the dark bands lie at
    f = (n + 1/2) / TR for alternating RF phase, and voxels nearer to one than a sixth of 1 / TR are
    outside the pass band.
    """
    if b0 is not None and np.ptp(sequence.echo_time) > 0:
        logger.warning(
            "Echo times differ between frames: the phase of off-resonance at the echo is not in the model"
        )
    if sequence.kind != "bSSFP":
        return
    if b0 is None:
        logger.warning(
            "bSSFP: off-resonance changes the fingerprints and is not in the model; without a B0 map it is not "
            "known where"
        )
        return
    spacing = 1 / float(np.mean(sequence.repetition_time))
    distance = np.abs(np.remainder(b0 + spacing / 2, spacing) - spacing / 2)
    outside = float(np.mean(distance > _PASS_BAND * spacing / 2))
    logger.warning(
        "bSSFP: off-resonance changes the fingerprints and is not in the model; %.0f %% of the voxels are outside "
        "the pass band of %.0f Hz about a multiple of %.0f Hz",
        100 * outside,
        _PASS_BAND * spacing / 2,
        spacing,
    )

"""A run's JSON sidecar: the pulse sequence and how to read the file."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids import __version__
from mri2qmap_bids.dataset.sequence_keys import events_keys
from mri2qmap_bids.recon.physics.event_sequence import EventSequence
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence, default_rf_phase
from mri2qmap_bids.simulate.rawfile import (
    FIELD_STRENGTH,
    LARMOR_FREQUENCY,
    RawFileOptions,
)
from mri2qmap_bids.simulate.trajectory import Trajectory


def make_sidecar(
    sequence: PulseSequence, trajectory: Trajectory, n_coils: int, options: RawFileOptions
) -> dict[str, Any]:
    """Keys of a run's sidecar, times in s and angles in degrees.

    Trains have one value per frame, or are a number if all are the same;
    ``FlipAngle`` always has one per frame. What is made of events is given by them.

    Parameters
    ----------
    sequence
        The train.
    trajectory
        What was read.
    n_coils
        Number of receive coils.
    options
        How the file was written.

    Returns
    -------
    The content of the JSON file.
    """
    n_arms, n_samples, n_dims = trajectory.positions.shape[1:]
    keys: dict[str, Any] = {
        "Manufacturer": "mri2qmap-simulate",
        "SoftwareVersions": __version__,
        "MagneticFieldStrength": FIELD_STRENGTH,
        "ImagingFrequency": LARMOR_FREQUENCY * 1e-6,
        "MRAcquisitionType": f"{n_dims}D",
        "PulseSequenceType": sequence.kind,
        **_sequence_keys(sequence),
        "MRFFrameCounter": options.frame_counter,
        "MRFTrajectoryUnits": options.trajectory_units,
        "NonlinearGradientCorrection": False,
        "NumberShots": n_arms,
        "DwellTime": options.dwell_time,
        "NumberReceiveCoilActiveElements": n_coils,
        "MRFTrajectory": trajectory.kind,
        "MRFSamplesPerReadout": n_samples,
        "MRFAcceleration": round(trajectory.n_full_arms / n_arms, 3),
    }
    return keys


def _sequence_keys(sequence: PulseSequence) -> dict[str, Any]:
    """The pulse sequence: its trains, or its events where it is made of them."""
    if isinstance(sequence, EventSequence):
        return events_keys(sequence)
    keys: dict[str, Any] = {
        "FlipAngle": [round(float(angle), 6) for angle in np.rad2deg(sequence.flip_angle)],
        "RepetitionTimeExcitation": _scalar_or_list(sequence.repetition_time),
        "EchoTime": _scalar_or_list(sequence.echo_time),
        **_preparation(sequence),
    }
    if not np.allclose(sequence.rf_phase, default_rf_phase(sequence.kind, sequence.n_frames)):
        keys["RFPhase"] = _scalar_or_list(np.rad2deg(sequence.rf_phase))
    if sequence.slice_profile:
        keys["SliceProfile"] = list(sequence.slice_profile)
    return keys


def _preparation(sequence: PulseSequence) -> dict[str, float]:
    """Inversion and repetition of the train, where there are any."""
    keys: dict[str, float] = {}
    if sequence.inversion_time is not None:
        keys["InversionTime"] = sequence.inversion_time
    if sequence.inversion_efficiency != 1.0:
        keys["InversionEfficiency"] = sequence.inversion_efficiency
    if sequence.preparation_time is not None:
        keys["RepetitionTimePreparation"] = sequence.preparation_time
    return keys


def _scalar_or_list(values: NDArray[np.float64]) -> float | list[float]:
    """A number if all values are the same, else all of them."""
    rounded = [round(float(value), 9) for value in values]
    return rounded[0] if len(set(rounded)) == 1 else rounded

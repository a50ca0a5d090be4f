"""Trains of spoiled gradient echoes, each after an inversion or a T2 preparation."""

import numpy as np

from mri2qmap_bids.recon.physics.event_sequence import EventSequence
from mri2qmap_bids.recon.physics.sequences.base import (
    ECHO_TIME,
    FLIP_ANGLE,
    INVERSION_EFFICIENCY,
    INVERSION_TIMES,
    PREPARATION_TIME,
    REPETITION_TIME,
    SLICE_PROFILE,
    SequenceType,
)
from mri2qmap_bids.recon.physics.sequences.modules import Train, quadratic_phase
from mri2qmap_bids.recon.physics.sequences.qti import RECOVERY_TIME, T2_PREPARATION_TIME, qti
from mri2qmap_bids.recon.physics.sequences.spoiled_gradient_echo import SPOILING_INCREMENT


def prepared_gradient_echo(
    flip_angle: Train,
    repetition_time: Train,
    echo_time: Train,
    inversion_time: Train = 0.0,
    t2_preparation_time: Train = 0.0,
    recovery_time: Train = 0.0,
    inversion_efficiency: float = 1.0,
    preparation_time: float | None = None,
    slice_profile: tuple[float, ...] = (),
) -> EventSequence:
    """Spoiled gradient echoes in segments; the frame that begins one has a preparation before it.

        RF         inv       a  a  a  a            90 180 -90  a  a  a  a
        gradient              s  s  s  s                    s   s  s  s  s
        readout               R0 R1 R2 R3                       R4 R5 R6 R7
        time      |<- TI ->|              |recovery|<-T2 prep->|

    Parameters
    ----------
    flip_angle, repetition_time, echo_time
        As of :func:`~mri2qmap_bids.recon.physics.sequences.spoiled_gradient_echo.spoiled_gradient_echo`.
    inversion_time, t2_preparation_time, recovery_time
        Of the preparation before each frame [s], one per frame; 0: none.
    inversion_efficiency, preparation_time, slice_profile
        As in :class:`~mri2qmap_bids.recon.physics.pulse_sequence.PulseSequence`.

    Raises
    ------
    ValueError
        If the times do not fit into one another, or the numbers of values differ.

    References
    ----------
    Kvernby et al., Simultaneous three-dimensional myocardial T1 and T2 mapping (2014),
    doi:10.1186/s12968-014-0102-0.
    """
    trains = (flip_angle, repetition_time, echo_time, inversion_time, t2_preparation_time)
    n_frames = max(np.size(train) for train in (*trains, recovery_time))
    return qti(
        flip_angle,
        repetition_time,
        echo_time,
        quadratic_phase(SPOILING_INCREMENT, n_frames),
        recovery_time=recovery_time,
        inversion_time=inversion_time,
        t2_preparation_time=t2_preparation_time,
        inversion_efficiency=inversion_efficiency,
        preparation_time=preparation_time,
        slice_profile=slice_profile,
        kind="PreparedGradientEcho",
    )


PREPARED_GRADIENT_ECHO = SequenceType(
    name="PreparedGradientEcho",
    phrase="a train of spoiled gradient echoes with inversion and T2 preparation",
    build=prepared_gradient_echo,
    parameters=(
        FLIP_ANGLE,
        REPETITION_TIME,
        ECHO_TIME,
        INVERSION_TIMES,
        T2_PREPARATION_TIME,
        RECOVERY_TIME,
        INVERSION_EFFICIENCY,
        PREPARATION_TIME,
        SLICE_PROFILE,
    ),
)

"""Spoiled gradient echo."""

import numpy as np

from mri2qmap_bids.recon.bounds import PHASE_INCREMENT
from mri2qmap_bids.recon.physics.event_sequence import EventSequence, event_sequence
from mri2qmap_bids.recon.physics.events import Event
from mri2qmap_bids.recon.physics.sequences.base import (
    ECHO_TIME,
    FLIP_ANGLE,
    INVERSION_EFFICIENCY,
    INVERSION_TIME,
    PREPARATION_TIME,
    REPETITION_TIME,
    SLICE_PROFILE,
    SequenceType,
    within,
)
from mri2qmap_bids.recon.physics.sequences.modules import (
    Train,
    gradient_echo,
    inversion,
    per_frame,
    quadratic_phase,
)

SPOILING_INCREMENT = float(np.deg2rad(117))
"""Usual increment of the phase difference between pulses [rad]."""


def spoiled_gradient_echo(
    flip_angle: Train,
    repetition_time: Train,
    echo_time: Train,
    spoiling_rf_phase_increment: float = SPOILING_INCREMENT,
    inversion_time: float | None = None,
    inversion_efficiency: float = 1.0,
    preparation_time: float | None = None,
    slice_profile: tuple[float, ...] = (),
    kind: str = "SpoiledGradientEcho",
) -> EventSequence:
    """Spoiled gradient echo: gradients and pulses of quadratic phase spoil transverse magnetisation.

        RF       [inv]        a0 <0>               a1 <d>               a2 <3d>
        gradient                       1 cycle              1 cycle
        readout                     R0                   R1
        time     |<--- TI --->|<-TE->|             |<-TE->|
                              |<------- TR ------->|<------- TR ------->|

    Pulse n has the phase d n (n + 1) / 2, and the receiver too.

    Parameters
    ----------
    flip_angle
        Of the excitations [rad], one per frame or one for all.
    repetition_time, echo_time
        From each excitation [s], one per frame or one for all.
    spoiling_rf_phase_increment
        d [rad].
    inversion_time
        Delay from an inversion to frame 0 [s]; None: no inversion.
    inversion_efficiency, preparation_time, slice_profile
        As in :class:`~mri2qmap_bids.recon.physics.pulse_sequence.PulseSequence`.
    kind
        Name of its type.

    Raises
    ------
    ValueError
        If the times do not fit into one another, or the numbers of values differ.

    References
    ----------
    Zur et al., Spoiling of transverse magnetization (1991), doi:10.1002/mrm.1910210210.
    """
    frames = list(
        per_frame(flip_angle=flip_angle, repetition_time=repetition_time, echo_time=echo_time)
    )
    phases = quadratic_phase(spoiling_rf_phase_increment, len(frames)).tolist()
    events: list[Event] = [] if inversion_time is None else inversion(inversion_time)
    for frame, phase in zip(frames, phases, strict=True):
        events += gradient_echo(**frame, rf_phase=phase)
    return event_sequence(kind, events, inversion_efficiency, preparation_time, slice_profile)


SPOILED_GRADIENT_ECHO = SequenceType(
    name="SpoiledGradientEcho",
    phrase="a spoiled gradient echo",
    build=spoiled_gradient_echo,
    parameters=(
        FLIP_ANGLE,
        REPETITION_TIME,
        ECHO_TIME,
        within("spoiling_rf_phase_increment", PHASE_INCREMENT, "number"),
        INVERSION_TIME,
        INVERSION_EFFICIENCY,
        PREPARATION_TIME,
        SLICE_PROFILE,
    ),
    aliases=("SPGR", "FLASH"),
)

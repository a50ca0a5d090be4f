"""Spin echo, one echo per excitation, with or without inversion."""

import numpy as np

from mri2qmap_bids.recon.bounds import PULSE_ANGLE
from mri2qmap_bids.recon.physics.event_sequence import EventSequence, event_sequence
from mri2qmap_bids.recon.physics.events import Crusher, Event, Readout, RFPulse, duration_of
from mri2qmap_bids.recon.physics.sequences.base import (
    ECHO_TIME,
    INVERSION_EFFICIENCY,
    INVERSION_TIMES,
    LONG_REPETITION_TIME,
    NUMBER_DUMMIES,
    REFOCUSING_ANGLE,
    SLICE_PROFILE,
    SequenceType,
    within,
)
from mri2qmap_bids.recon.physics.sequences.modules import (
    Train,
    inversion,
    per_frame,
    refocusing,
    rest,
)


def spin_echo(
    echo_time: Train,
    repetition_time: Train,
    inversion_time: Train = 0.0,
    flip_angle: Train = np.pi / 2,
    refocusing_angle: Train = np.pi,
    inversion_efficiency: float = 1.0,
    number_dummies: int = 3,
    slice_profile: tuple[float, ...] = (),
) -> EventSequence:
    """Single-echo spin echo; every frame is a scan of its own, in its own steady state.

        RF        [inv]         90 <x>     180 <y>                            [inv]
        gradient                        crush   crush              spoil
        readout                                           R
        time      |<--- TI --->|<- TE/2 ->|<-- TE/2 -->|
                  |<------------------------ TR ------------------------->|

    S = M0 exp(-TE / T2) times the Mz before the excitation. The repetition is played
    ``number_dummies`` times before it is read. After the echo, transverse magnetisation is lost.

    Parameters
    ----------
    echo_time
        From the excitation [s], one per frame or one for all.
    repetition_time
        From one repetition to the next, inversion time included [s], one per frame or one for all.
    inversion_time
        Delay from an inversion to the excitation [s], one per frame or one for all; 0: no inversion.
    flip_angle, refocusing_angle
        Of the two pulses [rad], one per frame or one for all.
    inversion_efficiency, slice_profile
        As in :class:`~mri2qmap_bids.recon.physics.pulse_sequence.PulseSequence`.
    number_dummies
        Repetitions of each frame that are not read.

    Raises
    ------
    ValueError
        If the times do not fit into one another, or the numbers of values differ.
    """
    events: list[Event] = []
    for frame in per_frame(
        echo_time=echo_time,
        repetition_time=repetition_time,
        inversion_time=inversion_time,
        flip_angle=flip_angle,
        refocusing_angle=refocusing_angle,
    ):
        repetition = [
            *(inversion(frame["inversion_time"]) if frame["inversion_time"] else []),
            RFPulse(frame["flip_angle"]),
            *refocusing(frame["echo_time"], frame["refocusing_angle"]),
            Readout(),
            Crusher(),
        ]
        repetition.append(
            rest("repetition_time", frame["repetition_time"], duration_of(repetition))
        )
        dummy = [event for event in repetition if not isinstance(event, Readout)]
        events += [*dummy * number_dummies, *repetition]
    return event_sequence("SpinEcho", events, inversion_efficiency, slice_profile=slice_profile)


SPIN_ECHO = SequenceType(
    name="SpinEcho",
    phrase="a spin echo",
    build=spin_echo,
    parameters=(
        ECHO_TIME,
        LONG_REPETITION_TIME,
        INVERSION_TIMES,
        within("flip_angle", PULSE_ANGLE),
        REFOCUSING_ANGLE,
        INVERSION_EFFICIENCY,
        NUMBER_DUMMIES,
        SLICE_PROFILE,
    ),
    aliases=("SE", "InversionRecoverySpinEcho", "IRSE"),
)

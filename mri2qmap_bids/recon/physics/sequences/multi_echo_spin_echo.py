"""Multi-echo spin echo: a train of echoes after one excitation."""

import numpy as np

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.bounds import PULSE_ANGLE, SPIN_ECHO_REPETITION
from mri2qmap_bids.recon.physics.event_sequence import EventSequence, event_sequence
from mri2qmap_bids.recon.physics.events import Crusher, Event, Readout, RFPulse, duration_of
from mri2qmap_bids.recon.physics.sequences.base import (
    ECHO_TIME,
    INVERSION_EFFICIENCY,
    INVERSION_TIME,
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


def multi_echo_spin_echo(
    echo_time: Train,
    repetition_time: float,
    inversion_time: float | None = None,
    flip_angle: float = np.pi / 2,
    refocusing_angle: Train = np.pi,
    inversion_efficiency: float = 1.0,
    number_dummies: int = 3,
    slice_profile: tuple[float, ...] = (),
) -> EventSequence:
    """Multi-echo spin echo (CPMG): frame n is echo n; stimulated echoes of imperfect pulses count.

        RF        [inv]         90 <x>    b0 <y>          b1 <y>          b2 <y>
        gradient                       cr    cr        cr    cr        cr    cr     spoil
        readout                                   R0              R1              R2
        time      |<--- TI --->|<----- TE0 ----->|<- TE1 - TE0 ->|
                  |<--------------------------- TR --------------------------->|

    Each refocusing pulse b lies halfway between two echoes.

    Parameters
    ----------
    echo_time
        From the excitation [s], rising, one per frame.
    repetition_time
        From one train to the next, inversion time included [s].
    inversion_time
        Delay from an inversion to the excitation [s]; None: no inversion.
    flip_angle
        Of the excitation [rad].
    refocusing_angle
        Of the refocusing pulses [rad], one per frame or one for all.
    inversion_efficiency, slice_profile
        As in :class:`~mri2qmap_bids.recon.physics.pulse_sequence.PulseSequence`.
    number_dummies
        Trains that are played before the one that is read, for the steady state.

    Raises
    ------
    ArgumentError
        If echo times do not rise, or exceed the repetition time, or the numbers of values differ.

    References
    ----------
    Hennig, Echoes: how to generate, recognize, use or avoid them (1991), doi:10.1002/cmr.1820030302.
    """
    train: list[Event] = [] if inversion_time is None else inversion(inversion_time)
    train.append(RFPulse(flip_angle))
    last = 0.0
    for frame in per_frame(echo_time=echo_time, refocusing_angle=refocusing_angle):
        interval = frame["echo_time"] - last
        if interval <= 0:
            raise ArgumentError(f"echo_time must rise from above 0, got {frame['echo_time']:g}")
        train += [*refocusing(interval, frame["refocusing_angle"]), Readout()]
        last = frame["echo_time"]
    train.append(Crusher())
    train.append(rest("repetition_time", repetition_time, duration_of(train)))
    dummy = [event for event in train if not isinstance(event, Readout)]
    return event_sequence(
        "MultiEchoSpinEcho",
        [*dummy * number_dummies, *train],
        inversion_efficiency,
        slice_profile=slice_profile,
    )


MULTI_ECHO_SPIN_ECHO = SequenceType(
    name="MultiEchoSpinEcho",
    phrase="a multi-echo spin echo",
    build=multi_echo_spin_echo,
    parameters=(
        ECHO_TIME,
        within("repetition_time", SPIN_ECHO_REPETITION, "number", required=True),
        INVERSION_TIME,
        within("flip_angle", PULSE_ANGLE, "number"),
        REFOCUSING_ANGLE,
        INVERSION_EFFICIENCY,
        NUMBER_DUMMIES,
        SLICE_PROFILE,
    ),
    aliases=("MESE", "CPMG"),
)

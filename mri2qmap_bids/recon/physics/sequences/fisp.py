"""Gradient-spoiled steady-state free precession."""

import numpy as np

from mri2qmap_bids.recon.physics.events import Event
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence
from mri2qmap_bids.recon.physics.sequences.base import SequenceType
from mri2qmap_bids.recon.physics.sequences.modules import Train, gradient_echo, inversion, per_frame


def fisp(
    flip_angle: Train,
    repetition_time: Train,
    echo_time: Train,
    rf_phase: Train = 0.0,
    inversion_time: float | None = None,
    inversion_efficiency: float = 1.0,
    preparation_time: float | None = None,
    slice_profile: tuple[float, ...] = (),
) -> PulseSequence:
    """FISP: every readout is followed by one cycle of spoiling, which later pulses refocus in part.

        RF       [inv]        a0 <p0>              a1 <p1>              a2
        gradient                       1 cycle              1 cycle
        readout                     R0                   R1
        time     |<--- TI --->|<-TE->|             |<-TE->|
                              |<------- TR ------->|<------- TR ------->|

    Parameters
    ----------
    flip_angle, rf_phase
        Of the excitations [rad], one per frame or one for all; the receiver follows the phase.
    repetition_time, echo_time
        From each excitation [s], one per frame or one for all.
    inversion_time
        Delay from an inversion to frame 0 [s]; None: no inversion.
    inversion_efficiency, preparation_time, slice_profile
        As in :class:`PulseSequence`.

    Raises
    ------
    ValueError
        If the numbers of values differ.

    References
    ----------
    Jiang et al., MR fingerprinting using FISP (2015), doi:10.1002/mrm.25559.
    """
    trains = list(
        per_frame(
            flip_angle=flip_angle,
            repetition_time=repetition_time,
            echo_time=echo_time,
            rf_phase=rf_phase,
        )
    )
    return PulseSequence(
        kind="FISP",
        **{name: np.array([frame[name] for frame in trains]) for name in trains[0]},
        inversion_time=inversion_time,
        inversion_efficiency=inversion_efficiency,
        preparation_time=preparation_time,
        slice_profile=slice_profile,
    )


def train_events(sequence: PulseSequence, spoiling_cycles: int) -> tuple[Event, ...]:
    """An inversion, where there is one, and a gradient echo in every frame."""
    events: list[Event] = []
    if sequence.inversion_time is not None:
        events += inversion(sequence.inversion_time)
    for flip_angle, phase, repetition_time, echo_time in zip(
        sequence.flip_angle.tolist(),
        sequence.rf_phase.tolist(),
        sequence.repetition_time.tolist(),
        sequence.echo_time.tolist(),
        strict=True,
    ):
        events += gradient_echo(flip_angle, repetition_time, echo_time, phase, spoiling_cycles)
    return tuple(events)


FISP = SequenceType(
    name="FISP",
    phrase="gradient-spoiled (FISP) [@jiang2015]",
    build=fisp,
    events=lambda sequence: train_events(sequence, spoiling_cycles=1),
)

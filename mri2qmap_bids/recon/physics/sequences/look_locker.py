"""Look-Locker: many readouts of one recovery."""

from mri2qmap_bids.recon.bounds import EVENT_INVERSION_TIME
from mri2qmap_bids.recon.physics.event_sequence import EventSequence
from mri2qmap_bids.recon.physics.sequences.base import (
    ECHO_TIME,
    FLIP_ANGLE,
    INVERSION_EFFICIENCY,
    PREPARATION_TIME,
    REPETITION_TIME,
    SLICE_PROFILE,
    SequenceType,
    within,
)
from mri2qmap_bids.recon.physics.sequences.modules import Train
from mri2qmap_bids.recon.physics.sequences.spoiled_gradient_echo import spoiled_gradient_echo


def look_locker(
    flip_angle: Train,
    repetition_time: Train,
    echo_time: Train,
    inversion_time: float,
    inversion_efficiency: float = 1.0,
    preparation_time: float | None = None,
    slice_profile: tuple[float, ...] = (),
) -> EventSequence:
    """Look-Locker: spoiled gradient echoes of small flip angle after an inversion.

        RF         inv      a0         a1         a2         a3
        gradient               spoil      spoil      spoil      spoil
        readout               R0         R1         R2         R3
        time      |<- TI ->|<-- TR -->|<-- TR -->|<-- TR -->|

    With a constant flip angle a, Mz recovers with the time 1 / T1* = 1 / T1 - ln(cos a) / TR.

    Parameters
    ----------
    flip_angle, repetition_time, echo_time, inversion_efficiency, preparation_time, slice_profile
        As of :func:`~mri2qmap_bids.recon.physics.sequences.spoiled_gradient_echo.spoiled_gradient_echo`.
    inversion_time
        Delay from the inversion to the first excitation [s].

    Raises
    ------
    ValueError
        If the times do not fit into one another, or the numbers of values differ.

    References
    ----------
    Look and Locker, Time saving in measurement of relaxation times (1970), doi:10.1063/1.1684482.
    """
    return spoiled_gradient_echo(
        flip_angle,
        repetition_time,
        echo_time,
        inversion_time=inversion_time,
        inversion_efficiency=inversion_efficiency,
        preparation_time=preparation_time,
        slice_profile=slice_profile,
        kind="LookLocker",
    )


LOOK_LOCKER = SequenceType(
    name="LookLocker",
    phrase="a Look-Locker train of spoiled gradient echoes after an inversion",
    build=look_locker,
    parameters=(
        FLIP_ANGLE,
        REPETITION_TIME,
        ECHO_TIME,
        within("inversion_time", EVENT_INVERSION_TIME, "number", required=True),
        INVERSION_EFFICIENCY,
        PREPARATION_TIME,
        SLICE_PROFILE,
    ),
)

"""Quantitative transient imaging: everything may vary from frame to frame."""

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon import bounds
from mri2qmap_bids.recon.physics.event_sequence import EventSequence, event_sequence
from mri2qmap_bids.recon.physics.events import Delay, Event
from mri2qmap_bids.recon.physics.sequences.base import (
    ECHO_TIME,
    FLIP_ANGLE,
    INVERSION_EFFICIENCY,
    INVERSION_TIMES,
    PREPARATION_TIME,
    REPETITION_TIME,
    RF_PHASE,
    SLICE_PROFILE,
    SequenceType,
    within,
)
from mri2qmap_bids.recon.physics.sequences.modules import (
    Train,
    gradient_echo,
    inversion,
    per_frame,
    t2_preparation,
)


def qti(  # noqa: PLR0913, PLR0917
    flip_angle: Train,
    repetition_time: Train,
    echo_time: Train,
    rf_phase: Train = 0.0,
    spoiling_cycles: Train = 1,
    recovery_time: Train = 0.0,
    inversion_time: Train = 0.0,
    t2_preparation_time: Train = 0.0,
    inversion_efficiency: float = 1.0,
    preparation_time: float | None = None,
    slice_profile: tuple[float, ...] = (),
    kind: str = "QTI",
) -> EventSequence:
    """Gradient echoes whose pulses, times, spoiling and preparation all vary from frame to frame.

        RF                  [inv]      [90  180  -90]    a <p>
        gradient                                  spoil             n cycles
        readout                                                 R
        time      | recovery |<-- TI -->|<- T2 prep ->|<-- TE -->|
                                                      |<------- TR ------->|

    Each frame has that form; what is 0 in a frame is left out.

    Parameters
    ----------
    flip_angle, rf_phase
        Of the excitation [rad]; the receiver follows the phase. This and the following have one
        value per frame, or one for all.
    repetition_time, echo_time
        From the excitation [s].
    spoiling_cycles
        Of the gradient after the readout; 0: balanced.
    recovery_time
        Delay before the preparation [s].
    inversion_time
        Delay from an inversion [s]; 0: no inversion.
    t2_preparation_time
        Duration of a T2 preparation [s]; 0: none.
    inversion_efficiency, preparation_time, slice_profile
        As in :class:`~mri2qmap_bids.recon.physics.pulse_sequence.PulseSequence`.
    kind
        Name of its type.

    Raises
    ------
    ArgumentError
        If the times do not fit into one another, or the numbers of values differ.

    References
    ----------
    Gomez et al., Rapid three-dimensional multiparametric MRI with quantitative transient-state
    imaging (2020), doi:10.1038/s41598-020-70789-2.
    """
    events: list[Event] = []
    for frame in per_frame(
        flip_angle=flip_angle,
        repetition_time=repetition_time,
        echo_time=echo_time,
        rf_phase=rf_phase,
        spoiling_cycles=spoiling_cycles,
        recovery_time=recovery_time,
        inversion_time=inversion_time,
        t2_preparation_time=t2_preparation_time,
    ):
        recovery, inversion_delay, t2_preparation_delay = (
            frame.pop(name) for name in ("recovery_time", "inversion_time", "t2_preparation_time")
        )
        cycles = frame.pop("spoiling_cycles")
        if cycles != int(cycles):
            raise ArgumentError(f"spoiling_cycles must be whole numbers, got {cycles:g}")
        events += [Delay(recovery)] if recovery else []
        events += inversion(inversion_delay) if inversion_delay else []
        events += t2_preparation(t2_preparation_delay) if t2_preparation_delay else []
        events += gradient_echo(**frame, spoiling_cycles=int(cycles))
    return event_sequence(kind, events, inversion_efficiency, preparation_time, slice_profile)


T2_PREPARATION_TIME = within("t2_preparation_time", bounds.T2_PREPARATION_TIME)
RECOVERY_TIME = within("recovery_time", bounds.RECOVERY_TIME)
QTI = SequenceType(
    name="QTI",
    phrase="quantitative transient imaging, gradient echoes whose pulses and preparation vary",
    build=qti,
    parameters=(
        FLIP_ANGLE,
        REPETITION_TIME,
        ECHO_TIME,
        RF_PHASE,
        within("spoiling_cycles", bounds.SPOILING_CYCLES),
        RECOVERY_TIME,
        INVERSION_TIMES,
        T2_PREPARATION_TIME,
        INVERSION_EFFICIENCY,
        PREPARATION_TIME,
        SLICE_PROFILE,
    ),
)

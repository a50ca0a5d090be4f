"""Balanced steady-state free precession."""

from dataclasses import replace

import numpy as np

from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence, default_rf_phase
from mri2qmap_bids.recon.physics.sequences.base import SequenceType
from mri2qmap_bids.recon.physics.sequences.fisp import fisp, train_events
from mri2qmap_bids.recon.physics.sequences.modules import Train


def bssfp(
    flip_angle: Train,
    repetition_time: Train,
    echo_time: Train | None = None,
    rf_phase: Train | None = None,
    inversion_time: float | None = None,
    inversion_efficiency: float = 1.0,
    preparation_time: float | None = None,
    slice_profile: tuple[float, ...] = (),
) -> PulseSequence:
    """bSSFP: all gradients are balanced, so that each pulse acts on what remains of earlier transverse magnetisation.

        RF       [inv]        a0 <0>               a1 <180>             a2 <0>
        gradient                       balanced             balanced
        readout                     R0                   R1
        time     |<--- TI --->|<-TE->|             |<-TE->|
                              |<------- TR ------->|<------- TR ------->|

    Parameters
    ----------
    echo_time
        None: half the repetition time.
    rf_phase
        None: 0 and pi in turn.
    flip_angle, repetition_time, inversion_time, inversion_efficiency, preparation_time, slice_profile
        As of :func:`~mri2qmap_bids.recon.physics.sequences.fisp.fisp`.

    Raises
    ------
    ValueError
        If the numbers of values differ.
    """
    sequence = fisp(
        flip_angle,
        repetition_time,
        np.asarray(repetition_time) / 2 if echo_time is None else echo_time,
        0.0 if rf_phase is None else rf_phase,
        inversion_time,
        inversion_efficiency,
        preparation_time,
        slice_profile,
    )
    if rf_phase is None:
        sequence = replace(sequence, rf_phase=default_rf_phase("bSSFP", sequence.n_frames))
    return replace(sequence, kind="bSSFP")


BSSFP = SequenceType(
    name="bSSFP",
    phrase="balanced (bSSFP)",
    build=bssfp,
    events=lambda sequence: train_events(sequence, spoiling_cycles=0),
)

"""Pulse sequences of events: the trains that describe them."""

import numpy as np
import pytest

from mri2qmap_bids.recon.physics.event_sequence import event_sequence, first_frames
from mri2qmap_bids.recon.physics.events import Delay, Inversion, Readout, RFPulse, duration_of
from mri2qmap_bids.recon.physics.sequences.modules import gradient_echo, inversion

ANGLES = (0.2, 0.4, 0.6)
EVENTS = [
    *inversion(0.02),
    *(event for angle in ANGLES for event in gradient_echo(angle, 0.012, 0.003, 0.1)),
]


def test_frames_are_the_readouts_with_their_pulses_and_times():
    sequence = event_sequence("own", EVENTS)
    assert sequence.n_frames == 3
    np.testing.assert_allclose(sequence.flip_angle, ANGLES)
    np.testing.assert_allclose(sequence.rf_phase, 0.1)
    np.testing.assert_allclose(sequence.echo_time, 0.003)
    # The first frame has the inversion time, too.
    np.testing.assert_allclose(sequence.repetition_time, [0.032, 0.012, 0.012])
    assert sequence.duration == pytest.approx(duration_of(EVENTS))


def test_the_first_frames_are_the_beginning():
    part = first_frames(event_sequence("own", EVENTS), 2)
    assert part.n_frames == 2
    assert list(part.events) == EVENTS[: len(part.events)]
    with pytest.raises(ValueError, match="n_frames must be 1 to 3, got 4"):
        first_frames(event_sequence("own", EVENTS), 4)


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([RFPulse(1.0), Delay(0.1)], "Readout"),
        ([Inversion(), Delay(0.1), Readout()], "RFPulse"),
        ([RFPulse(1.0), Delay(-0.1), Readout()], r"event 2 \(Delay\)"),
        ([RFPulse(1.0, 0.0, (1.0,)), Readout(), RFPulse(1.0, 0.0, (1.0, 2.0)), Readout()], "as many"),
    ],
)  # fmt: skip
def test_what_cannot_be_played_is_refused(events, words):
    with pytest.raises(ValueError, match=words):
        event_sequence("own", events)

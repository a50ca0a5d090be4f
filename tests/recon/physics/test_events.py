"""Events of pulse sequences."""

import json

import numpy as np
import pytest

from mri2qmap_bids.recon.physics.events import (
    EVENT_TYPES,
    Crusher,
    Delay,
    Inversion,
    Readout,
    RFPulse,
    Spoiling,
    check_event,
    duration_of,
    event_from_record,
    event_record,
)

EVENTS = (
    RFPulse(0.5, 1.0, (1.0, 0.5)),
    Inversion(),
    Delay(0.01),
    Spoiling(2),
    Crusher(),
    Readout(0.3),
)


def test_every_type_passes_through_json():
    assert {type(event) for event in EVENTS} == set(EVENT_TYPES.values())
    for event in EVENTS:
        assert event_from_record(json.loads(json.dumps(event_record(event)))) == event


def test_only_delays_take_time():
    assert duration_of(EVENTS) == 0.01
    assert duration_of(EVENTS * 3) == pytest.approx(0.03)


@pytest.mark.parametrize(
    "event", [Delay(-1e-3), Delay(np.nan), Spoiling(0), RFPulse(np.inf), RFPulse(1.0, 0.0, (-1.0,))]
)
def test_what_cannot_be_played_is_refused(event):
    with pytest.raises(ValueError, match="must be"):
        check_event(event)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"event": "Gradient"}, "must be one of RFPulse.*got 'Gradient'"),
        ({"event": "Delay"}, "Delay must have duration"),
        ({"event": "Delay", "duration": "1"}, "duration must be a number"),
        ({"event": "Spoiling", "cycles": 1.5}, "cycles must be a whole number"),
        ({"event": "Readout", "time": 1}, "Readout must have"),
    ],
)
def test_records_that_are_no_events_are_refused(record, words):
    with pytest.raises(ValueError, match=words):
        event_from_record(record)

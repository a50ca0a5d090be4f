"""Parts of which pulse sequences are made."""

import numpy as np
import pytest

from mri2qmap_bids.recon.physics.events import Readout, RFPulse, Spoiling, duration_of
from mri2qmap_bids.recon.physics.sequences.modules import (
    gradient_echo,
    inversion,
    per_frame,
    quadratic_phase,
    refocusing,
    rest,
    t2_preparation,
)


def test_one_value_holds_for_all_frames():
    frames = list(per_frame(a=[1, 2, 3], b=4))
    assert frames == [{"a": 1.0, "b": 4.0}, {"a": 2.0, "b": 4.0}, {"a": 3.0, "b": 4.0}]
    with pytest.raises(ValueError, match="b must have 1 or 3 values"):
        list(per_frame(a=[1, 2, 3], b=[1, 2]))


def test_modules_take_the_time_that_they_are_given():
    assert duration_of(gradient_echo(0.5, 0.012, 0.003)) == pytest.approx(0.012)
    assert duration_of(refocusing(0.02, np.pi)) == pytest.approx(0.02)
    assert duration_of(inversion(0.5)) == pytest.approx(0.5)
    assert duration_of(t2_preparation(0.04)) == pytest.approx(0.04)
    with pytest.raises(ValueError, match="repetition_time must be at least the 0.02 s"):
        rest("repetition_time", 0.01, 0.02)


def test_the_receiver_follows_the_pulse_and_a_balanced_echo_is_not_spoiled():
    events = gradient_echo(0.5, 0.012, 0.003, 0.7, spoiling_cycles=0)
    assert [event.phase for event in events if isinstance(event, RFPulse | Readout)] == [0.7, 0.7]
    assert not any(isinstance(event, Spoiling) for event in events)


def test_phases_of_rf_spoiling_have_a_constant_second_difference():
    phases = quadratic_phase(np.deg2rad(117), 50)
    turns = np.exp(1j * np.diff(phases, 2))
    np.testing.assert_allclose(turns, np.exp(1j * np.deg2rad(117)), atol=1e-9)
    assert phases[0] == 0 and (phases >= 0).all() and (phases < 2 * np.pi).all()

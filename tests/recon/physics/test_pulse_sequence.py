"""A train of excitations holds together."""

import numpy as np
import pytest

from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence


@pytest.mark.parametrize("name", ["repetition_time", "echo_time", "rf_phase"])
@pytest.mark.parametrize("value", [np.array(0.01), np.zeros(3), np.zeros((4, 1))])
def test_every_frame_has_its_own_values(name, value):
    train = {
        "repetition_time": np.full(4, 0.01),
        "echo_time": np.full(4, 0.002),
        "rf_phase": np.zeros(4),
    }
    PulseSequence("FISP", np.full(4, 0.5), **train)
    with pytest.raises(ValueError, match=f"{name} must be an array with one value per flip angle"):
        PulseSequence("FISP", np.full(4, 0.5), **{**train, name: value})


def test_a_shot_lasts_from_its_inversion_to_the_end_of_its_last_repetition():
    times = {"repetition_time": np.array([0.01, 0.02]), "echo_time": np.full(2, 1e-3)}
    sequence = PulseSequence("FISP", np.full(2, 0.5), rf_phase=np.zeros(2), **times)
    assert sequence.n_frames == 2
    assert sequence.duration == pytest.approx(0.03)
    inverted = PulseSequence(
        "FISP", np.full(2, 0.5), rf_phase=np.zeros(2), inversion_time=0.5, **times
    )
    assert inverted.duration == pytest.approx(0.53)

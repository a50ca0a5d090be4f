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

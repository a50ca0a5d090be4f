"""A train of excitations holds together."""

from dataclasses import fields

import numpy as np
import pytest

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence
from mri2qmap_bids.recon.physics.sequences.registry import sequence_type_named


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


@pytest.mark.parametrize("name", ["fisp", "bssfp"])
def test_the_types_builder_and_the_method_make_the_same_sequence(name):
    build = sequence_type_named(name).build
    method = getattr(PulseSequence, name)
    settings = {"inversion_time": 0.02, "slice_profile": (0.5, 1.0)}
    for angle, times in (([10, 20, 30], 0.012), (20, [0.012, 0.013, 0.014])):
        made = method(angle, times, 0.003, **settings)
        built = build(np.deg2rad(angle), times, 0.003, **settings)
        for field in fields(PulseSequence):
            assert np.array_equal(getattr(made, field.name), getattr(built, field.name))
    with pytest.raises(ArgumentError, match="repetition_time must have 1 or 3 values"):
        method([10, 20, 30], [0.012, 0.013], 0.003)
    with pytest.raises(ArgumentError, match="flip_angle_deg must be real numbers"):
        method(np.array(["ten", "20"]), 0.012, 0.003)


def test_a_balanced_train_has_its_echo_in_the_middle_by_default():
    assert PulseSequence.bssfp([10, 20], 0.006).echo_time.tolist() == [0.003, 0.003]

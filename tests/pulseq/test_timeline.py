"""Times, flip angles and trajectory of Pulseq files."""

from pathlib import Path

import numpy as np
import pytest

from mri2qmap_bids.pulseq.file import RFWaveform
from mri2qmap_bids.pulseq.reader import read_pulseq
from mri2qmap_bids.pulseq.timeline import rotation_of, timeline_of
from tests.helpers.pulseq import (
    HARD,
    PREWINDER,
    READ,
    REFOCUSING,
    flat_train,
    hyperbolic_secant,
    write_pulseq,
)


def _pulse(signal: np.ndarray, duration: float) -> RFWaveform:
    step = duration / len(signal)
    time = (np.arange(len(signal)) + 0.5) * step
    steps = np.full(len(signal), step)
    return RFWaveform(time, signal.astype(complex), steps, duration / 2, 0.0, "excitation")


@pytest.mark.parametrize("degrees", [1.0, 30.0, 90.0, 175.0])
def test_a_resonant_pulse_turns_by_its_integral(degrees: float) -> None:
    envelope = np.hanning(500)
    amplitude = np.deg2rad(degrees) / (2 * np.pi * envelope.mean() * 2e-3)
    assert rotation_of(_pulse(amplitude * envelope, 2e-3))[0] == pytest.approx(
        np.deg2rad(degrees), rel=1e-9
    )


def test_an_adiabatic_pulse_inverts_at_any_strength() -> None:
    for amplitude in (800.0, 1200.0):
        assert rotation_of(_pulse(amplitude * hyperbolic_secant(), 10e-3))[0] > np.deg2rad(165)


def test_a_train_has_its_times(tmp_path: Path) -> None:
    line = timeline_of(read_pulseq(write_pulseq(tmp_path / "a.seq", flat_train(4))))
    assert [pulse.use for pulse in line.pulses] == ["inversion", *["excitation"] * 4]
    # Pulses of 1 ms; 10 ms to the first frame; 5.4 ms per frame.
    expected = [0.5e-3, *(10e-3 + 0.5e-3 + 5.4e-3 * np.arange(4))]
    assert [pulse.time for pulse in line.pulses] == pytest.approx(expected)
    assert line.duration == pytest.approx(10e-3 + 4 * 5.4e-3)


def test_the_trajectory_is_the_gradients_integral(tmp_path: Path) -> None:
    line = timeline_of(read_pulseq(write_pulseq(tmp_path / "a.seq", flat_train(2))))
    # Prewinder -10.5 / m; ramp + 0.5; samples every 0.1 ms of 10 kHz/m from the middle of the first.
    expected = -10.5 + 0.5 + 1.0 * (np.arange(20) + 0.5)
    for readout in line.readouts:
        np.testing.assert_allclose(readout.trajectory[:, 0], expected, atol=1e-9)
        np.testing.assert_allclose(readout.trajectory[:, 1:], 0, atol=1e-9)


@pytest.mark.parametrize("version", [(1, 4), (1, 5)])
def test_a_refocusing_pulse_mirrors_the_trajectory(
    tmp_path: Path, version: tuple[int, int]
) -> None:
    # The read gradient's half area before the pulse has the other sign behind it.
    frame = [(100, HARD, 0, 0, 0, 0), (110, 0, PREWINDER, 0, 0, 0), (100, REFOCUSING, 0, 0, 0, 0)]
    frame += [(220, 0, READ, 0, 0, 1)]
    line = timeline_of(read_pulseq(write_pulseq(tmp_path / "a.seq", frame, version)))
    assert [pulse.use for pulse in line.pulses] == ["excitation", "refocusing"]
    expected = 10.5 + 0.5 + np.arange(20) + 0.5
    np.testing.assert_allclose(line.readouts[0].trajectory[:, 0], expected, atol=1e-9)


def test_samples_before_an_excitation_have_none(tmp_path: Path) -> None:
    blocks = [(220, 0, 0, 0, 0, 1), *flat_train(1)]
    line = timeline_of(read_pulseq(write_pulseq(tmp_path / "a.seq", blocks)))
    assert [readout.excitation for readout in line.readouts] == [None, 1]


def _rotation(angle: float, axis: float) -> np.ndarray:
    return np.array(
        [
            [np.cos(angle / 2), 1j * np.exp(-1j * axis) * np.sin(angle / 2)],
            [1j * np.exp(1j * axis) * np.sin(angle / 2), np.cos(angle / 2)],
        ]
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_pulse_is_a_rotation_about_an_axis_and_a_turn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    signal = 100 * rng.standard_normal(40) * np.exp(2j * np.pi * rng.random(40))
    flip_angle, axis, turn = rotation_of(_pulse(signal, 4e-3))
    product = np.eye(2)
    for sample in signal:
        product = _rotation(2 * np.pi * abs(sample) * 1e-4, float(np.angle(sample))) @ product
    whole = np.diag(np.exp([-0.5j * turn, 0.5j * turn])) @ _rotation(flip_angle, axis)
    np.testing.assert_allclose(whole, product, atol=1e-9)

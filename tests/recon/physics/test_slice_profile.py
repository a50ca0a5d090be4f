"""Slice profiles against closed forms and against the Bloch equations, integrated here."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.trains import train
from scipy.spatial.transform import Rotation

from mri2qmap_bids.recon.physics import slice_profile as module
from mri2qmap_bids.recon.physics.epg import simulate
from mri2qmap_bids.recon.physics.event_sequence import event_sequence
from mri2qmap_bids.recon.physics.events import RFPulse as Pulse
from mri2qmap_bids.recon.physics.sequences.registry import events_of
from mri2qmap_bids.recon.physics.slice_profile import (
    IDEAL_PROFILE_NOTE,
    PULSE_SHAPES,
    RFPulse,
    slice_profile,
    slice_profile_note,
)


def positions(time_bandwidth, n):
    return (np.arange(n) + 0.5) / n * (time_bandwidth / 2 + 1)


def windowed_sinc(time_bandwidth, n):
    """Hamming-windowed sinc of unit area at the middles of n intervals of -1/2..1/2."""
    t = (np.arange(n) + 0.5) / n - 0.5
    pulse = np.sinc(time_bandwidth * t) * (0.54 + 0.46 * np.cos(2 * np.pi * t))
    return t, pulse / pulse.sum()


@pytest.mark.parametrize("time_bandwidth", [2.0, 2.7, 4.0, 10.0])
def test_small_flip_angles_have_the_fourier_transform_of_the_pulse(time_bandwidth):
    t, pulse = windowed_sinc(time_bandwidth, 4000)
    z = positions(time_bandwidth, 24)
    expected = np.abs(np.exp(2j * np.pi * np.outer(z, t)) @ pulse)
    profile = slice_profile(RFPulse("sinc", time_bandwidth), np.deg2rad(0.5), 24)
    np.testing.assert_allclose(profile, expected, atol=4e-3)


@pytest.mark.parametrize("degrees", [30, 90, 150])
def test_large_flip_angles_are_those_of_the_bloch_equations(degrees):
    flip = np.deg2rad(degrees)
    _, pulse = windowed_sinc(4, 1000)
    expected = []
    for z in positions(4, 8):
        magnetisation = np.array([0.0, 0.0, 1.0])
        for rotation in flip * pulse:
            turn = Rotation.from_rotvec([rotation, 0, 2 * np.pi * z / len(pulse)])
            magnetisation = turn.apply(magnetisation)
        expected.append(np.arccos(magnetisation[2]) / flip)
    np.testing.assert_allclose(slice_profile(RFPulse("sinc", 4.0), flip), expected, atol=6e-3)


def test_a_constant_pulse_has_the_profile_of_a_hard_pulse_in_a_gradient(monkeypatch):
    # Rotation by W = sqrt(theta^2 + (2 pi z)^2) about a tilted axis: sin(t/2) = theta/W sin(W/2).
    constant = type("", (), {"dzrf": staticmethod(lambda n, *_: np.ones(n, complex))})
    own = module.sigpy_module
    monkeypatch.setattr(
        module, "sigpy_module", lambda name: constant if name.endswith("slr") else own(name)
    )
    theta = np.deg2rad(70)
    profile = module.slice_profile.__wrapped__(RFPulse("sinc", 4.0), theta)
    angle = np.hypot(theta, 2 * np.pi * positions(4, 8))
    expected = 2 * np.arcsin(np.abs(theta / angle * np.sin(angle / 2))) / theta
    np.testing.assert_allclose(profile, expected, atol=1e-6)


@pytest.mark.parametrize("shape", PULSE_SHAPES)
@pytest.mark.parametrize("time_bandwidth", [4.0, 8.0, 16.0])
def test_half_the_flip_angle_is_at_the_edge_of_the_slice(shape, time_bandwidth):
    n = 400
    profile = np.array(slice_profile(RFPulse(shape, time_bandwidth), 0.01, n))
    edge = positions(time_bandwidth, n)[np.argmax(profile < 0.5)]
    assert edge == pytest.approx(time_bandwidth / 2, rel=0.05)
    assert profile[0] == pytest.approx(1, abs=1e-3) and profile[-1] < 0.1


def with_angles(sequence, angles):
    """The same events with other flip angles, however small."""
    flips = iter(angles.tolist())
    events = [
        replace(event, flip_angle=next(flips)) if isinstance(event, Pulse) else event
        for event in events_of(sequence)
    ]
    return event_sequence("FISP", events, sequence.inversion_efficiency)


@pytest.mark.parametrize("shape", PULSE_SHAPES)
def test_profile_gives_the_fingerprint_of_each_frame_at_its_own_flip_angle(shape):
    """One profile for all frames, at few positions, against one for each, at many."""
    sequence, pulse, n = train(), RFPulse(shape, 4.0), 48
    mean = float(sequence.flip_angle.mean())
    tissues = torch.tensor([0.8, 1.3]), torch.tensor([0.06, 0.09])
    angles = np.array([np.multiply(slice_profile(pulse, f, n), f) for f in sequence.flip_angle])
    exact = sum(simulate(with_angles(sequence, row), *tissues) for row in angles.T)
    short = simulate(replace(sequence, slice_profile=slice_profile(pulse, mean)), *tissues)
    none = simulate(sequence, *tissues)
    exact, short, none = (s / s.norm(dim=1, keepdim=True) for s in (exact, short, none))
    assert (short - exact).norm(dim=1).max() < 0.02
    assert (none - exact).norm(dim=1).min() > 0.05


def test_only_a_2d_scan_without_any_profile_has_a_note():
    trains = train(n_frames=4)
    events = event_sequence("events", events_of(trains))
    pulse = Pulse(0.3, 0.0, (1.0, 0.5))
    shaped = event_sequence(
        "events", [pulse if isinstance(event, Pulse) else event for event in events.events]
    )
    profile = replace(trains, slice_profile=(1.0, 0.5))
    for sequence in (trains, events):
        assert slice_profile_note(sequence, is_3d=False) == IDEAL_PROFILE_NOTE
    for sequence in (profile, shaped):
        assert slice_profile_note(sequence, is_3d=False) is None
    assert slice_profile_note(trains, is_3d=True) is None

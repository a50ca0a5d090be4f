"""Fingerprints against the Bloch equations of isochromats and against closed forms."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.bloch import bloch_fingerprint
from helpers.trains import train

from mri2qmap_bids.recon.physics.epg import simulate
from mri2qmap_bids.recon.physics.sequences.qti import qti

TISSUES = [(0.85, 0.06), (1.4, 0.09), (4.0, 1.5), (0.35, 0.12), (0.3, 0.29)]


def one(sequence, t1, t2, **more) -> torch.Tensor:
    return simulate(sequence, torch.tensor([t1]), torch.tensor([t2]), **more)[0]


def difference(signal: torch.Tensor, reference: np.ndarray) -> float:
    """Relative error up to one constant phase, which M0 takes up."""
    signal = signal.numpy()
    phase = np.vdot(signal, reference)
    return np.linalg.norm(signal * phase / abs(phase) - reference) / np.linalg.norm(reference)


@pytest.mark.parametrize("kind", ["FISP", "bSSFP"])
@pytest.mark.parametrize(("t1", "t2"), TISSUES)
def test_fingerprint_equals_isochromat_sum(kind, t1, t2):
    sequence = train(kind)
    assert (
        difference(one(sequence, t1, t2, n_states=150), bloch_fingerprint(sequence, t1, t2)) < 1e-3
    )


@pytest.mark.parametrize(("t1", "t2"), TISSUES[:3])
def test_default_number_of_states_suffices_for_long_trains(t1, t2):
    sequence = train("FISP", 500)
    reference = bloch_fingerprint(sequence, t1, t2, n_isochromats=512)
    # Only fluid has coherences that outlive a hundred repetitions.
    assert difference(one(sequence, t1, t2), reference) < (3e-3 if t2 > 1 else 1e-3)


@pytest.mark.parametrize("kind", ["FISP", "bSSFP"])
def test_varying_times_and_phases_equal_isochromat_sum(kind):
    rng = np.random.default_rng(0)
    n = 120
    tr = 0.01 + 0.004 * rng.random(n)
    sequence = train(
        kind,
        n,
        repetition_time=tr,
        echo_time=tr * (0.2 + 0.3 * rng.random(n)),
        rf_phase=2 * np.pi * rng.random(n),
        inversion_efficiency=0.92,
    )
    signal = one(sequence, 1.1, 0.08, n_states=120)
    assert signal.is_complex()
    assert difference(signal, bloch_fingerprint(sequence, 1.1, 0.08)) < 1e-3


@pytest.mark.parametrize("kind", ["FISP", "bSSFP"])
@pytest.mark.parametrize(("t1", "t2"), TISSUES[:3])
def test_repeated_shots_reach_the_periodic_steady_state(kind, t1, t2):
    sequence = train(kind, 100)
    sequence = train(kind, 100, preparation_time=sequence.duration + 1.0)
    n_isochromats = 512 if kind == "FISP" else 1
    reference = bloch_fingerprint(sequence, t1, t2, n_isochromats, n_shots=40)
    once = bloch_fingerprint(sequence, t1, t2, n_isochromats, n_shots=1)
    assert difference(one(sequence, t1, t2, n_states=200), reference) < 1e-3
    assert difference(torch.from_numpy(once), reference) > 1e-2  # the shots do matter


@pytest.mark.parametrize(("kind", "n_frames", "flip"), [("FISP", 4, 20), ("bSSFP", 10, 30)])
def test_short_shots_are_repeated_to_the_steady_state_of_fluid(kind, n_frames, flip):
    """Sixty shots of a few frames are far from it."""
    flips = np.deg2rad(flip) * np.where(np.arange(n_frames) % 2, 1.0, 0.7)
    sequence = train(kind, n_frames, flip_angle=flips, inversion_time=None)
    sequence = replace(sequence, preparation_time=sequence.duration)
    n_shots = round(30 / sequence.duration)
    n_isochromats = 128 if kind == "FISP" else 1
    reference = bloch_fingerprint(sequence, 4.0, 2.0, n_isochromats, n_shots=n_shots)
    # Isochromats that are not many, and not many states, differ by some per mille.
    assert difference(one(sequence, 4.0, 2.0), reference) < 5e-3


@pytest.mark.parametrize("cycles", [4, 16, (1, 4)])
def test_cycles_of_spoiling_need_no_other_number_of_states(cycles):
    """Orders that are multiples of the spoiling: four cycles in every frame are one."""
    n = 300
    flips = np.deg2rad(10 + 50 * np.abs(np.sin(np.arange(n) / 60)))
    sequence = qti(flips, 0.01, 0.003, spoiling_cycles=np.resize(cycles, n))
    assert (
        difference(one(sequence, 4.0, 2.0), one(sequence, 4.0, 2.0, n_states=1500).numpy()) < 5e-3
    )


def test_one_excitation_after_inversion_is_inversion_recovery():
    sequence = train(
        n_frames=2, flip_angle=np.full(2, 0.3), inversion_time=0.7, inversion_efficiency=0.9
    )
    expected = np.sin(0.3) * (1 - 1.9 * np.exp(-0.7 / 1.2)) * np.exp(-0.002 / 0.08)
    assert abs(float(one(sequence, 1.2, 0.08)[0])) == pytest.approx(abs(expected), rel=1e-4)


def test_long_train_without_coherence_is_the_ernst_steady_state():
    n, flip, tr, t1, t2 = 400, np.deg2rad(20), 0.05, 0.8, 0.004
    sequence = train(
        n_frames=n, flip_angle=np.full(n, flip), repetition_time=np.full(n, tr), inversion_time=None
    )
    e1 = np.exp(-tr / t1)
    expected = np.sin(flip) * (1 - e1) / (1 - e1 * np.cos(flip)) * np.exp(-0.002 / t2)
    assert abs(float(one(sequence, t1, t2)[-1])) == pytest.approx(expected, rel=1e-3)


def test_long_balanced_train_is_the_balanced_steady_state():
    n, flip, tr, t1, t2 = 1500, np.deg2rad(40), 0.006, 0.5, 0.08
    sequence = train(
        "bSSFP", n, flip_angle=np.full(n, flip), repetition_time=np.full(n, tr), inversion_time=None
    )
    e1, e2 = np.exp(-tr / t1), np.exp(-tr / t2)
    expected = (
        np.sin(flip) * (1 - e1) / (1 - (e1 - e2) * np.cos(flip) - e1 * e2) * np.exp(-tr / 2 / t2)
    )
    assert abs(float(one(sequence, t1, t2)[-1])) == pytest.approx(expected, rel=1e-3)


def test_b1_scales_every_flip_angle():
    sequence = train()
    scaled = train(flip_angle=0.8 * sequence.flip_angle)
    assert torch.allclose(one(sequence, 1.0, 0.08, b1=0.8), one(scaled, 1.0, 0.08), atol=1e-6)
    per_atom = simulate(
        sequence, torch.tensor([1.0, 1.0]), torch.tensor([0.08, 0.08]), b1=torch.tensor([0.8, 1.0])
    )
    assert torch.allclose(per_atom[0], one(scaled, 1.0, 0.08), atol=1e-6)
    assert torch.allclose(per_atom[1], one(sequence, 1.0, 0.08), atol=1e-6)


def test_slice_profile_is_the_mean_over_its_factors():
    profiled = one(train(slice_profile=(0.5, 1.0)), 1.0, 0.08)
    parts = [bloch_fingerprint(train(), 1.0, 0.08, b1=factor) for factor in (0.5, 1.0)]
    assert difference(profiled, np.mean(parts, axis=0)) < 1e-3


def test_signal_of_fisp_is_real():
    assert not one(train(), 1.0, 0.08).is_complex()

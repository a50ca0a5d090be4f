"""Every type of pulse sequence against isochromats, and against its closed form where it has one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.isochromats import isochromat_signal
from helpers.sequences import CASES
from helpers.trains import train

from mri2qmap_bids.recon.physics.dictionary import TissueGrid, build_dictionary, fingerprint_of
from mri2qmap_bids.recon.physics.epg import simulate
from mri2qmap_bids.recon.physics.event_sequence import event_sequence, first_frames
from mri2qmap_bids.recon.physics.events import (
    Crusher,
    Delay,
    Inversion,
    Readout,
    RFPulse,
    Spoiling,
    event_from_record,
    event_record,
)
from mri2qmap_bids.recon.physics.sequences.bssfp import bssfp
from mri2qmap_bids.recon.physics.sequences.fisp import fisp
from mri2qmap_bids.recon.physics.sequences.look_locker import look_locker
from mri2qmap_bids.recon.physics.sequences.multi_echo_spin_echo import multi_echo_spin_echo
from mri2qmap_bids.recon.physics.sequences.qti import qti
from mri2qmap_bids.recon.physics.sequences.registry import (
    events_of,
    sequence_type_named,
    sequence_types,
)
from mri2qmap_bids.recon.physics.sequences.spin_echo import spin_echo
from mri2qmap_bids.recon.physics.sequences.spoiled_gradient_echo import spoiled_gradient_echo

TISSUES = [(0.85, 0.06), (0.35, 0.12), (0.3, 0.29)]


def one(sequence, t1, t2, **more) -> np.ndarray:
    return simulate(sequence, torch.tensor([t1]), torch.tensor([t2]), **more)[0].numpy()


def difference(signal, reference) -> float:
    """Relative error up to one constant phase, which M0 takes up."""
    phase = np.vdot(signal, reference)
    return np.linalg.norm(signal * phase / abs(phase) - reference) / np.linalg.norm(reference)


def test_every_type_has_a_case():
    assert {kind.name for kind in sequence_types()} >= set(CASES)
    assert set(CASES) >= {kind.name for kind in sequence_types()[:8]}
    assert all(CASES[name].kind == name for name in CASES)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("t1", "t2"), TISSUES)
@pytest.mark.parametrize("b1", [1.0, 0.8])
def test_every_type_equals_the_isochromat_sum(name, t1, t2, b1):
    sequence = CASES[name]
    reference = isochromat_signal(
        events_of(sequence), t1, t2, sequence.inversion_efficiency, b1, n_isochromats=512
    )
    assert difference(one(sequence, t1, t2, b1=b1, n_states=130), reference) < 1e-3


@pytest.mark.parametrize("name", CASES)
def test_the_trains_that_describe_events_are_of_their_length(name):
    sequence = CASES[name]
    events = events_of(sequence)
    assert sum(isinstance(event, Readout) for event in events) == sequence.n_frames
    total = sum(event.duration for event in events if isinstance(event, Delay))
    assert sequence.duration == pytest.approx(total)


@pytest.mark.parametrize("flip", [10, 25, 60])
def test_spoiled_gradient_echo_is_the_ernst_steady_state(flip):
    # Relaxation within TR makes spoiling perfect; RF spoiling alone comes near it.
    flip, tr, te, t1, t2 = np.deg2rad(flip), 0.05, 0.002, 0.8, 0.006
    e1 = np.exp(-tr / t1)
    expected = np.sin(flip) * (1 - e1) / (1 - e1 * np.cos(flip)) * np.exp(-te / t2)
    assert abs(one(spoiled_gradient_echo(np.full(300, flip), tr, te), t1, t2)[-1]) == (
        pytest.approx(expected, rel=2e-3)
    )


def test_rf_spoiling_comes_near_the_ernst_steady_state_and_gradients_alone_do_not():
    flip, tr, te, t1, t2 = np.deg2rad(20), 0.01, 0.002, 0.8, 0.08
    e1 = np.exp(-tr / t1)
    expected = np.sin(flip) * (1 - e1) / (1 - e1 * np.cos(flip)) * np.exp(-te / t2)
    spoiled = spoiled_gradient_echo(np.full(500, flip), tr, te)
    assert abs(one(spoiled, t1, t2)[-1]) == pytest.approx(expected, rel=0.05)
    unspoiled = fisp(np.full(500, flip), tr, te)
    assert abs(one(unspoiled, t1, t2)[-1]) > 1.2 * expected


@pytest.mark.parametrize(("t1", "t2"), TISSUES)
def test_echoes_of_perfect_pulses_decay_by_one_exponential(t1, t2):
    times = 0.012 * np.arange(1, 21)
    signal = abs(one(multi_echo_spin_echo(times, 30.0), t1, t2))
    assert np.allclose(signal, np.exp(-times / t2), rtol=1e-4, atol=1e-6)
    assert np.allclose(abs(one(spin_echo(times, 30.0), t1, t2)), signal, atol=1e-5)


@pytest.mark.parametrize("efficiency", [1.0, 0.93])
@pytest.mark.parametrize("t1", [0.05, 0.5, 1.8])
def test_inversion_recovery_is_its_closed_form_in_the_steady_state(t1, efficiency):
    tr, te, t2 = 3.0, 0.01, 0.04
    times = np.array([0.05, 0.1, 0.4, 1.0, 2.0])
    signal = one(spin_echo(te, tr, times, inversion_efficiency=efficiency), t1, t2)
    # The 180 pulse at TE / 2 after the excitation inverts what has recovered until then.
    left = tr - times - te / 2
    e = lambda time: np.exp(-time / t1)  # noqa: E731
    mz = 1 - e(left) * (1 + (1 - e(te / 2)))
    expected = (1 - e(times) * (1 + efficiency * mz)) * np.exp(-te / t2)
    assert difference(signal, expected) < 1e-4
    assert (np.sign(signal.real) == np.sign(signal[-1].real)).sum() == (expected > 0).sum()


@pytest.mark.parametrize("t1", [0.3, 0.9, 1.6])
def test_look_locker_recovers_with_the_effective_time(t1):
    flip, tr = np.deg2rad(6), 0.06
    signal = one(look_locker(np.full(200, flip), tr, 0.002, 0.02), t1, 0.005)
    rate = 1 / t1 - np.log(np.cos(flip)) / tr
    e1 = np.exp(-tr / t1)
    steady = (1 - e1) / (1 - e1 * np.cos(flip))
    first = 1 - 2 * np.exp(-0.02 / t1)
    expected = steady + (first - steady) * np.exp(-rate * tr * np.arange(200))
    expected *= np.sin(flip) * np.exp(-0.002 / 0.005)
    assert difference(signal, expected) < 1e-5


def test_t2_preparation_weights_by_t2():
    times = np.array([0.02, 0.06, 0.1])
    signal = one(
        qti(np.pi / 2, 0.01, 0.0, recovery_time=20.0, t2_preparation_time=times), 0.5, 0.07
    )
    assert np.allclose(abs(signal), np.exp(-times / 0.07), rtol=1e-3)


def test_profiles_of_pulses_are_means_over_the_slice():
    profile = (0.4, 0.9, 1.0)
    events = []
    for _ in range(30):
        events += [RFPulse(0.7, 0.0, profile), Delay(0.002), Readout(), Spoiling(), Delay(0.008)]
    events = [RFPulse(np.pi), Spoiling(2), Delay(0.05), *events]  # not selective
    sequence = event_sequence("x", events)
    parts = [
        isochromat_signal(tuple(events), 0.9, 0.08, position=position) for position in range(3)
    ]
    assert difference(one(sequence, 0.9, 0.08), np.mean(parts, axis=0)) < 1e-3
    common = replace(CASES["SpinEcho"], slice_profile=profile)
    parts = [isochromat_signal(common.events, 0.9, 0.08, 0.93, factor) for factor in profile]
    assert difference(one(common, 0.9, 0.08), np.mean(parts, axis=0)) < 1e-3


def test_shots_repeat_to_the_periodic_steady_state():
    sequence = look_locker(np.full(20, 0.2), 0.03, 0.002, 0.02, preparation_time=1.2)
    shot = (*sequence.events, Delay(1.2 - sequence.duration))
    reference = isochromat_signal(shot * 30, 1.4, 0.05, n_isochromats=700)[-20:]
    once = isochromat_signal(sequence.events, 1.4, 0.05)
    assert difference(one(sequence, 1.4, 0.05), reference) < 2e-3
    assert difference(once, reference) > 1e-2  # the shots do matter


@pytest.mark.parametrize("n_frames", [1, 7])
def test_first_frames_are_played_as_in_the_whole(n_frames):
    sequence = CASES["QTI"]
    part = first_frames(sequence, n_frames)
    assert part.n_frames == n_frames
    whole = one(sequence, 0.9, 0.08)[:n_frames]
    assert np.allclose(abs(one(part, 0.9, 0.08)), abs(whole), atol=1e-6)
    assert difference(one(part, 0.9, 0.08), whole) < 1e-5
    assert np.array_equal(part.flip_angle, sequence.flip_angle[:n_frames])


def test_frames_without_a_pulse_end_at_their_readout():
    echoes = [RFPulse(0.5), Delay(0.002), Readout(), Delay(0.003), Readout(), Delay(0.004)]
    sequence = event_sequence("x", [*echoes, *echoes])
    assert sequence.repetition_time.tolist() == pytest.approx([0.002, 0.007, 0.002, 0.007])
    assert sequence.flip_angle.tolist() == [0.5, 0, 0.5, 0]
    assert abs(one(sequence, 1.0, 0.01)[1] / one(sequence, 1.0, 0.01)[0]) == (
        pytest.approx(np.exp(-0.3), rel=1e-4)
    )


def test_dictionaries_of_different_events_have_different_names():
    def name(*events):
        sequence = event_sequence("x", [RFPulse(0.5), *events, Delay(0.01), Readout()])
        return fingerprint_of(sequence, TissueGrid(), None, 0.999)

    assert len({name(), name(Crusher()), name(Inversion()), name(Spoiling())}) == 4


def test_a_dictionary_is_made_of_any_type():
    grid = TissueGrid(step=0.3)
    dictionary = build_dictionary(CASES["QTI"], grid)
    assert torch.isfinite(torch.view_as_real(dictionary.atoms)).all()
    assert len(dictionary.basis) == CASES["QTI"].n_frames


@pytest.mark.parametrize(
    "event",
    [RFPulse(0.3, 0.1, (0.5, 1.0)), Inversion(), Delay(0.1), Spoiling(2), Crusher(), Readout(0.2)],
)
def test_events_survive_their_records(event):
    assert event_from_record(event_record(event)) == event


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"event": "Pulse"}, "must be one of RFPulse, .*, got 'Pulse'"),
        ({"event": "Delay"}, "Delay must have duration, may have duration, got nothing"),
        ({"event": "Delay", "duration": "1"}, "duration must be a number, got '1'"),
        ({"event": "Delay", "duration": -0.1}, "duration must be at least 0 s, got -0.1"),
        ({"event": "Delay", "duration": float("nan")}, "duration must be finite"),
        ({"event": "Spoiling", "cycles": 0.5}, "cycles must be a whole number, got 0.5"),
        ({"event": "Spoiling", "cycles": 0}, "cycles must be at least 1, got 0"),
        ({"event": "RFPulse", "flip_angle": 1, "slice_profile": [1, -1]}, "at least 0, got -1"),
        (
            {"event": "Crusher", "cycles": 1},
            "Crusher must have nothing, may have nothing, got cycles",
        ),
    ],
)
def test_an_event_that_cannot_be_played_is_refused(record, words):
    with pytest.raises(ValueError, match=words):
        event_from_record(record)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: event_sequence("x", [RFPulse(1.0)]), "a Readout for every frame, got 0"),
        (lambda: event_sequence("x", [Readout()]), "an RFPulse, got none"),
        (lambda: event_sequence("x", [RFPulse(1.0), Delay(-1.0), Readout()]), r"event 2 \(Delay\)"),
        (
            lambda: event_sequence(
                "x", [RFPulse(1.0, 0.0, (1.0, 1.0)), RFPulse(1.0, 0.0, (1.0,)), Readout()]
            ),
            r"as many positions, got \[1, 2\]",
        ),
        (lambda: spoiled_gradient_echo([0.1, 0.2], 0.01, 0.02), "repetition_time must be at least"),
        (lambda: spoiled_gradient_echo([0.1, 0.2], [0.01] * 3, 0.002), "must have 1 or 3 values"),
        (lambda: spin_echo([0.1, 0.2], 1.0, 0.95), "repetition_time must be at least the 1.05 s"),
        (lambda: multi_echo_spin_echo([0.1, 0.1], 1.0), "echo_time must rise"),
        (lambda: qti([0.1, 0.2], 0.01, 0.002, spoiling_cycles=0.5), "must be whole numbers"),
        (
            lambda: look_locker([0.1, 0.2], 0.01, 0.002, 0.02, preparation_time=0.03),
            "preparation_time must be at least the 0.04 s",
        ),
        (lambda: sequence_type_named("EPI"), "must be one of FISP, bSSFP, .*, got 'EPI'"),
    ],
)
def test_what_cannot_be_played_is_refused(build, words):
    with pytest.raises(ValueError, match=words):
        build()


@pytest.mark.parametrize("name", ["FISP", "fisp", "FISP-MRF", "MRF FISP"])
def test_names_are_found_in_any_spelling(name):
    assert sequence_type_named(name).name == "FISP"
    assert sequence_type_named("spgr").name == "SpoiledGradientEcho"


def test_trains_and_their_builders_agree():
    for build in (fisp, bssfp):
        kind = build.__name__.upper().replace("BSSFP", "bSSFP")
        usual = train(kind)
        built = build(usual.flip_angle, usual.repetition_time, usual.echo_time, inversion_time=0.02)
        assert np.array_equal(one(built, 0.9, 0.08), one(usual, 0.9, 0.08))

"""Events of Pulseq files: of our own builders, and of what cannot be told."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.pulseq import HARD, PREWINDER, READ, SPOILER, flat_train, write_pulseq
from helpers.pulseq_events import write_events

from mri2qmap_bids.errors import PulseqError
from mri2qmap_bids.pulseq.events import events_of_shot
from mri2qmap_bids.pulseq.reader import read_pulseq
from mri2qmap_bids.pulseq.shots import shots_of
from mri2qmap_bids.pulseq.timeline import timeline_of
from mri2qmap_bids.recon.physics.epg import simulate
from mri2qmap_bids.recon.physics.event_sequence import event_sequence
from mri2qmap_bids.recon.physics.events import Crusher, Delay, Inversion, Readout, RFPulse, Spoiling
from mri2qmap_bids.recon.physics.sequences.bssfp import bssfp
from mri2qmap_bids.recon.physics.sequences.fisp import fisp
from mri2qmap_bids.recon.physics.sequences.look_locker import look_locker
from mri2qmap_bids.recon.physics.sequences.multi_echo_spin_echo import multi_echo_spin_echo
from mri2qmap_bids.recon.physics.sequences.prepared_gradient_echo import prepared_gradient_echo
from mri2qmap_bids.recon.physics.sequences.registry import events_of
from mri2qmap_bids.recon.physics.sequences.spin_echo import spin_echo
from mri2qmap_bids.recon.physics.sequences.spoiled_gradient_echo import spoiled_gradient_echo

VOXEL = (0.002, 0.002, 0.002)
ANGLES = np.deg2rad([10.0, 25.0, 40.0, 15.0, 60.0, 30.0])
SEQUENCES = {
    "FISP": fisp(ANGLES, 0.012, 0.002, inversion_time=0.02),
    "bSSFP": bssfp(ANGLES, 0.006, 0.003, inversion_time=0.02),
    "spoiled gradient echo": spoiled_gradient_echo(ANGLES, 0.01, 0.004),
    "spin echo": spin_echo([0.012, 0.03], 1.0, [0.1, 0.4], number_dummies=1),
    "multi-echo spin echo": multi_echo_spin_echo([0.01, 0.02, 0.03, 0.04], 1.0, number_dummies=0),
    "prepared": prepared_gradient_echo(
        ANGLES, 0.01, 0.004, [0.05, 0, 0, 0, 0, 0], [0, 0, 0, 0.04, 0, 0], [0, 0, 0, 0.2, 0, 0]
    ),
    "Look-Locker": look_locker(ANGLES, 0.01, 0.004, 0.02),
}
T1 = torch.tensor([1.4, 0.85, 0.4, 3.0])
T2 = torch.tensor([0.09, 0.06, 0.2, 1.5])


def events_in(path, n_frames=None):
    timeline = timeline_of(read_pulseq(path))
    shots = shots_of(timeline, path, n_frames)
    return events_of_shot(timeline, shots, VOXEL, path)


def spaced(events):
    """The same events with 2 ms between those that have no time between them, as a file must have."""
    result = []
    for event in events:
        instant = isinstance(event, RFPulse | Inversion | Readout)
        if instant and not any(isinstance(before, Delay) for before in result[-2:]) and result:
            result.append(Delay(2e-3))
        result.append(event)
    return result


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_file_of_a_builders_events_gives_its_signals(name, tmp_path):
    sequence = SEQUENCES[name]
    events = spaced(events_of(sequence))
    played = event_sequence("X", events)
    path = write_events(tmp_path / "a.seq", events)
    ours = events_in(path, played.n_frames)
    assert ours.n_frames == played.n_frames
    one, other = (simulate(each, T1, T2).to(torch.complex64) for each in (played, ours))
    # A real signal's sign is a convention.
    phase = torch.sgn((one.conj() * other).sum())
    assert (other - phase * one).abs().max() < 1e-5 * one.abs().max()


def test_shots_follow_each_other_as_they_are_played(tmp_path):
    events = [Inversion(), Delay(0.02)]
    for _ in range(3):
        events += [RFPulse(0.3), Delay(0.004), Readout(), Spoiling(), Delay(0.006)]
    events += [Delay(0.5)]
    ours = events_in(write_events(tmp_path / "a.seq", events * 2))
    assert ours.n_frames == 3
    assert ours.preparation_time == pytest.approx(0.55, abs=1e-6)
    assert ours.duration == pytest.approx(0.55, abs=1e-6)


def test_an_incomplete_inversion_has_its_efficiency(tmp_path):
    path = write_pulseq(tmp_path / "a.seq", flat_train(3))
    text = path.read_text().replace("2 500 1 2 0 500 0 0 0 0 0 i", "2 400 1 2 0 500 0 0 0 0 0 i")
    path.write_text(text)
    assert events_in(path).inversion_efficiency == pytest.approx(-np.cos(0.8 * np.pi), abs=1e-3)


def test_dephasing_in_many_parts_of_a_cycle_is_refused(tmp_path):
    blocks = [(100, HARD, 0, 0, 0, 0), (110, 0, PREWINDER, 0, 0, 0), (220, 0, READ, 0, 0, 1)]
    rows = [block for n in range(3) for block in (*blocks, (110, 0, PREWINDER, 0, 5 + n, 0))]
    path = write_pulseq(tmp_path / "a.seq", rows)
    traps = "".join(f"{5 + n} {300000 + 71000 * n} 100 900 100 0\n" for n in range(3))
    path.write_text(path.read_text().replace("[ADC]", f"{traps}[ADC]"))
    with pytest.raises(PulseqError, match=r"a.seq: block 1?\d: gradients.*whole multiples"):
        events_in(path)


def test_gradients_that_vary_during_a_pulse_are_refused(tmp_path):
    path = write_pulseq(tmp_path / "a.seq", [(220, HARD, READ, SPOILER, 0, 0), *flat_train(3)[2:]])
    with pytest.raises(PulseqError, match="block 1: gradients must be constant.*got x, y"):
        events_in(path)


def test_a_pulse_of_negative_amplitude_turns_the_other_way(tmp_path):
    events = [RFPulse(0.5), Delay(0.01), RFPulse(0.5, np.pi), Delay(0.01), Readout(), Delay(0.01)]
    path = write_events(tmp_path / "a.seq", events)
    text = path.read_text()
    positive = next(
        line for line in text.splitlines() if line.startswith("2 ") and line.endswith("e")
    )
    words = positive.split()
    words[1], words[10] = f"-{words[1]}", "0"
    path.write_text(text.replace(positive, " ".join(words)))
    pulses = [event for event in events_in(path).events if isinstance(event, RFPulse)]
    assert [round(pulse.phase, 6) for pulse in pulses] == [0, round(np.pi, 6)]


def test_strong_spoiling_that_nothing_matches_is_a_crusher(tmp_path):
    events = []
    for _ in range(3):
        events += [RFPulse(0.3), Delay(0.01), Readout(), Crusher(), Delay(0.1)]
        events += [RFPulse(0.3), Delay(0.01), Readout(), Spoiling(), Delay(0.1)]
    ours = events_in(write_events(tmp_path / "a.seq", events), 6)
    assert sum(isinstance(event, Crusher) for event in ours.events) == 3
    assert replace(ours, kind="Y").n_frames == 6


def test_a_pulse_of_changing_phase_is_as_its_parts_one_after_the_other(tmp_path):
    """90 about x and 90 about y, in one pulse: not a rotation about a transverse axis."""
    end = [Delay(0.01), RFPulse(1.0, 0.4), Delay(0.01), Readout(0.3), Delay(0.01)]
    path = write_events(tmp_path / "a.seq", [RFPulse(np.pi), *end, RFPulse(0.2), *end])
    text = path.read_text()
    first = next(line for line in text.splitlines() if line.startswith("1 25000 "))
    shapes = "shape_id 3\nnum_samples 20\n" + "0\n" * 10 + "0.25\n" * 10
    text = text.replace(first, first.replace(" 1 2 0 ", " 1 3 0 ").replace(" r", " e"))
    path.write_text(text + shapes)
    parts = [RFPulse(np.pi / 2), RFPulse(np.pi / 2, np.pi / 2), *end, RFPulse(0.2), *end]
    played, ours = event_sequence("X", parts), events_in(path)
    one, other = (simulate(each, T1, T2).to(torch.complex64) for each in (played, ours))
    assert (one - other).abs().max() < 1e-5 * one.abs().max()

"""Sidecars of Pulseq files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.pulseq import HARD, REFOCUSING, flat_train, write_pulseq
from helpers.pulseq_events import write_events

from mri2qmap_bids.convert.pulseq import sequence_metadata
from mri2qmap_bids.dataset.sidecar import read_sequence
from mri2qmap_bids.errors import PulseqError
from mri2qmap_bids.pulseq.metadata import metadata_of
from mri2qmap_bids.pulseq.reader import read_pulseq
from mri2qmap_bids.pulseq.shots import shots_of
from mri2qmap_bids.pulseq.timeline import timeline_of
from mri2qmap_bids.recon.physics.epg import simulate
from mri2qmap_bids.recon.physics.event_sequence import event_sequence
from mri2qmap_bids.recon.physics.events import Delay, Event, Inversion, Readout, RFPulse, Spoiling
from mri2qmap_bids.recon.physics.sequences.bssfp import bssfp
from mri2qmap_bids.recon.physics.sequences.modules import gradient_echo
from mri2qmap_bids.recon.physics.sequences.registry import events_of

VOXEL = (0.002, 0.002, 0.002)
ANGLES = np.deg2rad([10.0, 25.0, 40.0, 15.0, 60.0, 30.0]).tolist()


def _metadata(tmp_path: Path, blocks: list[tuple[int, ...]]) -> dict[str, Any]:
    path = write_pulseq(tmp_path / "a.seq", blocks)
    line = timeline_of(read_pulseq(path))
    return metadata_of(line, shots_of(line, path), (1e-3, 1e-3, 5e-3), path)


def test_a_spoiled_train_is_fisp(tmp_path: Path) -> None:
    metadata = _metadata(tmp_path, flat_train(3) * 2)
    assert metadata["PulseSequenceType"] == "FISP"
    assert metadata["FlipAngle"] == pytest.approx([90.0] * 3, abs=1e-5)
    assert metadata["RepetitionTimeExcitation"] == pytest.approx([5.4e-3] * 3)
    # From the pulse's middle: half of 1 ms, 1.1 ms, the ramp and 10 (or 9) of 20 samples.
    assert metadata["EchoTime"] == pytest.approx([0.5e-3 + 1.1e-3 + 0.1e-3 + 1e-3] * 3, abs=0.6e-4)
    assert metadata["InversionTime"] == pytest.approx(10e-3)
    assert metadata["InversionEfficiency"] == pytest.approx(1.0)
    assert metadata["RepetitionTimePreparation"] == pytest.approx(10e-3 + 3 * 5.4e-3)
    assert "RFPhase" not in metadata


def test_a_balanced_train_is_bssfp(tmp_path: Path) -> None:
    assert _metadata(tmp_path, flat_train(3, spoiler=0))["PulseSequenceType"] == "bSSFP"


def test_other_pulses_are_refused(tmp_path: Path) -> None:
    blocks = [*flat_train(2), (100, HARD, 0, 0, 0, 0), (100, REFOCUSING, 0, 0, 0, 0)]
    blocks += [(220, 0, 1, 0, 0, 1)]
    with pytest.raises(PulseqError, match="got pulses for refocusing, too"):
        _metadata(tmp_path, blocks)


def _told(path: Path) -> dict[str, Any]:
    """The sidecar of a file: its train, or else its events."""
    line = timeline_of(read_pulseq(path))
    return sequence_metadata(line, shots_of(line, path), VOXEL, path)


def _signals(sequence: Any) -> torch.Tensor:
    t1, t2 = torch.tensor([1.4, 0.85, 0.4, 3.0]), torch.tensor([0.09, 0.06, 0.2, 1.5])
    return simulate(sequence, t1, t2).to(torch.complex64)


def _check_signals(metadata: dict[str, Any], events: list[Event], path: Path) -> None:
    """A sidecar's signals must be those of the events, up to one phase."""
    known, told = (
        _signals(sequence)
        for sequence in (event_sequence("X", events), read_sequence(metadata, None, path))
    )
    phase = torch.sgn((known.conj() * told).sum())
    assert (told - phase * known).abs().max() < 1e-4 * known.abs().max()


def _train(
    phases: list[float],
    receivers: list[float],
    cycles: int = 0,
    flip_angles: Sequence[float] = ANGLES,
) -> list[Event]:
    events: list[Event] = []
    for angle, phase, receiver in zip(flip_angles, phases, receivers, strict=True):
        spoiling = [Spoiling(cycles)] if cycles else []
        events += [RFPulse(angle, phase), Delay(0.003), Readout(receiver), *spoiling, Delay(0.003)]
    return events


@pytest.mark.parametrize(
    "phases",
    [[0.0] * 6, [0.03] * 6, [0.0, np.pi, 0.0, 0.0, np.pi, 0.0], [0.5 * n for n in range(6)]],
    ids=["constant", "constant and not 0", "irregular", "by half a radian more"],
)
def test_balanced_pulses_keep_their_phases(tmp_path: Path, phases: list[float]) -> None:
    events = _train(phases, phases)
    path = write_events(tmp_path / "a.seq", events)
    metadata = _told(path)
    assert metadata["PulseSequenceType"] == "bSSFP"
    _check_signals(metadata, events, path)


@pytest.mark.parametrize("offset", [0.0, 0.3, np.pi])
def test_the_usual_phases_of_balanced_pulses_need_no_key(tmp_path: Path, offset: float) -> None:
    phases = [offset + np.pi * (n % 2) for n in range(6)]
    path = write_events(tmp_path / "a.seq", _train(phases, phases))
    assert "RFPhase" not in _told(path)
    _check_signals(_told(path), list(events_of(bssfp(ANGLES, 0.006, 0.003))), path)


def test_a_receiver_with_one_phase_more_than_the_pulses_follows_them(tmp_path: Path) -> None:
    phases = [0.0, 0.4, 1.0, 3.0, 6.2, 0.1]
    events = _train(phases, [float(np.mod(phase + 1.5, 2 * np.pi)) for phase in phases], cycles=1)
    path = write_events(tmp_path / "a.seq", events)
    assert _told(path)["PulseSequenceType"] == "FISP"
    _check_signals(_told(path), events, path)


@pytest.mark.parametrize("cycles", [0, 1])
def test_a_receiver_that_does_not_follow_the_pulses_is_told_by_events(
    tmp_path: Path, cycles: int
) -> None:
    events = _train([np.pi * (n % 2) for n in range(6)], [0.0] * 6, cycles)
    path = write_events(tmp_path / "a.seq", events)
    metadata = _told(path)
    assert metadata["PulseSequenceType"] == "Pulseq"
    _check_signals(metadata, events, path)
    line = timeline_of(read_pulseq(path))
    with pytest.raises(PulseqError, match="receiver must follow.* differ by up to 180 deg"):
        metadata_of(line, shots_of(line, path), VOXEL, path)


@pytest.mark.parametrize("follows", [True, False])
def test_pulses_of_negative_amplitude_have_the_opposite_phase(
    tmp_path: Path, follows: bool
) -> None:
    """0 0 pi 0 pi pi by the signs of the amplitudes alone."""
    signs = [1, 1, -1, 1, -1, -1]
    phases = [0.0 if sign > 0 else np.pi for sign in signs]
    events = _train(phases, phases if follows else [0.0] * 6)
    path = write_events(
        tmp_path / "a.seq", _train([0.0] * 6, [e.phase for e in events if isinstance(e, Readout)])
    )
    rows = path.read_text().splitlines()
    first = rows.index("[RF]") + 1
    for number, sign in enumerate(signs):
        words = rows[first + number].split()
        words[1] = str(sign * float(words[1]))
        rows[first + number] = " ".join(words)
    path.write_text("\n".join(rows) + "\n")
    metadata = _told(path)
    assert metadata["PulseSequenceType"] == ("bSSFP" if follows else "Pulseq")
    _check_signals(metadata, events, path)


def test_pulses_that_turn_about_the_field_are_told_by_events(tmp_path: Path) -> None:
    """Half of every pulse about x and half about y, which is no rotation about a transverse axis."""
    train = _train([0.0] * 6, [0.0] * 6, flip_angles=[1.0] * 6)
    path = write_events(tmp_path / "a.seq", train)
    text = path.read_text()
    assert text.count(" 1 2 0 10 ") == 1
    shapes = "shape_id 3\nnum_samples 20\n" + "0\n" * 10 + "0.25\n" * 10
    path.write_text(text.replace(" 1 2 0 10 ", " 1 3 0 10 ") + shapes)
    events: list[Event] = []
    for event in train:
        pulse = isinstance(event, RFPulse)
        events += [RFPulse(0.5), RFPulse(0.5, np.pi / 2)] if pulse else [event]
    metadata = _told(path)
    assert metadata["PulseSequenceType"] == "Pulseq"
    _check_signals(metadata, events, path)


def _echoes(number: int) -> list[Event]:
    return [event for n in range(number) for event in gradient_echo(0.2 + 0.1 * n, 0.01, 0.004)]


@pytest.mark.parametrize(
    "events",
    [
        [Inversion(), Delay(0.02), *_echoes(3), Inversion(), Delay(0.05), *_echoes(2)],
        [Inversion(), Delay(0.3), Inversion(), Delay(0.02), *_echoes(4)],
        [*_echoes(2), Inversion(), Delay(0.05), *_echoes(3)],
        [*_echoes(4), Inversion(), Delay(0.05)],
    ],
    ids=["two trains", "double inversion", "in the middle", "at the end"],
)
def test_inversions_other_than_one_before_all_frames_are_told_by_events(
    tmp_path: Path, events: list[Event]
) -> None:
    path = write_events(tmp_path / "a.seq", events)
    metadata = _told(path)
    names = [event["Event"] for event in metadata["PulseSequenceEvents"]]
    assert names.count("Inversion") == sum(isinstance(event, Inversion) for event in events)
    _check_signals(metadata, events, path)
    line = timeline_of(read_pulseq(path))
    with pytest.raises(PulseqError, match="at most one inversion, before the first excitation"):
        metadata_of(line, shots_of(line, path), VOXEL, path)

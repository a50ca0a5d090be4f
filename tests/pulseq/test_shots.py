"""Frames and shots of Pulseq files."""

from pathlib import Path

import pytest

from mri2qmap_bids.errors import PulseqError
from mri2qmap_bids.pulseq.reader import read_pulseq
from mri2qmap_bids.pulseq.shots import Shots, shots_of
from mri2qmap_bids.pulseq.timeline import timeline_of
from tests.helpers.pulseq import HARD, PREWINDER, READ, SECOND, flat_train, write_pulseq


def _shots(tmp_path: Path, blocks: list[tuple[int, ...]], n_frames: int | None = None) -> Shots:
    path = write_pulseq(tmp_path / "a.seq", blocks)
    return shots_of(timeline_of(read_pulseq(path)), path, n_frames)


def _frame(pulse: int) -> list[tuple[int, ...]]:
    return [(100, pulse, 0, 0, 0, 0), (220, 0, READ, 0, 0, 1)]


def test_every_inversion_begins_a_shot(tmp_path: Path) -> None:
    noise = [(220, 0, 0, 0, 0, 1)] * 3
    shots = _shots(tmp_path, [*noise, *flat_train(4) * 3])
    assert (len(shots.shots), shots.n_frames, shots.noise) == (3, 4, (0, 1, 2))
    assert [shot.frames[0] for shot in shots.shots] == [(3,), (7,), (11,)]
    assert all(shot.pulses[0].use == "inversion" for shot in shots.shots)


def test_flip_angles_that_repeat_tell_the_shots(tmp_path: Path) -> None:
    train = [*_frame(HARD), *_frame(SECOND), *_frame(SECOND)]
    shots = _shots(tmp_path, train * 4)
    assert (len(shots.shots), shots.n_frames) == (4, 3)


def test_the_number_of_frames_may_be_given(tmp_path: Path) -> None:
    assert len(_shots(tmp_path, _frame(HARD) * 6).shots) == 1
    assert len(_shots(tmp_path, _frame(HARD) * 6, n_frames=2).shots) == 3
    with pytest.raises(PulseqError, match="must divide its 6 excitations that are read, got 4"):
        _shots(tmp_path, _frame(HARD) * 6, n_frames=4)


def test_lines_are_one_frame_and_echoes_are_many(tmp_path: Path) -> None:
    line = (220, 0, READ, 0, 0, 1)
    rewind, blip = (110, 0, PREWINDER, 0, 0, 0), (110, 0, PREWINDER, PREWINDER, 0, 0)
    start = [(100, HARD, 0, 0, 0, 0), rewind]
    echoes = _shots(tmp_path, [*start, line, rewind, rewind, line])
    assert echoes.shots[0].frames == ((0,), (1,))
    lines = _shots(tmp_path, [*start, line, blip, rewind, line])
    assert lines.shots[0].frames == ((0, 1),)


def test_shots_that_differ_are_refused_if_their_frames_were_given(tmp_path: Path) -> None:
    late = flat_train(3)
    late[1] = (910, 0, 0, 0, 0, 0)
    with pytest.raises(
        PulseqError, match=r"shot 2 with flip angles up to 0 deg and times up to 0\.1 ms"
    ):
        _shots(tmp_path, [*flat_train(3), *late], n_frames=3)


def test_inversions_that_begin_other_trains_are_of_one_shot(tmp_path: Path, caplog) -> None:
    shots = _shots(tmp_path, [*flat_train(3), *flat_train(2)])
    assert (len(shots.shots), shots.n_frames) == (1, 5)
    assert "as many frames, got 2, 3; taken as one shot of 5 frames" in caplog.text


def test_a_file_that_reads_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PulseqError, match="must read data after an excitation"):
        _shots(tmp_path, [(220, 0, 0, 0, 0, 1), (100, HARD, 0, 0, 0, 0)])

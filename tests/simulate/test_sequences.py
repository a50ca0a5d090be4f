"""Pulse sequences of the simulator: shapes, defaults, files."""

import numpy as np
import pytest

from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.recon.physics.pulse_sequence import default_rf_phase
from mri2qmap_bids.simulate.sequences import lobes, make_sequence, read_train


@pytest.mark.parametrize("n_frames", [1, 7, 125, 500, 1000])
def test_lobes_stay_between_five_and_seventy_degrees(n_frames):
    degrees = np.rad2deg(lobes(n_frames))
    assert len(degrees) == n_frames
    assert degrees.min() >= 5 - 1e-3 and degrees.max() <= 70 + 1e-3
    if n_frames >= 125:
        assert degrees.min() < 6
        # Every lobe is symmetric about its middle.
        first = degrees[: n_frames // max(2, round(n_frames / 125))]
        if n_frames % max(2, round(n_frames / 125)) == 0:
            assert np.allclose(first, first[::-1], atol=1e-3)


@pytest.mark.parametrize(("kind", "tr"), [("FISP", 0.012), ("bSSFP", 0.006)])
def test_defaults_are_those_of_the_kind(kind, tr):
    sequence = make_sequence(kind, 6)
    assert np.allclose(sequence.repetition_time, tr)
    assert np.allclose(sequence.echo_time, 0.002 if kind == "FISP" else tr / 2)
    assert sequence.inversion_time == pytest.approx(0.02)
    steps = np.diff(sequence.rf_phase)
    assert np.allclose(np.abs(steps), 0 if kind == "FISP" else np.pi)
    assert np.array_equal(sequence.rf_phase, default_rf_phase(kind, 6))


def test_the_echo_of_a_balanced_train_is_in_the_middle_of_any_repetition():
    times = np.linspace(4e-3, 8e-3, 5)
    assert np.allclose(make_sequence("bSSFP", 5, repetition_time=times).echo_time, times / 2)


def test_longer_trains_are_cut_and_shorter_ones_refused():
    flips = np.arange(1.0, 9.0)
    assert make_sequence("FISP", 3, flips).flip_angle.tolist() == [1, 2, 3]
    with pytest.raises(UsageError, match="repetition times: must be at least 3"):
        make_sequence("FISP", 3, flips, repetition_time=np.array([0.01, 0.02]))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"echo_time": -0.001}, "echo_time must be"),
        ({"echo_time": 0.012}, "echo_time must be below the repetition time of its frame"),
        ({"preparation_time": 0.02}, "--prep-time must be at least the 0.044 s"),
        ({"n_frames": 0}, "--frames"),
    ],
)
def test_times_that_do_not_fit_are_refused(fields, text):
    with pytest.raises(UsageError, match=text):
        make_sequence(**{"kind": "FISP", "n_frames": 2, **fields})


def test_a_train_is_read_from_a_file_with_commas_or_without(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("1, 2.5\n3\t4\n")
    assert read_train(path).tolist() == [1, 2.5, 3, 4]
    for encoding in ("utf-8-sig", "utf-16"):
        path.write_text("1 2\n", encoding=encoding)
        assert read_train(path).tolist() == [1, 2]
    for text in ("", "1 x", "1 nan"):
        path.write_text(text)
        with pytest.raises(UsageError, match="x.txt: must hold one"):
            read_train(path)

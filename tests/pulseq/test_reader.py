"""Reading of Pulseq files."""

from pathlib import Path

import numpy as np
import pytest

from mri2qmap_bids.errors import PulseqError
from mri2qmap_bids.pulseq.reader import read_pulseq
from mri2qmap_bids.pulseq.timeline import timeline_of
from tests.helpers.pulseq import RAMPED, flat_train, write_pulseq


def test_a_compressed_shape_is_what_it_was(tmp_path: Path) -> None:
    file = read_pulseq(write_pulseq(tmp_path / "a.seq", flat_train(2)))
    assert file.rf[1].signal == pytest.approx(np.full(1000, 250.0))
    wave = file.gradients[RAMPED]
    # 100 raster steps of 10 us up to 10 kHz/m, linear from edge to edge.
    assert wave.time[-1] == pytest.approx(1e-3)
    assert wave.amplitude == pytest.approx(wave.time / 1e-3 * 10000, abs=1e-6)


def test_versions_tell_the_same(tmp_path: Path) -> None:
    lines = [
        timeline_of(read_pulseq(write_pulseq(tmp_path / "a.seq", flat_train(3), version)))
        for version in ((1, 4), (1, 5))
    ]
    for old, new in zip(lines[0].pulses, lines[1].pulses, strict=True):
        assert (old.time, old.flip_angle, old.use) == pytest.approx(
            (new.time, new.flip_angle, new.use)
        ) or (old.use == new.use and old.time == pytest.approx(new.time))
    for before, after in zip(lines[0].readouts, lines[1].readouts, strict=True):
        np.testing.assert_allclose(before.trajectory, after.trajectory, atol=1e-9)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("minor 5", "minor 9", "version must be 1.3, 1.4 or 1.5, got 1.9"),
        ("[VERSION]", "[VERS]", "with a [VERSION]"),
        ("[ADC]", "[AD]", "section [ADC]"),
        ("1 20 100000 100 0 0 0 0 0", "1 20 100000 100", "rows of [ADC] must have 9 values"),
        (
            "1 20 100000 100 0 0 0 0 0",
            "1 20 100000 100 0 0 0 0 3",
            "phase of readout 1 must not be",
        ),
        ("num_samples 1000", "num_samples 999", "a shape of 999 samples has 1000"),
        ("1 100 2 0", "1 100 9 0", "refers to RF event 9"),
        ("major 1", "major one", "must be a complete Pulseq file"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write_pulseq(tmp_path / "a.seq", flat_train(2))
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(PulseqError) as caught:
        read_pulseq(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.seq"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(PulseqError, match="must be a Pulseq text file"):
        read_pulseq(path)

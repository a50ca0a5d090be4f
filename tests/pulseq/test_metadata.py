"""Sidecars of Pulseq files."""

from pathlib import Path
from typing import Any

import pytest

from mri2qmap_bids.errors import PulseqError
from mri2qmap_bids.pulseq.metadata import metadata_of
from mri2qmap_bids.pulseq.reader import read_pulseq
from mri2qmap_bids.pulseq.shots import shots_of
from mri2qmap_bids.pulseq.timeline import timeline_of
from tests.helpers.pulseq import HARD, REFOCUSING, flat_train, write_pulseq


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

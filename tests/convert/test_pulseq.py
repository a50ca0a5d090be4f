"""Raw files and the Pulseq files that they were played from."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from helpers.pulseq import HARD, READ, SPOILER, flat_train, write_pulseq
from helpers.rawfile import acquisition, header_xml, write_file

from mri2qmap_bids import tools
from mri2qmap_bids.convert.pulseq import match_readouts, read_pulseq_scan
from mri2qmap_bids.dataset.sidecar import read_sequence
from mri2qmap_bids.errors import PulseqError, RawDataError
from mri2qmap_bids.recon.acquisition.layout import ReadLayout
from mri2qmap_bids.recon.acquisition.raw import read_raw

RUN = "sub-01/anat/sub-01_MRF"
NOISE = (220, 0, 0, 0, 0, 1)


def pulseq_file(path: Path, blocks, fov="0.5 0.5 0.005") -> Path:
    """A file with a field of view; the read gradient is played along x and y."""
    both = [(*block[:2], block[2], block[2], *block[4:]) for block in blocks]
    write_pulseq(path, both)
    text = path.read_text()
    definition = f"FOV {fov}\n" if fov else ""
    path.write_text(text.replace("[BLOCKS]", f"{definition}[BLOCKS]"))
    return path


def convert(source: Path, dataset: Path, *words) -> int:
    return tools.main(
        ["convert", "ismrmrd", str(source), str(dataset), "--participant-label", "01", *map(str, words)]
    )  # fmt: skip


def raw_file(path: Path, n_lines: int, n_samples=20, **fields) -> Path:
    """Lines of two coils, each with its number as signal."""
    lines = [
        acquisition(np.full((2, n_samples), number + 1 + 0j), None, **fields)
        for number in range(n_lines)
    ]
    return write_file(path, lines, header_xml())


def test_a_pulseq_file_tells_frames_positions_grid_and_sidecar(tmp_path):
    blocks = [NOISE, NOISE, *flat_train(3) * 2]
    scan = read_pulseq_scan(pulseq_file(tmp_path / "a.seq", blocks))
    assert scan.frame.tolist() == [-1, -1, 0, 1, 2, 0, 1, 2]
    # Positions from -9.5 to 9.5 / m over 0.5 m.
    assert scan.matrix == (10, 10, 1)
    assert scan.fov == (0.5, 0.5, 0.005)
    np.testing.assert_allclose(scan.positions[2][:, 0], np.arange(20) - 9.5, atol=1e-5)
    assert scan.metadata["PulseSequenceType"] == "FISP"


def test_a_converted_scan_is_as_it_was_played(tmp_path):
    seq = pulseq_file(tmp_path / "a.seq", [NOISE, NOISE, *flat_train(3) * 2])
    source = raw_file(tmp_path / "raw.h5", 8)
    assert convert(source, tmp_path / "bids", "--pulseq", seq) == 0
    sidecar = json.loads((tmp_path / "bids" / f"{RUN}.json").read_text())
    assert sidecar["FlipAngle"] == pytest.approx([90.0] * 3, abs=1e-4)
    assert sidecar["InversionTime"] == pytest.approx(10e-3)
    scan = read_raw(tmp_path / "bids" / f"{RUN}.h5", ReadLayout(3, trajectory_units="cycles/fov"))
    (part,) = scan.slices
    assert scan.noise.shape == (2, 40)
    # The third line of the file is the first frame of the first shot.
    signal = {frame: set(part.kspace[0, part.frame == frame].real.tolist()) for frame in range(3)}
    assert signal == {0: {3.0, 6.0}, 1: {4.0, 7.0}, 2: {5.0, 8.0}}
    np.testing.assert_allclose(part.trajectory[:20, 0], np.arange(20) - 9.5, atol=1e-4)


def test_reversed_lines_stay_in_the_order_of_time(tmp_path):
    import ismrmrd

    seq = pulseq_file(tmp_path / "a.seq", flat_train(2))
    lines = [
        acquisition(np.arange(40.0).reshape(2, 20) + 0j, None, flags=(ismrmrd.ACQ_IS_REVERSE,))
        for _ in range(2)
    ]
    source = write_file(tmp_path / "raw.h5", lines, header_xml())
    assert convert(source, tmp_path / "bids", "--pulseq", seq) == 0
    scan = read_raw(tmp_path / "bids" / f"{RUN}.h5", ReadLayout(2, trajectory_units="cycles/fov"))
    assert scan.slices[0].kspace[0, :20].real.tolist() == list(range(20))


@pytest.mark.parametrize(
    ("n_lines", "n_samples", "words"),
    [
        (7, 20, "must have the 8 readouts of .*a.seq .6 of them after an excitation., got 7"),
        (8, 19, "readout 0 must have the 20 samples that .*a.seq has, got 19"),
    ],
)
def test_another_scan_is_refused(tmp_path, capsys, n_lines, n_samples, words):
    seq = pulseq_file(tmp_path / "a.seq", [NOISE, NOISE, *flat_train(3) * 2])
    scan = read_pulseq_scan(seq)
    with pytest.raises(RawDataError, match=words):
        match_readouts(scan, [n_samples] * n_lines, tmp_path / "raw.h5")
    source = raw_file(tmp_path / "raw.h5", n_lines, n_samples)
    assert convert(source, tmp_path / "bids", "--pulseq", seq) == 1
    error = capsys.readouterr().err
    assert len(error.strip().splitlines()) == 1
    assert str(source) in error
    assert not (tmp_path / "bids" / f"{RUN}.h5").exists()


def test_a_file_without_field_of_view_is_refused(tmp_path):
    seq = pulseq_file(tmp_path / "a.seq", flat_train(2), fov="")
    with pytest.raises(PulseqError, match=r"must have FOV along x, y and z \[m\], got none"):
        read_pulseq_scan(seq)


def test_a_train_of_no_kind_is_told_by_its_events(tmp_path, caplog):
    seq = pulseq_file(tmp_path / "a.seq", other_train())
    scan = read_pulseq_scan(seq)
    assert scan.metadata["PulseSequenceType"] == "Pulseq"
    names = [event["Event"] for event in scan.metadata["PulseSequenceEvents"]]
    assert names.count("Readout") == 3 and names.count("Spoiling") == 1
    source = raw_file(tmp_path / "raw.h5", 3)
    assert convert(source, tmp_path / "bids", "--pulseq", seq) == 0
    assert "lacks" not in caplog.text
    sidecar = json.loads((tmp_path / "bids" / f"{RUN}.json").read_text())
    assert sidecar["PulseSequenceEvents"] == scan.metadata["PulseSequenceEvents"]


def other_train():
    """Spoiled after the first readout alone, by 2.5 cycles: neither FISP nor bSSFP."""
    blocks = flat_train(3)
    return [*blocks[:6], *(block for block in flat_train(3, spoiler=0)[6:])]


def test_an_unknown_train_is_converted_with_a_warning(tmp_path, caplog):
    blocks = other_train()
    blocks[6] = (110, HARD, READ, 0, SPOILER, 0)  # gradients vary during the pulse
    scan = read_pulseq_scan(pulseq_file(tmp_path / "a.seq", blocks))
    assert scan.metadata == {}
    assert "block 7: gradients must be constant during a pulse" in caplog.text
    assert "the sidecar must name the pulse sequence" in caplog.text


@pytest.mark.parametrize("blocks", [flat_train(3), other_train()], ids=["train", "events"])
def test_a_sidecar_is_made_of_a_pulseq_file_alone(tmp_path, blocks):
    seq = pulseq_file(tmp_path / "a.seq", blocks)
    path = tmp_path / "train.json"
    assert tools.main(["sequence", str(seq), str(path)]) == 0
    sequence = read_sequence(json.loads(path.read_text()), None, path)
    assert sequence.n_frames == 3


def test_a_sidecar_of_a_pulseq_file_is_whole_or_not_there(tmp_path, capsys):
    seq = pulseq_file(tmp_path / "a.seq", flat_train(1))
    path = tmp_path / "train.json"
    assert tools.main(["sequence", str(seq), str(path)]) == 1
    assert "at least 2 frames, got 1" in capsys.readouterr().err
    assert not path.exists()
    assert tools.main(["sequence", str(tmp_path / "no.seq"), str(path)]) == 66
    path.write_text("{}")
    seq = pulseq_file(tmp_path / "a.seq", flat_train(3))
    assert tools.main(["sequence", str(seq), str(path)]) != 0
    assert path.read_text() == "{}"


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        (lambda text: re.sub(r"\[ADC\][^\[]*", "", text), r"must have a section [ADC] with events"),
        (lambda text: text.replace(" 1 0\n", " 0 0\n"), "must read data after an excitation"),
    ],
    ids=["no events", "no readouts"],
)
def test_a_pulseq_file_that_reads_nothing_leaves_nothing_behind(tmp_path, capsys, cut, message):
    seq = pulseq_file(tmp_path / "a.seq", flat_train(2))
    seq.write_text(cut(seq.read_text()))
    source = raw_file(tmp_path / "raw.h5", 2)
    assert convert(source, tmp_path / "bids", "--pulseq", seq) == 1
    error = capsys.readouterr().err
    assert message in error and "a.seq" in error and error.count("\n") == 1
    assert not (tmp_path / "bids").exists()


def test_the_pulseq_file_must_be_there_and_alone(tmp_path, capsys):
    source = raw_file(tmp_path / "raw.h5", 4)
    assert convert(source, tmp_path / "bids", "--pulseq", tmp_path / "no.seq") == 66
    seq = pulseq_file(tmp_path / "a.seq", flat_train(2))
    assert convert(source, tmp_path / "bids", "--pulseq", seq, "--trajectory", "k.npy") == 64
    assert "--trajectory must be absent" in capsys.readouterr().err


def test_only_the_noise_scan_is_rescaled_to_the_bandwidth_of_the_scan(tmp_path):
    import ismrmrd

    seq = pulseq_file(tmp_path / "a.seq", [NOISE, NOISE, *flat_train(3)])
    noise = acquisition(
        np.ones((2, 30)), None, flags=[ismrmrd.ACQ_IS_NOISE_MEASUREMENT], sample_time_us=1.0
    )
    lines = [
        acquisition(np.full((2, 20), number + 1 + 0j), None, sample_time_us=4.0)
        for number in range(5)
    ]
    source = write_file(tmp_path / "raw.h5", [noise, *lines], header_xml())
    assert convert(source, tmp_path / "bids", "--pulseq", seq) == 0
    scan = read_raw(tmp_path / "bids" / f"{RUN}.h5", ReadLayout(3, trajectory_units="cycles/fov"))
    expected = np.concatenate([np.full(30, 0.5), np.full(20, 1.0), np.full(20, 2.0)])
    np.testing.assert_allclose(scan.noise[0].real, expected)

"""The sidecar of a converted run."""

import json
from pathlib import Path

import numpy as np
import pytest

from mri2qmap_bids import RawScan
from mri2qmap_bids.convert.conversion import Conversion
from mri2qmap_bids.convert.sidecar import make_sidecar, n_frames_of, read_user_sidecar
from mri2qmap_bids.dataset.sequence_keys import EVENTS_KEY, key_of
from mri2qmap_bids.errors import InputError, SidecarError
from mri2qmap_bids.recon.physics.sequences.registry import sequence_types

SOURCE = Path("scan.dat")
N_FRAMES = 4
TRAIN = {
    "PulseSequenceType": "FISP",
    "FlipAngle": [10, 20, 30, 40],
    "RepetitionTimeExcitation": 0.012,
    "EchoTime": 0.002,
}
PRIVATE = {
    "PatientName": "Jane Doe",
    "PatientBirthDate": "19700101",
    "AcquisitionDateTime": "2024-01-01T10:00",
    "StudyInstanceUID": "1.2.3",
    "ImageComments": "claustrophobic",
    "DeviceSerialNumber": "42",
    "InstitutionName": "Hospital",
}


@pytest.fixture(scope="module")
def scan():
    y, x = np.mgrid[:8, :8] - 4
    positions = np.stack([x, y], axis=-1).astype(float)
    kspace = np.ones((2, N_FRAMES, 8, 8), complex)
    return RawScan.from_arrays(
        kspace, positions, N_FRAMES, (0.16, 0.16, 0.005), (8, 8), trajectory_units="cycles/fov"
    )


def conversion(scan, **fields):
    return Conversion(scan=scan, readout_lengths=(np.full(8 * N_FRAMES, 8),), **fields)


def write(path, content, encoding="utf-8"):
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding)
    return path


def test_what_may_identify_a_person_is_named_and_left_out(tmp_path, caplog):
    path = write(tmp_path / "train.json", TRAIN | PRIVATE | {"MyKey": 1})
    assert read_user_sidecar(path) == TRAIN | {"MyKey": 1}
    assert all(key in caplog.text for key in PRIVATE)
    assert "Jane" not in caplog.text


def test_no_key_of_a_pulse_sequence_is_taken_for_a_persons(tmp_path, caplog):
    keys = {key_of(p.name) for kind in sequence_types() for p in kind.parameters}
    keys |= {*TRAIN, EVENTS_KEY, "RFPulseShape", "RFTimeBandwidthProduct", "MagneticFieldStrength"}
    content = dict.fromkeys(keys, 1)
    assert read_user_sidecar(write(tmp_path / "train.json", content)) == content
    assert not caplog.records


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_sidecars_of_every_editor_are_read(tmp_path, encoding):
    path = write(tmp_path / "train.json", TRAIN, encoding)
    assert read_user_sidecar(path) == TRAIN


@pytest.mark.parametrize("content", ["[1]", '"x"', "{", ""])
def test_what_is_no_sidecar_is_refused_by_its_name(tmp_path, content):
    with pytest.raises(SidecarError, match=r"train.json: must be a JSON (file|object), got"):
        read_user_sidecar(write(tmp_path / "train.json", content))
    with pytest.raises(InputError, match="absent.json: must be a file"):
        read_user_sidecar(tmp_path / "absent.json")


@pytest.mark.parametrize(
    ("sidecar", "n"),
    [(TRAIN, 4), ({}, None), ({"FlipAngle": 10}, None), ({"FlipAngle": [9]}, None)],
)
def test_a_train_has_as_many_frames_as_flip_angles(sidecar, n):
    assert n_frames_of(sidecar) == n


def test_the_users_word_outweighs_the_sources_and_the_files_layout_outweighs_both(scan, caplog):
    source = conversion(scan, metadata={"DwellTime": 1e-6, "Manufacturer": "Siemens"})
    user = TRAIN | {"DwellTime": 2e-6, "MRFFrameCounter": "set", "MRFTrajectoryUnits": "rad/pixel"}
    content = make_sidecar(SOURCE, source, user)
    assert content == TRAIN | {
        "DwellTime": 2e-6,
        "Manufacturer": "Siemens",
        "MRAcquisitionType": "2D",
        "MRFFrameCounter": "contrast",
        "MRFTrajectoryUnits": "cycles/fov",
        "NumberReceiveCoilActiveElements": 2,
    }
    assert not caplog.records


@pytest.mark.parametrize("missing", TRAIN)
def test_what_a_reconstruction_lacks_is_named(scan, caplog, missing):
    user = {key: value for key, value in TRAIN.items() if key != missing}
    make_sidecar(SOURCE, conversion(scan), user)
    assert f"scan.dat: the sidecar lacks {missing}, which a reconstruction needs" in caplog.text
    # The raw file's header may have it; the sidecar does not repeat it.
    caplog.clear()
    train = {missing: TRAIN[missing]}
    assert missing not in make_sidecar(SOURCE, conversion(scan, train=train), user)
    assert not caplog.records


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"FlipAngle": [10, 20, 30]}, "FlipAngle must have one value for each of the 4 frames, got 3"),
        ({"EchoTime": 2.0}, r"EchoTime must be .*, got 2 \(is it in ms\?\)"),
        ({"PulseSequenceType": "GRE"}, "PulseSequenceType must be one of .*, got 'GRE'"),
        ({"MRFEncoding": -1}, "MRFEncoding must be .*, got -1"),
    ],
)  # fmt: skip
def test_trains_that_do_not_fit_are_refused(scan, changes, words):
    with pytest.raises(SidecarError, match=f"scan.dat: {words}"):
        make_sidecar(SOURCE, conversion(scan), TRAIN | changes)


def test_other_pulse_sequences_need_their_own_keys_alone(scan, caplog):
    echoes = {
        "PulseSequenceType": "SpinEcho",
        "EchoTime": 0.01,
        "RepetitionTimeExcitation": 4.5,
        "InversionTime": [0.05, 0.1, 1.0, 3.0],
    }
    assert (
        make_sidecar(SOURCE, conversion(scan), echoes)["InversionTime"] == echoes["InversionTime"]
    )
    assert not caplog.records
    with pytest.raises(SidecarError, match="must have the 4 frames of the scan, got 2"):
        make_sidecar(SOURCE, conversion(scan), echoes | {"InversionTime": [0.05, 0.1]})
    with pytest.raises(SidecarError, match="EchoTime must be given"):
        make_sidecar(SOURCE, conversion(scan), {k: v for k, v in echoes.items() if k != "EchoTime"})

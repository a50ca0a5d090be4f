"""Metadata to a sequence: units, defaults, fallbacks, and every rule broken once."""

from pathlib import Path

import numpy as np
import pytest

from mri2qmap_bids.dataset.sidecar import read_layout, read_sequence
from mri2qmap_bids.errors import SidecarError
from mri2qmap_bids.recon.acquisition.header import ScanHeader

PATH = Path("sub-01/anat/sub-01_MRF.h5")
HEADER = ScanHeader((8, 8, 1), (0.2, 0.2, 0.005), (8, 8, 1), (0.2, 0.2, 0.005))
GOOD = {
    "PulseSequenceType": "FISP",
    "FlipAngle": [10.0, 20.0, 30.0, 40.0],
    "RepetitionTimeExcitation": 0.012,
    "EchoTime": 0.002,
}


def sequence(header=HEADER, **changes):
    metadata = {key: value for key, value in (GOOD | changes).items() if value is not None}
    return read_sequence(metadata, header, PATH)


def test_degrees_become_radians_and_scalars_trains():
    found = sequence(InversionTime=0.02, RFPhase=[0, 90, 180, 270], InversionEfficiency=0.95)
    assert np.allclose(found.flip_angle, np.deg2rad([10, 20, 30, 40]))
    assert np.allclose(found.rf_phase, np.deg2rad([0, 90, 180, 270]))
    assert found.repetition_time.tolist() == [0.012] * 4
    assert found.echo_time.tolist() == [0.002] * 4
    assert (found.inversion_time, found.inversion_efficiency) == (0.02, 0.95)
    assert found.preparation_time is None


def test_defaults():
    assert sequence().inversion_time is None
    assert sequence().rf_phase.tolist() == [0] * 4
    balanced = sequence(PulseSequenceType="bSSFP", EchoTime=0.006)
    assert np.allclose(balanced.rf_phase, [0, np.pi, 0, np.pi])


@pytest.mark.parametrize("name", ["FISP", "fisp", "FISP-MRF"])
def test_sequence_type_is_read_in_any_case(name):
    assert sequence(PulseSequenceType=name).kind == "FISP"


def test_header_fills_what_the_sidecar_leaves_out():
    header = ScanHeader(
        (8, 8, 1), (0.2, 0.2, 0.005), (8, 8, 1), (0.2, 0.2, 0.005),
        repetition_time=(0.01,), echo_time=(0.001,), inversion_time=(0.03,), flip_angle=(5.0, 6.0),
    )  # fmt: skip
    found = sequence(header, FlipAngle=None, RepetitionTimeExcitation=None, EchoTime=None)
    assert np.allclose(found.flip_angle, np.deg2rad([5, 6]))
    assert found.repetition_time.tolist() == [0.01, 0.01]
    assert found.inversion_time == 0.03
    assert sequence(header).echo_time[0] == 0.002  # the sidecar wins


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"PulseSequenceType": None}, "PulseSequenceType must be FISP or bSSFP, got None"),
        ({"PulseSequenceType": "GRE"}, "PulseSequenceType must be FISP or bSSFP, got 'GRE'"),
        ({"FlipAngle": None}, "FlipAngle must be given"),
        ({"FlipAngle": 10.0}, "FlipAngle must be a list"),
        ({"FlipAngle": []}, "FlipAngle must be a number or a list"),
        ({"FlipAngle": ["10", "20"]}, "FlipAngle must be a number or a list"),
        ({"FlipAngle": [10.0, float("nan")]}, "FlipAngle must be finite"),
        ({"RepetitionTimeExcitation": None}, "RepetitionTimeExcitation must be given"),
        ({"RepetitionTimeExcitation": 12.0}, r"to 1 s, got 12 \(is it in ms\?\)"),
        (
            {"RepetitionTimeExcitation": 0.0},
            "RepetitionTimeExcitation must have a median of 0.0005 to 1 s, got 0",
        ),
        ({"RepetitionTimeExcitation": [0.01] * 3}, r"as many as FlipAngle \(4\), got 3"),
        ({"EchoTime": None}, "EchoTime must be given"),
        ({"EchoTime": 0.012}, "EchoTime must be below the repetition time"),
        ({"EchoTime": -0.001}, "EchoTime must be 0, or 8e-06 to 0.5 s, got -0.001"),
        ({"RFPhase": [0.0, 1.0]}, "RFPhase must have one value, or as many"),
        ({"InversionTime": -1.0}, "InversionTime must be 0, or 0.0005 to 4 s, got -1"),
        ({"InversionTime": [0.1, 0.2]}, "InversionTime must be one number"),
        ({"InversionEfficiency": 1.1}, "InversionEfficiency must be 0 to 1, got 1.1"),
        ({"RepetitionTimePreparation": 0.04}, "RepetitionTimePreparation must be at least"),
        ({"SliceProfile": [1.0, -0.5]}, "SliceProfile must be 0 to 3, got -0.5 to 1"),
    ],
)
def test_a_broken_rule_names_file_key_rule_and_value(changes, words):
    with pytest.raises(SidecarError, match=words) as caught:
        sequence(**changes)
    assert str(caught.value).startswith("sub-01/anat/sub-01_MRF.json: ")
    assert "\n" not in str(caught.value)


def test_layout_defaults_and_choices():
    layout = read_layout({}, 4, PATH)
    assert (layout.frame_counter, layout.trajectory_units, layout.is_3d) == ("contrast", None, None)
    layout = read_layout(
        {"MRFFrameCounter": "set", "MRFTrajectoryUnits": "cycles/fov", "MRAcquisitionType": "3D"},
        4,
        PATH,
    )
    assert (layout.frame_counter, layout.trajectory_units, layout.is_3d) == (
        "set",
        "cycles/fov",
        True,
    )


@pytest.mark.parametrize("key", ["MRFFrameCounter", "MRFTrajectoryUnits", "MRAcquisitionType"])
def test_unknown_layout_words_are_refused(key):
    with pytest.raises(SidecarError, match=rf"{key} must be .*, got 'nonsense'"):
        read_layout({key: "nonsense"}, 4, PATH)

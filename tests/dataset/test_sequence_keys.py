"""Sidecars of pulse sequences that are made of events: keys, units, and every rule broken once."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.sequences import CASES

from mri2qmap_bids.dataset.sequence_keys import events_keys, key_of
from mri2qmap_bids.dataset.sidecar import read_sequence
from mri2qmap_bids.errors import SidecarError, UsageError
from mri2qmap_bids.recon.acquisition.header import ScanHeader
from mri2qmap_bids.recon.physics.event_sequence import EventSequence
from mri2qmap_bids.recon.physics.events import Delay, Readout, RFPulse
from mri2qmap_bids.recon.physics.sequences.look_locker import look_locker
from mri2qmap_bids.recon.physics.sequences.registry import sequence_types
from mri2qmap_bids.recon.physics.sequences.spin_echo import spin_echo
from mri2qmap_bids.recon.physics.sequences.spoiled_gradient_echo import spoiled_gradient_echo
from mri2qmap_bids.simulate.sequences import from_sidecar

PATH = Path("sub-01/anat/sub-01_MRF.h5")
SPGR = {
    "PulseSequenceType": "SpoiledGradientEcho",
    "FlipAngle": [5, 10.0, 20.0],
    "RepetitionTimeExcitation": 0.012,
    "EchoTime": 0.002,
}
PULSE = {"Event": "RFPulse", "FlipAngle": 90}
EVENTS = [
    *[PULSE, {"Event": "Delay", "Duration": 0.1}, {"Event": "Readout", "Phase": 90}],
    *[{"Event": "Crusher"}, PULSE, {"Event": "Readout"}],
]
EVENT_BASED = [name for name, case in CASES.items() if isinstance(case, EventSequence)]


def sequence(header=None, **keys):
    return read_sequence({k: v for k, v in keys.items() if v is not None}, header, PATH)


def same(one: EventSequence, other: EventSequence) -> bool:
    assert [type(event) for event in one.events] == [type(event) for event in other.events]
    numbers = [
        np.concatenate([np.ravel(value) for event in s.events for value in vars(event).values()])
        for s in (one, other)
    ]
    return np.allclose(*numbers, atol=1e-12) and (
        one.kind,
        one.inversion_efficiency,
        one.preparation_time,
        one.slice_profile,
    ) == (other.kind, other.inversion_efficiency, other.preparation_time, other.slice_profile)


def test_degrees_become_radians_and_scalars_trains():
    built = spoiled_gradient_echo(
        np.deg2rad([5, 10, 20]), 0.012, 0.002, np.deg2rad(50), inversion_time=0.02,
        inversion_efficiency=0.9, preparation_time=2.0, slice_profile=(0.5, 1.0),
    )  # fmt: skip
    more = {"SpoilingRFPhaseIncrement": 50, "InversionTime": 0.02, "InversionEfficiency": 0.9}
    shots = {"RepetitionTimePreparation": 2.0, "SliceProfile": [0.5, 1]}
    assert same(sequence(**SPGR, **more, **shots), built)
    assert sequence(**SPGR | {"PulseSequenceType": "spgr"}).kind == "SpoiledGradientEcho"


def test_frames_are_the_longest_list():
    keys = {"EchoTime": 0.01, "RepetitionTimeExcitation": 3, "InversionTime": [0.05, 0.4, 1.5]}
    read = sequence(PulseSequenceType="SpinEcho", NumberDummies=1, **keys)
    assert same(read, spin_echo(0.01, 3.0, [0.05, 0.4, 1.5], number_dummies=1))


def test_header_fills_what_the_sidecar_leaves_out():
    header = ScanHeader(
        (8, 8, 1), (0.2, 0.2, 0.005), (8, 8, 1), (0.2, 0.2, 0.005),
        repetition_time=(0.03,), echo_time=(0.001,), inversion_time=(0.02,), flip_angle=(5.0, 6.0),
    )  # fmt: skip
    read = sequence(header, PulseSequenceType="LookLocker", EchoTime=0.002)
    assert same(read, look_locker(np.deg2rad([5, 6]), 0.03, 0.002, 0.02))


def test_events_are_read_one_by_one():
    read = sequence(PulseSequenceType="Mine", PulseSequenceEvents=EVENTS)
    assert (read.kind, read.n_frames) == ("Mine", 2)
    assert read.events[:3] == (RFPulse(np.pi / 2), Delay(0.1), Readout(np.pi / 2))
    # The events count even where the type has keys of its own.
    assert same(
        sequence(**SPGR, PulseSequenceEvents=EVENTS),
        sequence(PulseSequenceType="SpoiledGradientEcho", PulseSequenceEvents=EVENTS),
    )


@pytest.mark.parametrize("name", EVENT_BASED)
def test_events_survive_their_sidecar(name, tmp_path):
    keys = json.loads(json.dumps(events_keys(CASES[name])))
    assert same(sequence(PulseSequenceType=name, **keys), CASES[name])
    path = tmp_path / "x_MRF.json"
    path.write_text(json.dumps({"PulseSequenceType": name, **keys}))
    assert from_sidecar(path, 3).n_frames == 3
    with pytest.raises(UsageError, match="at least 999 frames, got"):
        from_sidecar(path, 999)


def test_every_parameter_has_a_key_of_its_own():
    for kind in sequence_types():
        keys = [key_of(parameter.name) for parameter in kind.parameters]
        assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"FlipAngle": None}, "FlipAngle must be given, got nothing"),
        ({"FlipAngle": 10.0}, "FlipAngle, .*EchoTime must be a list with one value per frame"),
        ({"FlipAngle": [10, 400]}, "FlipAngle must be 0 to 360 deg, got 10 to 400"),
        ({"FlipAngle": [10, float("nan")]}, "FlipAngle must be 0 to 360 deg"),
        ({"FlipAngle": ["10", "20"]}, "FlipAngle must be a number or a list"),
        ({"RepetitionTimeExcitation": 12.0}, r"0.0001 to 1 s \(is it in milliseconds\?\), got 12"),
        ({"RepetitionTimeExcitation": [0.01] * 2}, r"the longest list \(3\), got 2"),
        ({"EchoTime": 0.02}, "RepetitionTimeExcitation must be at least the 0.02 s of its events"),
        ({"FlipAngle": [10, 10**400]}, "FlipAngle must be 0 to 360 deg, got 10 to inf"),
        (
            {"PulseSequenceEvents": [{**PULSE, "FlipAngle": 10**400}]},
            "event 1: flip_angle must be finite",
        ),
        ({"PulseSequenceEvents": [{**PULSE, "FlipAngle": "9"}]}, "flip_angle must be a number"),
        ({"InversionTime": [0.1, 0.2]}, "InversionTime must be one number"),
        ({"InversionEfficiency": 1.1}, "InversionEfficiency must be 0 to 1, got 1.1"),
        ({"RepetitionTimePreparation": 0.01}, "RepetitionTimePreparation must be at least"),
        ({"SliceProfile": [1, -1]}, "SliceProfile must be 0 to 3, got -1 to 1"),
        ({"PulseSequenceEvents": []}, "PulseSequenceEvents: events must hold a Readout"),
        ({"PulseSequenceEvents": "x"}, "PulseSequenceEvents must be a list of objects, got x"),
        ({"PulseSequenceEvents": EVENTS[:3]}, "must have at least 2 events Readout, got 1"),
        (
            {"PulseSequenceEvents": [{"Event": "Delay", "Duration": 100}]},
            r"event 1: Duration must be at most 60 s \(is it in milliseconds\?\), got 100",
        ),
        (
            {"PulseSequenceEvents": [PULSE, {"Event": "Pause"}]},
            "event 2: must be one of RFPulse, .*, got 'Pause'",
        ),
        ({"PulseSequenceEvents": EVENTS, "PulseSequenceType": None}, "PulseSequenceType must be a"),
    ],
)
def test_a_broken_rule_names_file_key_rule_and_value(changes, words):
    with pytest.raises(SidecarError, match=words) as caught:
        sequence(**SPGR | changes)
    assert str(caught.value).startswith("sub-01/anat/sub-01_MRF.json: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"FlipAngle": "variable"}, "FlipAngle must be a number or a list of numbers, got 'var"),
        ({"EchoTime": ["a"]}, "EchoTime must be a number or a list of numbers"),
        ({"RepetitionTimeExcitation": {"x": 1}}, "RepetitionTimeExcitation must be a number"),
        ({"InversionTime": [[1], [2, 3]]}, "InversionTime must be a number or a list of numbers"),
        ({"MagneticFieldStrength": "3"}, "MagneticFieldStrength must be a number, got '3'"),
        ({"MagneticFieldStrength": 3000}, r"MagneticFieldStrength must be .* T, got 3000"),
    ],
)
def test_keys_that_only_the_maps_sidecars_take_are_checked_before_the_run(changes, words):
    keys = {"PulseSequenceType": "Mine", "PulseSequenceEvents": EVENTS}
    with pytest.raises(SidecarError, match=f"^sub-01/anat/sub-01_MRF.json: {words}"):
        sequence(**keys, **changes)
    assert (
        sequence(**keys, FlipAngle=90, EchoTime=[0.1, 0.2], MagneticFieldStrength=3).n_frames == 2
    )
    if "MagneticFieldStrength" in changes:
        with pytest.raises(SidecarError, match=words):
            sequence(**SPGR, **changes)

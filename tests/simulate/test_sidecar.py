"""The simulator's sidecars: numbers where all are the same, trains where not."""

from dataclasses import replace

import numpy as np
import pytest

from mri2qmap_bids.simulate.rawfile import RawFileOptions
from mri2qmap_bids.simulate.sequences import make_sequence
from mri2qmap_bids.simulate.sidecar import make_sidecar
from mri2qmap_bids.simulate.trajectory import make_trajectory

SEQUENCE = make_sequence("FISP", 4)


def keys(sequence=SEQUENCE, matrix=(8, 8), **options):
    trajectory = make_trajectory("radial", matrix, 4, 2.0)
    return make_sidecar(sequence, trajectory, 3, RawFileOptions(**options))


def test_flip_angles_are_always_a_train_in_degrees():
    flat = replace(SEQUENCE, flip_angle=np.full(4, np.pi / 6))
    assert keys(flat)["FlipAngle"] == [30.0] * 4
    assert keys()["RepetitionTimeExcitation"] == 0.012
    uneven = replace(SEQUENCE, repetition_time=np.array([0.01, 0.02, 0.01, 0.01]))
    assert keys(uneven)["RepetitionTimeExcitation"] == [0.01, 0.02, 0.01, 0.01]


def test_what_a_sequence_does_not_have_is_not_there():
    assert (
        keys()
        .keys()
        .isdisjoint({"InversionEfficiency", "RepetitionTimePreparation", "RFPhase", "SliceProfile"})
    )
    assert "InversionTime" not in keys(replace(SEQUENCE, inversion_time=None))
    turned = replace(SEQUENCE, rf_phase=np.full(4, np.pi / 2))
    assert keys(turned)["RFPhase"] == pytest.approx(90)


def test_the_readout_is_described():
    flat, solid = keys(), keys(matrix=(8, 8, 8), frame_counter="set", trajectory_units="rad/pixel")
    assert (flat["MRAcquisitionType"], solid["MRAcquisitionType"]) == ("2D", "3D")
    assert (solid["MRFFrameCounter"], solid["MRFTrajectoryUnits"]) == ("set", "rad/pixel")
    assert flat["NumberReceiveCoilActiveElements"] == 3
    assert flat["MRFAcceleration"] == pytest.approx(2, rel=0.2)

"""Sidecars of maps: what they take over from the raw data, and in which unit."""

from dataclasses import dataclass, replace
from functools import reduce
from operator import getitem

import numpy as np
import pytest

from mri2qmap_bids.dataset import provenance
from mri2qmap_bids.dataset.provenance import (
    describe_contrast,
    describe_maps,
    describe_tissues,
)
from mri2qmap_bids.dataset.tissue import t1_limits
from mri2qmap_bids.recon.acquisition.header import ScanHeader
from mri2qmap_bids.recon.methods.registry import method_named
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.contrasts import ROUTINE_CONTRASTS

HEADER = ScanHeader((8, 8, 1), (0.2, 0.2, 0.005), (8, 8, 1), (0.2, 0.2, 0.005), field_strength=3.0)


def described(metadata=None, **options):
    return describe_maps(metadata or {}, HEADER, ReconOptions(**options))


def test_a_train_of_one_value_is_a_number_and_any_other_is_left_out():
    keys = described({"EchoTime": [0.002, 0.002], "RepetitionTimeExcitation": [0.01, 0.02]})
    assert keys["EchoTime"] == 0.002
    assert "RepetitionTimeExcitation" not in keys and "InversionTime" not in keys


def test_flip_angles_and_echo_times_are_those_of_every_frame_if_bids_takes_them():
    keys = described({"EchoTime": [0.002, 0.003], "FlipAngle": np.array([10.0, 20.0])})
    assert keys["EchoTime"] == [0.002, 0.003] and keys["FlipAngle"] == [10.0, 20.0]
    assert described({"FlipAngle": 15})["FlipAngle"] == 15
    assert "FlipAngle" not in described({"FlipAngle": [0.0, 20.0]})


def test_limits_of_tissues_are_those_at_the_field_strength():
    keys = describe_tissues({"sub": "01"}, 7.0)
    assert keys["T1Limits"] == {
        tissue: [pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4) if high < 9 else None]
        for tissue, (low, high) in t1_limits(7.0).items()
    }
    assert "bids::sub-01/anat/sub-01_T1map.nii.gz" in keys["Sources"]


def test_the_sidecars_field_strength_goes_before_the_headers():
    assert described()["MagneticFieldStrength"] == 3.0
    assert described({"MagneticFieldStrength": 2.89})["MagneticFieldStrength"] == 2.89


def test_the_resolution_is_in_millimetres_along_x_y_z():
    keys = describe_maps({}, HEADER, ReconOptions(), np.array([3e-3, 2e-3, 1e-3]))
    assert keys["EffectiveResolution"] == pytest.approx([1, 2, 3])
    assert "EffectiveResolution" not in described()


@pytest.mark.parametrize("method", ["lrtv", "gridding", "mri2qmap"])
def test_labels_and_values_of_parameters_go_together(method):
    keys = described(method=method, rank=7, grid_step=0.125)
    labels, values = (keys[f"ReconMethodParameter{name}"] for name in ("Labels", "Values"))
    parameters = dict(zip(labels, values, strict=True))
    assert len(keys["ReconMethodParameterUnits"]) == len(labels)
    assert parameters["rank"] == 7 and parameters["grid_step"] == 0.125
    for label, value in parameters.items():
        assert reduce(getitem, label.split("."), keys["MRFReconstruction"]) == value
    assert any(label.startswith("settings.") for label in labels) is (method != "gridding")
    assert keys["MRFReconstruction"]["method"] == method


def test_the_settings_of_a_method_of_another_package_have_labels(monkeypatch):
    @dataclass(frozen=True)
    class Blur:
        width: float = 1.5
        wraps: bool = True

    toy = replace(method_named("subspace"), settings=Blur())
    monkeypatch.setattr(provenance, "method_named", lambda name: toy)
    keys = described(method="subspace")
    labels, values = (keys[f"ReconMethodParameter{name}"] for name in ("Labels", "Values"))
    assert dict(zip(labels, values, strict=True))["settings.width"] == 1.5
    assert "settings.wraps" not in labels and len(labels) == len(set(labels))


def test_a_contrast_has_the_keys_of_its_kind_in_seconds_and_degrees():
    t1w, flair = (describe_contrast(ROUTINE_CONTRASTS[name]) for name in ("T1w", "FLAIR"))
    assert t1w["FlipAngle"] == pytest.approx(25, abs=0.01) and "InversionTime" not in t1w
    assert 1 < flair["InversionTime"] < flair["RepetitionTimeExcitation"] < 20
    assert "FlipAngle" not in flair


def test_flair_of_thick_voxels_says_what_is_wrong_with_it():
    thin, thick = (describe_contrast(ROUTINE_CONTRASTS["FLAIR"], mm) for mm in (4.0, 5.0))
    assert "Description" not in thin
    assert "Voxels of 5 mm" in thick["Description"]
    assert "Description" not in describe_contrast(ROUTINE_CONTRASTS["T1w"], 5.0)


def test_no_inversion_is_no_inversion_time_of_0():
    """BIDS has it above 0."""
    assert "InversionTime" not in described({"InversionTime": 0})
    assert described({"InversionTime": 0.02})["InversionTime"] == 0.02

"""The parameters of a run, as they stand on its page."""

from dataclasses import replace

import numpy as np
from helpers.diagnostics import some_run

from mri2qmap_bids.report.facts import facts_of


def test_sizes_are_told_as_x_y_z_and_the_volume_in_ml():
    run = replace(some_run(), affine=np.diag([1.6, 3.125, 5.0, 1.0]))
    facts = dict(facts_of(run))
    assert facts["Voxels"] == "10 x 10 x 2 (slices), 1.6 x 3.12 x 5 mm"
    assert facts["Mask"] == "200 voxels, 5 ml"  # 200 x 25 mm^3
    assert facts["Method"] == "not known"


def test_the_time_is_that_of_all_stages():
    run = some_run()
    assert run.conditions is not None
    read = replace(run, conditions=replace(run.conditions, seconds={"read": 2.5}))
    assert dict(facts_of(read))["Time"] == "3.5 s"  # 1 s of the diagnostics


def test_what_is_not_known_is_left_out():
    bare = replace(some_run(), diagnostics=None, conditions=None)
    names = {"Method", "Voxels", "Mask"}
    assert set(dict(facts_of(bare))) == names
    sidecar = {"MagneticFieldStrength": 3, "MRFInversionEfficiency": 0.9571, "Sources": ["a", "b"]}
    facts = dict(facts_of(replace(bare, sidecar=sidecar)))
    assert set(facts) == names | {"Field strength", "Sources"}  # the efficiency is of the sequence
    assert (facts["Field strength"], facts["Sources"]) == ("3 T", "a, b")
    assert dict(facts_of(replace(some_run(), sidecar=sidecar)))["Inversion efficiency"].startswith(
        "0.957"
    )


def test_a_stack_says_which_slice_was_diagnosed():
    facts = dict(facts_of(some_run()))
    assert facts["Figures of the fit"].startswith("of slice 2 of 2, as the check")
    diagnostics = replace(some_run().diagnostics, is_3d=True)
    assert "Checks and figures of the fit" not in dict(
        facts_of(replace(some_run(), diagnostics=diagnostics))
    )

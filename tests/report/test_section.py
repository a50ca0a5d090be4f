"""The section of one run: its rating, panels and sentences."""

from dataclasses import replace

import numpy as np
from helpers.diagnostics import full, some_diagnostics, some_run

from mri2qmap_bids.report.section import section_of


def test_a_section_has_the_worst_level_of_its_checks_and_views_only_on_demand(tmp_path):
    good = section_of(some_run(), tmp_path, viewer=False)
    assert good.level == "good"
    assert {check.level for check in good.checks} <= {"good", None}
    varied = np.random.default_rng(0).uniform(0.05, 1, (2, 10, 10)).astype(np.float32)
    bad = section_of(some_run(["cold coil"], t1=varied, t2=varied / 10), tmp_path, viewer=True)
    assert bad.level == "look"
    assert set(bad.views) == {"T1", "T2"}
    assert good.views == {}
    assert good.anchor == "sub-01" and good.registration is None


def test_t1_is_seen_with_t2_and_every_other_map_alone(tmp_path):
    section = section_of(replace(some_run(), synthetic={"T1w": full(2.0)}), tmp_path, False)
    panels = {title: [name for name, _ in parts] for title, parts in section.panels}
    assert panels == {
        "T1 and T2": ["T1", "T2"],
        "M0": ["M0"],
        "± T1 and T2": ["± T1", "± T2"],
        "T1w": ["T1w"],
    }


def test_medians_are_of_the_mask_in_ms(tmp_path):
    mask = np.ones((2, 10, 10), bool)
    mask[0] = False
    t1 = np.where(mask, 0.9, 4.0).astype(np.float32)
    assert section_of(some_run(t1=t1, mask=mask), tmp_path, False).medians == ("900", "80")
    empty = some_run(mask=np.zeros_like(mask))
    assert replace(section_of(some_run(), tmp_path, False), run=empty).medians == ("-", "-")


def test_the_caption_says_what_was_done_to_the_coils(tmp_path):
    section = section_of(some_run(), tmp_path, False)
    assert section.coils_caption == "Magnitude. The coils were whitened."
    raw = some_run(diagnostics=some_diagnostics(white=False))
    assert "no noise scan" in replace(section, run=raw).coils_caption
    diagnostics = some_diagnostics()
    noise = diagnostics.coil_noise
    many = replace(noise, deviation=np.ones(12, np.float32))
    compressed = some_run(diagnostics=replace(diagnostics, coil_noise=many))
    assert replace(section, run=compressed).coils_caption.endswith("compressed from 12 to 2.")


def test_memory_is_the_planned_and_the_measured_peak(tmp_path):
    section = section_of(some_run(), tmp_path, False)
    assert section.memory is not None and section.memory[1] == 1.0
    unknown = replace(some_run(), diagnostics=None)
    assert replace(section, run=unknown).memory is None


def test_flair_has_a_caution_in_thick_voxels(tmp_path):
    section = section_of(some_run(), tmp_path, False)
    assert section.caution("T1w") is None
    thick = replace(some_run(), affine=np.diag([1.0, 1.0, 5.0, 1.0]))
    assert "fluid" in (replace(section, run=thick).caution("FLAIR") or "")
    assert section.caution("FLAIR") is None


def test_a_run_whose_diagnostics_are_gone_keeps_its_rating(tmp_path):
    sidecar = {"QualityVerdict": "bad", "QualityReasons": ["not converged"]}
    bad = replace(some_run(), diagnostics=None, sidecar=sidecar)
    section = section_of(bad, tmp_path, viewer=False)
    assert section.level == "bad"
    assert dict(section.facts)["Rating when it was made"] == "BAD: not converged"
    again = section_of(replace(some_run(), sidecar=sidecar), tmp_path, viewer=False)
    assert again.level == "good"  # by all rules

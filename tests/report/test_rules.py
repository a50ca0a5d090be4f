"""The traffic light: each rule can be good and can be bad."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.diagnostics import SHAPE, full, some_diagnostics
from helpers.diagnostics import some_run as run

from mri2qmap_bids.dataset.verdict import worst
from mri2qmap_bids.report.rules import RULES, Check, check, level_of, verdict


def levels(of):
    return {answer.rule.name: answer.level for answer in check(of)}


def test_a_good_run_is_good_in_everything():
    assert set(levels(run()).values()) == {"good"}


def share(value, other, percent):
    """A map of which so many per cent have the one value."""
    values = full(other).ravel()
    values[: int(len(values) * percent / 100)] = value
    return values.reshape(SHAPE)


@pytest.mark.parametrize(
    ("name", "spoilt", "level"),
    [
        ("Tissue", {"t1": share(3.0, 1.0, 50)}, "look"),
        ("Tissue", {"t1": full(3.0)}, "bad"),
        # Half and one and a half times the flip angles: T1 and the misfit are as ever.
        ("T2 of tissue", {"t2": share(0.028, 0.08, 60)}, "look"),
        ("T2 of tissue", {"t2": full(0.17)}, "bad"),
        ("T1 at the grid's lower end", {"t1": share(0.1, 1.0, 5)}, "look"),
        ("T1 at the grid's upper end", {"t1": share(5.0, 1.0, 30)}, "bad"),
        ("T2 at the grid's lower end", {"t2": share(0.01, 0.08, 5)}, "look"),
        ("T2 at the grid's upper end", {"t2": share(2.0, 0.08, 30)}, "bad"),
        ("T2 at the grid's upper end", {"t2": share(1.9, 0.08, 30)}, "good"),
        ("Uncertainty", {"t2_std": full(0.016)}, "look"),
        ("Uncertainty", {"t1_std": full(0.5)}, "bad"),
        ("Uncertainty", {"t1_std": None}, None),
        ("Residual against noise", {"diagnostics": some_diagnostics(noise=2.0)}, "look"),
        ("Residual against noise", {"diagnostics": some_diagnostics(noise=9.0, white=False)}, None),
        (
            "Residual against noise",
            {"diagnostics": some_diagnostics(noise=9.0), "method": "gridding"},
            None,
        ),
        ("Misfit of the fingerprints", {"diagnostics": some_diagnostics(misfit=0.7)}, "bad"),
        ("Misfit of the fingerprints", {"diagnostics": some_diagnostics(misfit=0.05)}, "look"),
        ("Convergence", {"diagnostics": some_diagnostics(energy_left=0.06)}, "look"),
        ("Convergence", {"diagnostics": some_diagnostics(energy_left=0.3)}, "bad"),
        ("Convergence", {"diagnostics": some_diagnostics(energy_left=None)}, None),
        ("Coverage of k-space", {"diagnostics": some_diagnostics(coverage=0.5)}, "bad"),
        ("Warnings", {"warnings": ["one"]}, "look"),
        ("Warnings", {"warnings": ["one"] * 99}, "look"),
    ],
)
def test_each_rule_sees_its_own_fault(name, spoilt, level):
    checks = check(run(**spoilt))
    answers = {answer.rule.name: answer.level for answer in checks}
    assert answers.pop(name) == level
    # Where nothing has the T1 of tissue, nothing is known of its T2.
    assert set(answers.values()) - {None} == {"good"}
    # The verdict is that of this rule, with its value and the limit that it has reached.
    (answer,) = (answer for answer in checks if answer.rule.name == name)
    assert verdict(checks).level == (level or "good")
    if level in ("look", "bad"):
        (reason,) = verdict(checks).reasons
        limit = f"{getattr(answer.rule, level):g}"
        assert answer.text in reason
        assert f"({level} {'below' if answer.rule.falling else 'from'} {limit}" in reason


def of_slices(*changes):
    """Diagnostics of as many slices, each a good one but for what is changed."""
    diagnostics = some_diagnostics()
    (good,) = diagnostics.slices
    return replace(diagnostics, slices=tuple(replace(good, **change) for change in changes))


GOOD = some_diagnostics().slices[0].figures


@pytest.mark.parametrize(
    ("name", "spoilt", "level"),
    [
        ("Residual against noise", {"noise": 9.0}, "bad"),
        ("Residual against noise", {"noise": float("nan")}, "bad"),
        ("Convergence", {"energy_left": 0.06}, "look"),
        ("Signal-to-noise ratio", {"figures": replace(GOOD, snr=2.0)}, "bad"),
        ("Motion", {"figures": replace(GOOD, displacement=1.0)}, "look"),
        ("Misfit of the fingerprints", {"figures": replace(GOOD, misfit=0.5)}, "bad"),
    ],
)
def test_one_bad_slice_is_seen_and_named(name, spoilt, level):
    checks = check(run(diagnostics=of_slices({}, {}, {}, spoilt)))
    (answer,) = (answer for answer in checks if answer.rule.name == name)
    assert (answer.level, answer.place) == (level, "slice 4 of 4")
    assert verdict(checks).level == level
    assert " in slice 4 of 4 (" in answer.reason


def test_a_slice_without_tissue_does_not_count():
    empty = {"signal": 0.2, "noise": 9.0, "figures": replace(GOOD, snr=0.5, misfit=0.9)}
    assert set(levels(run(diagnostics=of_slices({}, empty))).values()) == {"good"}


def test_the_delay_is_that_of_the_middle_slice():
    late = {"figures": replace(GOOD, delay=0.5)}
    assert levels(run(diagnostics=of_slices(late, {}, late)))["Delay"] == "good"
    assert levels(run(diagnostics=of_slices({}, late, {})))["Delay"] == "look"


def test_diagnostics_without_slices_are_not_known():
    unknown = replace(some_diagnostics(), slices=())
    answers = levels(run(diagnostics=unknown))
    assert {answers[n] for n in ("Motion", "Delay", "Convergence", "Condition")} == {None}


def test_a_value_beside_a_limit_is_not_rounded_to_it():
    for rule in RULES:
        for limit in {rule.look, rule.bad} - {float("inf")}:
            for value in (0.996 * limit, limit, 1.004 * limit, 1.3 * limit):
                answer = Check(rule, level_of(rule, value), value)
                shown = float(answer.text.removesuffix(" %"))
                assert level_of(rule, shown) == answer.level, (rule.name, value, answer.text)
    tissue = RULES[0]
    assert (
        Check(tissue, "look", 59.76).reason
        == "T1 of brain tissue in only 59.8 % of the mask (look below 60 %)"
    )
    assert [Check(tissue, "good", value).text for value in (60.24, 61.24, 99.7)] == [
        "60 %",
        "61 %",
        "100 %",
    ]


def test_the_verdict_gives_the_reasons_of_the_worst_level_alone():
    of = run(t1=full(3.0), t2=share(0.01, 0.08, 5), warnings=["one"])
    assert (
        str(verdict(check(of)))
        == "BAD: T1 of brain tissue in only 0 % of the mask (bad below 30 %)"
    )
    assert str(verdict(check(run()))) == "GOOD"


def test_an_empty_mask_is_bad_and_breaks_nothing():
    assert worst(list(levels(run(mask=np.zeros(SHAPE, bool))).values())) == "bad"


def test_no_number_is_bad():
    assert {level_of(rule, float("nan")) for rule in RULES} == {"bad"}


def test_limits_are_said():
    assert "look < 90 %, bad < 60 %" in {rule.limits for rule in RULES}
    assert "look ≥ 1" in {rule.limits for rule in RULES}


@pytest.mark.parametrize("name", ["t1", "t2"])
def test_values_that_are_no_numbers_are_never_good(name):
    broken = run(**{name: share(np.nan, 0.08 if name == "t2" else 1.0, 5)}, t1_std=None)
    quantity = name.upper()
    answers = levels(broken)
    assert answers[f"{quantity} at the grid's lower end"] == "bad"
    assert answers[f"{quantity} at the grid's upper end"] == "bad"

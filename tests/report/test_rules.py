"""The traffic light: each rule can be good and can be bad."""

from types import SimpleNamespace

import numpy as np
import pytest

from mri2qmap_bids.dataset.figures import Conditions
from mri2qmap_bids.dataset.verdict import worst
from mri2qmap_bids.recon.diagnostics.model import Convergence
from mri2qmap_bids.report.rules import RULES, check, level_of, verdict
from mri2qmap_bids.report.run import Run

SHAPE = (2, 10, 10)


def full(value):
    return np.full(SHAPE, value, np.float32)


def diagnostics(**changes):
    facts = {"noise": 1.0, "coverage": 1.0, "left": 1e-4, "misfit": 0.05, "coil_noise": "there"}
    facts |= changes
    plane = SimpleNamespace(axis=0, index=1, misfit=np.full(SHAPE[1:], facts["misfit"], np.float16))
    return SimpleNamespace(
        t1_range=(0.1, 5.0),
        t2_range=(0.01, 2.0),
        is_3d=False,
        coil_noise=facts["coil_noise"],
        steps={},
        part=SimpleNamespace(
            planes=(plane,),
            residual=SimpleNamespace(noise=facts["noise"]),
            sampling=SimpleNamespace(coverage=facts["coverage"]),
            # Of all components together, then of each: only the first row counts.
            convergence=facts["left"]
            and Convergence(np.array([[1e-5, facts["left"]], [0.9, 0.9]], np.float32), True),
        ),
    )


def run(warnings=(), method="lrtv", found=None, **changes):
    fields = {
        "t1": full(1.0),
        "t2": full(0.08),
        "m0": full(1.0),
        "t1_std": full(0.01),
        "t2_std": full(0.001),
        "mask": np.ones(SHAPE, bool),
    }
    conditions = Conditions("", tuple(warnings), {"method": method}, {}, 1.0, {})
    return Run(
        entities={"sub": "01"},
        affine=np.eye(4),
        synthetic={},
        sidecar={},
        diagnostics=found or diagnostics(),
        conditions=conditions,
        **(fields | changes),
    )


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
        ("T1 at the grid's lower end", {"t1": share(0.1, 1.0, 5)}, "look"),
        ("T1 at the grid's upper end", {"t1": share(5.0, 1.0, 30)}, "bad"),
        ("T2 at the grid's lower end", {"t2": share(0.01, 0.08, 5)}, "look"),
        ("T2 at the grid's upper end", {"t2": share(2.0, 0.08, 30)}, "bad"),
        ("T2 at the grid's upper end", {"t2": share(1.9, 0.08, 30)}, "good"),
        ("Uncertainty", {"t2_std": full(0.016)}, "look"),
        ("Uncertainty", {"t1_std": full(0.5)}, "bad"),
        ("Uncertainty", {"t1_std": None}, None),
        ("Residual against noise", {"found": diagnostics(noise=2.0)}, "look"),
        ("Residual against noise", {"found": diagnostics(noise=9.0, coil_noise=None)}, None),
        ("Residual against noise", {"found": diagnostics(noise=9.0), "method": "gridding"}, None),
        ("Misfit of the fingerprints", {"found": diagnostics(misfit=0.7)}, "bad"),
        ("Convergence", {"found": diagnostics(left=0.06)}, "look"),
        ("Convergence", {"found": diagnostics(left=0.3)}, "bad"),
        ("Convergence", {"found": diagnostics(left=None)}, None),
        ("Coverage of k-space", {"found": diagnostics(coverage=0.5)}, "bad"),
        ("Warnings", {"warnings": ["one"]}, "look"),
        ("Warnings", {"warnings": ["one"] * 99}, "look"),
    ],
)
def test_each_rule_sees_its_own_fault(name, spoilt, level):
    checks = check(run(**spoilt))
    found = {answer.rule.name: answer.level for answer in checks}
    assert found.pop(name) == level
    assert set(found.values()) == {"good"}
    # The verdict is that of this rule, with its value and the limit that it has reached.
    (answer,) = (answer for answer in checks if answer.rule.name == name)
    assert verdict(checks).level == (level or "good")
    if level in ("look", "bad"):
        (reason,) = verdict(checks).reasons
        limit = f"{getattr(answer.rule, level):g}"
        assert answer.text in reason
        assert f"({level} {'below' if answer.rule.falling else 'from'} {limit}" in reason


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

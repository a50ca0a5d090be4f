"""Predicted and measured times of a run's stages in one table."""

from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest

from mri2qmap_bids.recon.methods.registry import method_named
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.planning.cost import stages
from mri2qmap_bids.recon.planning.machine import Machine, Rates
from mri2qmap_bids.recon.planning.plan import Plan
from mri2qmap_bids.recon.planning.size import ProblemSize
from mri2qmap_bids.report.cost import predicted_times, stage_times

SIZE = ProblemSize((48, 48), 3, 6, 8, 8, 100_000, 9000)
MACHINE = Machine(False, 16e9, 16e9, Rates(1e9, 1e10, 1e11, 1e7))
OPTIONS = asdict(ReconOptions(method="subspace"))


def planned():
    work = method_named("subspace").work(ReconOptions(method="subspace"))
    return Plan(stages=stages(SIZE, work, MACHINE, Plan()))


def run_of(seconds, options=OPTIONS):
    return SimpleNamespace(
        diagnostics=SimpleNamespace(plan=planned(), seconds=seconds),
        conditions=SimpleNamespace(seconds={"reading": 2.0}, options=options),
        is_3d=False,
        mask=np.ones((3, 4, 4), bool),
    )


def test_predictions_are_all_of_the_plan():
    times = predicted_times(planned(), OPTIONS, 3)
    assert sum(times.values()) == pytest.approx(planned().seconds)
    assert {"reading", "least squares", "matching"} <= set(times)


def test_one_row_for_a_stage_and_the_sums_below_them():
    rows = stage_times(run_of({"least squares": 5.0, "mask": 1.0}))
    names = [row.name for row in rows]
    assert names[:3] == ["reading", "least squares", "mask"] and names[-1] == "sum"
    assert len(set(names)) == len(names)
    by_name = {row.name: row for row in rows}
    assert by_name["mask"].predicted is None and by_name["matching"].measured is None
    assert by_name["least squares"].predicted > 0 and by_name["least squares"].measured == 5
    assert rows[-1].measured == 8 and rows[-1].predicted == pytest.approx(planned().seconds)


@pytest.mark.parametrize("options", [{}, {"method": "gone"}, {"method": "subspace", "new": 1}])
def test_what_another_version_or_package_ran_has_its_measured_times(options):
    rows = stage_times(run_of({"solve": 5.0}, options))
    assert [(row.name, row.predicted) for row in rows] == [
        ("reading", None), ("solve", None), ("sum", None)
    ]  # fmt: skip

"""The cost of a plan, told by the stages that a record names."""

import pytest

from mri2qmap_bids.recon.methods.registry import method_named, method_names
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.planning.cost import stages
from mri2qmap_bids.recon.planning.machine import Machine, Rates
from mri2qmap_bids.recon.planning.plan import Plan
from mri2qmap_bids.recon.planning.schedule import schedule_of
from mri2qmap_bids.recon.planning.size import ProblemSize
from mri2qmap_bids.recon.planning.work import Work

SIZE = ProblemSize((48, 48), 3, 6, 8, 8, 100_000, 9000)
MACHINE = Machine(False, 16e9, 16e9, Rates(1e9, 1e10, 1e11, 1e7))


def planned(work, normal="toeplitz"):
    plan = Plan(normal)
    return Plan(normal, stages=stages(SIZE, work, MACHINE, plan))


@pytest.mark.parametrize("name", method_names())
def test_the_stages_of_a_method_take_all_that_its_plan_does(name):
    work = method_named(name).work(ReconOptions(method=name))
    plan = planned(work)
    schedule = schedule_of(plan, work, SIZE.n_slices)
    assert schedule.seconds == pytest.approx(plan.seconds)
    assert all(seconds >= 0 for seconds in schedule.each.values())
    for field in ("n_normal", "n_denoise", "n_match"):
        assert sum(getattr(stage, field) for stage in work.stages) == getattr(work, field)


def test_a_method_without_stages_is_one():
    plan = planned(Work(n_normal=10))
    schedule = schedule_of(plan, Work(n_normal=10), SIZE.n_slices)
    assert list(schedule.each) == ["coil sensitivities", "reconstruction"]
    assert schedule.seconds == pytest.approx(plan.seconds)

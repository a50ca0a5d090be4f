"""The cost of a plan, told by the stages that a record names."""

import pytest

from mri2qmap_bids.recon.methods.registry import method_named, method_names
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.planning.cost import stages
from mri2qmap_bids.recon.planning.machine import Machine, Rates
from mri2qmap_bids.recon.planning.plan import Plan
from mri2qmap_bids.recon.planning.schedule import schedule_of
from mri2qmap_bids.recon.planning.size import ProblemSize
from mri2qmap_bids.recon.planning.work import StageWork, Work

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


def test_a_method_of_one_stage_takes_it_for_all_but_the_sensitivities():
    work = Work((StageWork("reconstruction", n_normal=10, n_match=1, n_transforms=1),))
    plan = planned(work)
    schedule = schedule_of(plan, work, SIZE.n_slices)
    assert list(schedule.each) == ["coil sensitivities", "reconstruction"]
    assert schedule.seconds == pytest.approx(plan.seconds)

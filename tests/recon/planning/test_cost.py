"""The cost model: how costs grow with the problem, and on which machine."""

from dataclasses import replace

import pytest

from mri2qmap_bids.recon.planning.cost import stages
from mri2qmap_bids.recon.planning.machine import Machine, Rates
from mri2qmap_bids.recon.planning.plan import Plan
from mri2qmap_bids.recon.planning.size import ProblemSize
from mri2qmap_bids.recon.planning.work import SplitCost, StageWork, Work

SIZE = ProblemSize((64, 48), 1, 5, 8, 4, 30_000, 2000)
MATCHING = StageWork("matching", n_match=1)
SOLVE = StageWork("solve", n_normal=20)
DENOISE = StageWork("denoise", n_denoise=2)
WORK = Work((SOLVE, DENOISE, MATCHING), n_prox=10, split=lambda _: SplitCost(1e8, 1e8, 1e8))
RATES = Rates(fft=1e9, stream=1e10, product=1e11, spread=1e7)
CPU = Machine(False, 1e11, 1e11, RATES)
GPU = Machine(True, 1e11, 1e11, RATES)


def costs(size=SIZE, work=WORK, machine=CPU, **plan):
    return {stage.name: stage for stage in stages(size, work, machine, Plan(**plan))}


@pytest.mark.parametrize("machine", [CPU, GPU], ids=["cpu", "gpu"])
def test_twice_the_slices_take_twice_the_time(machine):
    one, two = costs(machine=machine), costs(replace(SIZE, n_slices=2), machine=machine)
    for name, stage in one.items():
        assert two[name].seconds == pytest.approx(2 * stage.seconds)


@pytest.mark.parametrize("name", ["rank", "n_coils", "n_samples", "n_atoms"])
def test_more_of_anything_costs_no_less(name):
    small, large = costs(), costs(replace(SIZE, **{name: 2 * getattr(SIZE, name)}))
    assert all(large[n].seconds >= small[n].seconds for n in small)
    assert all(large[n].device >= small[n].device for n in small)
    assert sum(s.seconds for s in large.values()) > sum(s.seconds for s in small.values())


def test_a_machine_twice_as_quick_takes_half_the_time_in_transforms_products_and_memory():
    quick = replace(CPU, rates=Rates(*(2 * v for v in (1e9, 1e10, 1e11, 1e7))))
    slow, fast = costs(), costs(machine=quick)
    for name in ("adjoint of the data", "Toeplitz kernels", "denoise", "match"):
        assert fast[name].seconds == pytest.approx(slow[name].seconds / 2)
    assert fast["read and compress coils"].seconds == slow["read and compress coils"].seconds


def test_only_what_a_method_does_is_counted():
    assert set(costs(work=Work((MATCHING,)))) == {
        "read and compress coils",
        "coil sensitivities",
        "adjoint of the data",
        "match",
    }
    assert "residual" in costs(work=replace(WORK, corrects_residual=True))
    assert "Toeplitz kernels" not in costs(normal="transforms")
    both = costs(work=replace(WORK, stages=(*WORK.stages, MATCHING)))["match"].seconds
    assert both == pytest.approx(2 * costs()["match"].seconds)


def test_a_cpu_has_one_memory_and_a_gpu_two():
    assert all(stage.host == 0 for stage in costs().values())
    assert all(stage.host > 0 for stage in costs(machine=GPU).values())


def test_smaller_batches_need_no_more_memory():
    for name, large, small in (("voxels_at_once", 65536, 1024), ("coils_at_once", 4, 1)):
        plain = Work((SOLVE, MATCHING))
        more, less = (costs(work=plain, **{name: number}) for number in (large, small))
        assert all(less[n].device <= more[n].device for n in more)
        assert any(less[n].device < more[n].device for n in more)


def test_coils_processed_together_share_the_matrices_on_both_machines():
    plain = Work((SOLVE, MATCHING))
    for machine in (CPU, GPU):
        each, together = (
            costs(work=plain, machine=machine, coils_at_once=n)["solve"].seconds for n in (1, 4)
        )
        assert together < each


def test_a_gpu_reads_matrices_of_half_precision_in_less_time():
    plain = Work((SOLVE, MATCHING))
    single, half = (
        costs(work=plain, machine=GPU, storage=storage)["solve"].seconds
        for storage in ("single", "half")
    )
    assert half < single

"""Plans: which is chosen, and what happens when memory runs out all the same."""

from dataclasses import replace

import pytest
import torch

from mri2qmap_bids.errors import MemoryLimitError
from mri2qmap_bids.recon.forecast import plan_for
from mri2qmap_bids.recon.methods.registry import method_named
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.planning.choice import first_that_fits, plans
from mri2qmap_bids.recon.planning.cost import stages
from mri2qmap_bids.recon.planning.machine import (
    Machine,
    MemoryLimits,
    Rates,
)
from mri2qmap_bids.recon.planning.plan import Plan, Stage
from mri2qmap_bids.recon.planning.size import ProblemSize
from mri2qmap_bids.recon.planning.work import Work

RATES = Rates(fft=1e11, stream=3e12, product=1e14, spread=1e9)
# 1 mm, 500 frames of 48 arms with 1000 samples.
FULL = ProblemSize((220, 220, 220), 1, 5, 32, 8, 24_000_000, 8000)
SMALL = ProblemSize((224, 224), 3, 6, 8, 8, 300_000, 8000)


def work_of(options: ReconOptions) -> Work:
    return method_named(options.method).work(options)


def gpu(gigabytes: float) -> Machine:
    return Machine(True, 200e9, 1e9 * gigabytes, RATES)


def cpu(gigabytes: float) -> Machine:
    return Machine(False, 1e9 * gigabytes, 1e9 * gigabytes, RATES)


def test_full_size_fits_cards_of_24_16_and_12_gigabytes():
    storages = []
    for gigabytes in (24, 16, 12):
        best = plans(FULL, work_of(ReconOptions()), gpu(gigabytes))[0]
        assert best.device <= 1e9 * gigabytes
        assert best.normal == "toeplitz"
        storages.append((best.storage, best.by_blocks))
    assert storages[0][0] == "single"
    assert storages[2][0] != "single"


def test_coils_of_a_slice_go_together_and_those_of_a_volume_one_by_one_on_a_cpu():
    rates = Rates(fft=1e9, stream=1e10, product=1e11, spread=1e7)
    machine = Machine(False, 200e9, 200e9, rates)
    assert plans(SMALL, work_of(ReconOptions()), machine)[0].coils_at_once == 4
    volume = replace(FULL, shape=(112, 112, 96), n_samples=1_000_000)
    ways = plans(volume, work_of(ReconOptions()), machine)
    assert ways[0].coils_at_once == 1
    # Where memory runs out, the same plan is not tried again.
    assert len({replace(way, stages=()) for way in ways}) == len(ways)


def test_less_memory_never_gives_a_quicker_plan():
    seconds = [
        plans(FULL, work_of(ReconOptions()), gpu(gigabytes))[0].seconds
        for gigabytes in (80, 24, 16, 12)
    ]
    for more, less in zip(seconds, seconds[1:], strict=False):
        assert less >= 0.95 * more  # a plan's memory decides among those of nearly one time


def test_kernels_are_counted_as_they_are_kept():
    options = ReconOptions(method="subspace")
    sizes = {}
    for storage in ("single", "half", "host"):
        parts = stages(FULL, work_of(options), gpu(80), Plan(storage=storage))
        sizes[storage] = {part.name: part for part in parts}["solve"]
    packed = 15 * 440**3 * 4
    assert sizes["single"].device - sizes["half"].device == pytest.approx(packed / 2)
    assert sizes["host"].host - sizes["single"].host == pytest.approx(packed)
    assert sizes["single"].device - sizes["host"].device == pytest.approx(packed * 3 / 4)


def test_explicit_transforms_are_taken_where_samples_are_few():
    few = replace(FULL, n_samples=20_000)
    slow = replace(RATES, fft=1e9, spread=4e6)
    machine = Machine(False, 64e9, 64e9, slow)
    assert plans(few, work_of(ReconOptions(method="subspace")), machine)[0].normal == "transforms"
    assert plans(FULL, work_of(ReconOptions(method="subspace")), machine)[0].normal == "toeplitz"


def test_no_plan_is_refused_with_what_is_needed_and_what_is_there():
    with pytest.raises(MemoryLimitError) as caught:
        plans(FULL, work_of(ReconOptions()), gpu(2))
    text = str(caught.value)
    assert text.startswith("GPU memory must be at least")
    assert "220 x 220 x 220 voxels, rank 5, 8 coils and 24000000 samples" in text
    assert "got 2.0 GB" in text
    with pytest.raises(MemoryLimitError, match=r"memory must be at least .* got 0.2 GB"):
        plans(SMALL, work_of(ReconOptions()), cpu(0.2))


def test_the_next_smaller_plan_goes_on_when_memory_runs_out():
    ways = [
        replace(Plan(), coils_at_once=n, stages=(Stage("all", 0.0, 1e9 * n, 1.0),))
        for n in (4, 4, 2)
    ]
    tried = []

    def work(plan: Plan) -> int:
        tried.append(plan.coils_at_once)
        if plan.coils_at_once > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 7

    result, remaining = first_that_fits(work, ways)
    assert result == 7
    assert tried == [4, 2]
    assert [way.coils_at_once for way in remaining] == [2]


def test_memory_that_runs_out_with_every_plan_is_said_in_one_line():
    def work(plan: Plan) -> int:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory:\nyou tried 1 TB")

    with pytest.raises(MemoryLimitError, match=r"smallest plan .* can't allocate memory") as caught:
        first_that_fits(work, [Plan()])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 9 GiB"),
        RuntimeError("FINUFFT spreader malloc error"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_every_lack_of_memory_leads_to_a_smaller_plan(error):
    ways = [Plan(coils_at_once=n, stages=(Stage("all", 1.0, n * 1e9, n * 1e9),)) for n in (4, 2)]

    def work(plan: Plan) -> int:
        if plan.coils_at_once > 2:
            raise error
        return plan.coils_at_once

    assert first_that_fits(work, ways)[0] == 2


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    def work(plan: Plan) -> int:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        first_that_fits(work, [Plan(), Plan()])


def test_the_least_memory_is_taken_if_that_is_asked_for(monkeypatch):
    # A machine whose quickest way is not its smallest.
    monkeypatch.setattr("mri2qmap_bids.recon.forecast.machine_of", lambda *_: cpu(200))
    options = ReconOptions(device="cpu")
    usual, least = (
        plan_for(FULL, options, MemoryLimits(least=least_memory)) for least_memory in (False, True)
    )
    assert least[0].device == min(way.device for way in usual) < usual[0].device
    assert least[0].seconds > usual[0].seconds

"""Choice of a reconstruction plan that fits the machine."""

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import TypeVar

import torch

from mri2qmap_bids.errors import MemoryLimitError
from mri2qmap_bids.recon.encoding.toeplitz import Storage
from mri2qmap_bids.recon.planning.cost import stages
from mri2qmap_bids.recon.planning.machine import Machine
from mri2qmap_bids.recon.planning.plan import Plan
from mri2qmap_bids.recon.planning.size import ProblemSize
from mri2qmap_bids.recon.planning.work import Work

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

_COMPLEX = 8  # bytes
# (coils, voxels, slices) processed at once, from large batches to small ones.
_GPU_STEPS = ((8, 65536, 32), (2, 16384, 8), (1, 4096, 2))
_CPU_STEPS = ((1, 4096, 8), (1, 1024, 1))
# Bytes of images that are best processed together: less has too much threading overhead, more exceeds
# the cache.
_CPU_BATCH = 10e6
# In messages of errors of PyTorch and FINUFFT that have no type of their own.
_NO_MEMORY = ("allocate memory", "malloc")


def plans(size: ProblemSize, work: Work, machine: Machine) -> list[Plan]:
    """All plans that fit the memory, fastest first.

    Parameters
    ----------
    size
        The problem.
    work
        Computational work of the method.
    machine
        Memory and speed.

    Raises
    ------
    MemoryLimitError
        If no plan fits; the message gives the memory needed and available.
    """
    ways = [Plan("transforms")]
    storages: tuple[Storage, ...] = ("single", "half")
    if machine.is_gpu:
        storages = ("single", "half", "host")
    ways += [Plan("toeplitz", s, b) for s, b in product(storages, (False, True))]
    if not work.n_normal:
        ways = [Plan("transforms")]
    # Smaller batches need less memory.
    together = int(_CPU_BATCH / (size.rank * size.n_voxels * _COMPLEX))
    many = (min(max(together, 1), size.n_coils), *_CPU_STEPS[0][1:])
    steps = _GPU_STEPS if machine.is_gpu else tuple(dict.fromkeys((many, *_CPU_STEPS)))
    n_slices = size.shape[0] if len(size.shape) == 3 else 1
    batches = dict.fromkeys(
        (min(c, size.n_coils), min(v, size.n_voxels), min(s, n_slices)) for c, v, s in steps
    )
    ways = [
        replace(way, coils_at_once=c, voxels_at_once=v, slices_at_once=s)
        for way in ways
        for c, v, s in batches
    ]
    priced = [replace(way, stages=stages(size, work, machine, way)) for way in ways]
    fitting = [
        p for p in priced if p.device <= machine.device_memory and p.host <= machine.host_memory
    ]
    if not fitting:
        least = min(priced, key=lambda p: (p.device, p.host))
        raise MemoryLimitError(_refusal(size, machine, least))
    # Half precision is used only to save memory, not time.
    exact = [p for p in fitting if p.storage != "half"]
    rough = [p for p in fitting if p.storage == "half"]
    return sorted(exact, key=_preference) + sorted(rough, key=_preference)


def first_that_fits(work: Callable[[Plan], Result], ways: list[Plan]) -> tuple[Result, list[Plan]]:
    """Run with the first plan; if memory runs out nevertheless, with the next smaller one.

    Parameters
    ----------
    work
        Function of a plan to run.
    ways
        Plans, the best first.

    Returns
    -------
    The result, and the plans from the successful one onwards.

    Raises
    ------
    MemoryLimitError
        If memory runs out with every plan.
    """
    while True:
        try:
            return work(ways[0]), ways
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            reason = " ".join(str(error).split())
        # Outside the handler, which would keep the arrays of the failed run alive.
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.empty_cache()
        smaller = [way for way in ways[1:] if way.device < ways[0].device]
        if not smaller:
            raise MemoryLimitError(f"memory ran out with the smallest plan ({ways[0]}): {reason}")
        logger.warning("Memory ran out (%s); continuing with the plan: %s", reason, smaller[0])
        ways = smaller


def _is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return any(words in str(error) for words in _NO_MEMORY)


def _preference(plan: Plan) -> tuple[float, float]:
    # Differences below two per cent of predicted time do not justify more memory.
    return float(round(math.log(max(plan.seconds, 1e-3)) / 0.02)), plan.device


def _refusal(size: ProblemSize, machine: Machine, least: Plan) -> str:
    matrix = " x ".join(str(n) for n in reversed(size.shape))
    where = "GPU memory" if least.device > machine.device_memory else "memory"
    if not machine.is_gpu:
        where = "memory"
    demand, limit = (
        (least.device, machine.device_memory)
        if least.device > machine.device_memory
        else (least.host, machine.host_memory)
    )
    return (
        f"{where} must be at least {demand / 1e9:.1f} GB for {matrix} voxels, rank {size.rank}, "
        f"{size.n_coils} coils and {size.n_samples} samples, got {limit / 1e9:.1f} GB"
    )

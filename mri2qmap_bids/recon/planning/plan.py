"""Choice of a reconstruction plan that fits the machine."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass, replace
from functools import cache
from itertools import product
from typing import TypeVar

import torch

from mri2qmap_bids.errors import MemoryLimitError
from mri2qmap_bids.recon.encoding.nufft import Nufft
from mri2qmap_bids.recon.encoding.toeplitz import Storage
from mri2qmap_bids.recon.planning.cost import Machine, Plan, ProblemSize, Rates, Work, stages
from mri2qmap_bids.recon.planning.resources import usable_memory_gb

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

_COMPLEX = 8  # bytes
# Trial of spreading: so many samples that the time of the Fourier transform is negligible.
_TRIAL_GRID = {2: (64, 64), 3: (24, 24, 24)}
_TRIAL_SAMPLES = {"cpu": 100_000, "cuda": 4_000_000}
# (coils, voxels, slices) processed at once, from large batches to small ones.
_GPU_STEPS = ((8, 65536, 32), (2, 16384, 8), (1, 4096, 2))
_CPU_STEPS = ((1, 4096, 8), (1, 1024, 1))
# Bytes of images that are best processed together: less has too much threading overhead, more exceeds
# the cache.
_CPU_BATCH = 10e6


@dataclass(frozen=True)
class MemoryLimits:
    """Memory that a reconstruction may use; None: 90 % of what the machine has."""

    host_gb: float | None = None
    """[GB]"""
    gpu_gb: float | None = None
    """GPU memory [GB]."""
    least: bool = False
    """Whether to minimise memory instead of time."""


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


def measured_rates(device: torch.device, dim: int) -> Rates:
    """Speed of this machine, measured for a tenth of a second per kind of operation.

    On a CPU with all threads and with one, taking the better result: on a busy machine, short
    trials wait for their threads much longer than they compute, unlike a real reconstruction.

    Parameters
    ----------
    device
        Where to compute.
    dim
        Dimensions of a slice or volume, 2 or 3.
    """
    return _rates_with(device, dim, torch.get_num_threads())


@cache
def _rates_with(device: torch.device, dim: int, n_threads: int) -> Rates:
    if device.type == "cuda" or n_threads == 1:
        return _tried(device, dim)
    together = _tried(device, dim)
    torch.set_num_threads(1)
    try:
        alone = _tried(device, dim)
    finally:
        torch.set_num_threads(n_threads)
    return Rates(*(max(pair) for pair in zip(astuple(together), astuple(alone), strict=True)))


def _tried(device: torch.device, dim: int) -> Rates:
    large = device.type == "cuda"
    shape = (8, 64, 96, 96) if large else (8, 96, 96)
    points = torch.randn(shape, dtype=torch.complex64, device=device)
    axes = tuple(range(1, len(shape)))
    n = math.prod(shape[1:])
    fft = 8 * n * math.log2(n) / _quickest(lambda: torch.fft.fftn(points, dim=axes), device)
    stream = 3 * points.numel() * _COMPLEX / _quickest(lambda: points + points, device)
    edge = 256 if large else 64
    image = torch.randn((2, 64, edge, edge), device=device)
    image = image.contiguous(memory_format=torch.channels_last)
    kernel = torch.randn((64, 64, 3, 3), device=device)
    kernel = kernel.contiguous(memory_format=torch.channels_last)
    operations = 2 * 2 * edge * edge * 64 * 64 * 9
    product_rate = operations / _quickest(
        lambda: torch.nn.functional.conv2d(image, kernel, padding=1), device
    )
    n_samples = _TRIAL_SAMPLES[device.type]
    omega = 2 * math.pi * (torch.rand((n_samples, dim), device=device) - 0.5)
    transform = Nufft(omega, _TRIAL_GRID[dim])
    samples = torch.ones(n_samples, dtype=torch.complex64, device=device)
    spread = n_samples / _quickest(lambda: transform.adjoint(samples), device)
    return Rates(fft, stream, product_rate, spread)


def machine_of(device: torch.device, dim: int, limits: MemoryLimits) -> Machine:
    """The machine at hand.

    Parameters
    ----------
    device
        Where to compute.
    dim
        Dimensions of a slice or volume.
    limits
        Memory that may be used.
    """
    rates = measured_rates(device, dim)
    host = 1e9 * (limits.host_gb or usable_memory_gb())
    if device.type != "cuda":
        return Machine(False, host, host, rates)
    free, _ = torch.cuda.mem_get_info(device)
    return Machine(True, host, 1e9 * limits.gpu_gb if limits.gpu_gb else 0.9 * free, rates)


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
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
            reason = " ".join(str(error).split())
        # Outside the handler, which would keep the arrays of the failed run alive.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        smaller = [way for way in ways[1:] if way.device < ways[0].device]
        if not smaller:
            raise MemoryLimitError(f"memory ran out with the smallest plan ({ways[0]}): {reason}")
        logger.warning("Memory ran out (%s); continuing with the plan: %s", reason, smaller[0])
        ways = smaller


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)


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


def _quickest(work: Callable[[], object], device: torch.device, repeats: int = 5) -> float:
    """Shortest time of a few trials, without the first."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return max(min(times[1:]), 1e-6)

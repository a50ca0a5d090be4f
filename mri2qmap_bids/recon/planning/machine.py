"""Memory and speed of the machine at hand."""

import math
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from functools import cache

import torch

from mri2qmap_bids.recon.encoding.nufft import Nufft
from mri2qmap_bids.recon.planning.resources import usable_memory_gb

# Trial of spreading: so many samples that the time of the Fourier transform is negligible.
_TRIAL_GRID = {2: (64, 64), 3: (24, 24, 24)}
_TRIAL_SAMPLES = {"cpu": 100_000, "cuda": 4_000_000}


_COMPLEX = 8  # bytes


@dataclass(frozen=True)
class Rates:
    """Operations of a device per second."""

    fft: float
    """Points times log2 points of a complex Fourier transform."""
    stream: float
    """Bytes read or written."""
    product: float
    """Multiplications and additions of a real matrix product or convolution."""
    spread: float
    """Samples spread onto a grid, or interpolated from it."""
    link: float = 1.2e10
    """Bytes transferred between host and device."""


@dataclass(frozen=True)
class Machine:
    """Memory and speed of the machine."""

    is_gpu: bool
    """Whether the device is a GPU, with memory of its own."""
    host_memory: float
    """Bytes that may be used."""
    device_memory: float
    """Bytes that may be used; the host's on a CPU."""
    rates: Rates
    """Speed of the device."""


@dataclass(frozen=True)
class MemoryLimits:
    """Memory that a reconstruction may use; None: 90 % of what the machine has."""

    host_gb: float | None = None
    """[GB]"""
    gpu_gb: float | None = None
    """GPU memory [GB]."""
    least: bool = False
    """Whether to minimise memory instead of time."""


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

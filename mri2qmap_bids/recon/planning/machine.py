"""Memory and speed of the machine at hand."""

import math
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from functools import cache

import torch
from scipy.fft import next_fast_len

from mri2qmap_bids.recon.encoding.nufft import Nufft
from mri2qmap_bids.recon.planning.resources import usable_memory_gb

# Trial of spreading: so many samples that the time of the Fourier transform is negligible.
_TRIAL_GRID = {2: (64, 64), 3: (24, 24, 24)}
_TRIAL_SAMPLES = {"cpu": 100_000, "cuda": 4_000_000}
# Of the images that are transformed and streamed: 256^3, and half a megabyte.
_MOST_POINTS, _FEWEST_POINTS = 2**24, 2**16
# Images that are tried two times only, which takes a second.
_LARGE = 2**20
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


def measured_rates(device: torch.device, shape: tuple[int, ...]) -> Rates:
    """Speed of this machine, measured for some tenths of a second.

    On a CPU with arrays as large as the problem's, up to a limit: those of a slice stay in its caches, those
    of a volume come from memory, which is several times slower. And with all threads and with one, taking the
    better result: on a busy machine, short trials wait for their threads much longer than they compute,
    unlike a real reconstruction.

    Parameters
    ----------
    device
        Where to compute.
    shape
        Of a slice or volume, (z,) y, x.
    """
    return _rates_with(device, shape, torch.get_num_threads())


@cache
def _rates_with(device: torch.device, shape: tuple[int, ...], n_threads: int) -> Rates:
    if device.type == "cuda" or n_threads == 1:
        return _tried(device, shape)
    together = _tried(device, shape)
    torch.set_num_threads(1)
    try:
        alone = _tried(device, shape)
    finally:
        torch.set_num_threads(n_threads)
    return Rates(*(max(pair) for pair in zip(astuple(together), astuple(alone), strict=True)))


def _trial_images(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Several images of a slice, or one of a volume, of limited size: (image, *space)."""
    shrink = min(1.0, (_MOST_POINTS / math.prod(shape)) ** (1 / len(shape)))
    grid = tuple(_fast(max(1, math.floor(n * shrink))) for n in shape)
    return (max(1, min(8, _FEWEST_POINTS // math.prod(grid))), *grid)


def _fast(n: int) -> int:
    """The largest number up to ``n`` whose Fourier transform is fast."""
    while next_fast_len(n) != n:
        n -= 1
    return n


def _tried(device: torch.device, shape: tuple[int, ...]) -> Rates:
    large, dim = device.type == "cuda", len(shape)
    images = (8, 64, 96, 96) if large else _trial_images(shape)
    points = torch.randn(images, dtype=torch.complex64, device=device)
    axes = tuple(range(1, len(images)))
    n = math.prod(images[1:])
    repeats = 2 if points.numel() > _LARGE and not large else 5
    quickest = _quickest(lambda: torch.fft.fftn(points, dim=axes), device, repeats)
    fft = images[0] * n * math.log2(max(n, 2)) / quickest
    stream = 3 * points.numel() * _COMPLEX / _quickest(lambda: points + points, device, repeats)
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


def machine_of(device: torch.device, shape: tuple[int, ...], limits: MemoryLimits) -> Machine:
    """The machine at hand.

    Parameters
    ----------
    device
        Where to compute.
    shape
        Of a slice or volume, (z,) y, x.
    limits
        Memory that may be used.
    """
    rates = measured_rates(device, shape)
    host = 1e9 * (usable_memory_gb() if limits.host_gb is None else limits.host_gb)
    if device.type != "cuda":
        return Machine(False, host, host, rates)
    free, _ = torch.cuda.mem_get_info(device)
    own = 0.9 * free if limits.gpu_gb is None else 1e9 * limits.gpu_gb
    return Machine(True, host, own, rates)


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

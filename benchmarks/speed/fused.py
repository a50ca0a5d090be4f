"""A^H A on a GPU, with its fused kernels and pair by pair with torch: time, bytes and launches of each part.

python -m benchmarks.speed.fused [--device cuda] [--quick]

Each line is printed as soon as it is measured; a part that fails is named and the next one follows. Rates
count each array once: the matrices, and the coil images read and written. --quick takes small sizes, also
on a CPU with TRITON_INTERPRET=1, to try the program itself.
"""

import argparse
import logging
import math
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from types import ModuleType
from unittest.mock import patch

import torch

from mri2qmap_bids.recon.encoding import convolution, frequency_matrices, fused

SIZES: tuple[tuple[tuple[int, ...], int, int], ...] = (
    ((112, 112, 96), 6, 8),
    ((224, 224), 5, 8),
    ((220, 220, 220), 5, 8),
)
"""Voxels, rank, coils."""
QUICK: tuple[tuple[tuple[int, ...], int, int], ...] = (((12, 10, 7), 3, 2), ((15, 14), 5, 3))
BLOCKS = ((64, 2), (128, 4), (256, 8), (256, 4))
"""Frequencies and warps of one program."""


def main() -> None:
    """Measure all sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true")
    words = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    device = torch.device(words.device)
    with _part("machine"):
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
        version = getattr(sys.modules.get("triton"), "__version__", "none")
        compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang") or "none"
        _say(f"{name}, torch {torch.__version__}, Triton {version}, C compiler: {compiler}")
        start = time.perf_counter()
        _say(f"fused kernels usable: {fused.usable(device)} ({time.perf_counter() - start:.1f} s)")
    with _part("correctness"):
        _check_products(device)
    for shape, rank, n_coils in QUICK if words.quick else SIZES:
        _say(f"\n{' x '.join(map(str, shape))}, rank {rank}, {n_coils} coils")
        _measure_parts(shape, rank, n_coils, device)
        _measure_whole(shape, rank, n_coils, device)
        if device.type == "cuda":
            torch.cuda.empty_cache()


@contextmanager
def _part(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001
        _say(f"{name} failed: {type(error).__name__}: {str(error)[:500]}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@contextmanager
def _with_kernels(kernels: ModuleType | None) -> Iterator[None]:
    """A^H A with these kernels, or with torch (None)."""
    with (
        patch.object(convolution, "fused_kernels", lambda *_: kernels),
        patch.object(frequency_matrices, "fused_kernels", lambda *_: kernels),
    ):
        yield


def _check_products(device: torch.device) -> None:
    """Largest relative difference of the products from torch's, over ranks and kinds of matrices."""
    for kind, scales in product(("real", "complex", "real half", "complex half"), (False, True)):
        worst = 0.0
        for rank in (1, 2, 5, 6, 8) if device.type == "cuda" else (1, 5):
            upper = _matrices(rank, (5, 7, 9), kind, device)
            spectra = torch.randn(3, rank, 5, 7, 9, dtype=torch.complex64, device=device)
            factors = tuple(1.0 + pair for pair in range(len(upper))) if scales else None
            expected = frequency_matrices._multiply_by_pairs(upper, spectra, factors)
            worst = max(worst, _difference(fused.matrix_product(upper, spectra, factors), expected))
        _say(f"products, {kind}, {'scaled' if scales else 'plain'}: differ by {worst:.1e}")


def _matrices(rank: int, shape: tuple[int, ...], kind: str, device: torch.device) -> torch.Tensor:
    parts = (2,) if kind.startswith("complex") else ()
    upper = torch.randn(rank * (rank + 1) // 2, *shape, *parts, device=device)
    if kind.endswith("half"):
        return upper.half()
    return torch.view_as_complex(upper) if parts else upper


def _difference(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().norm() / other.abs().norm())


def _measure_parts(shape: tuple[int, ...], rank: int, n_coils: int, device: torch.device) -> None:
    image = torch.randn(rank, *shape, dtype=torch.complex64, device=device)
    coils = torch.randn(n_coils, *shape, dtype=torch.complex64, device=device)
    images = torch.randn(n_coils, rank, *shape, dtype=torch.complex64, device=device)
    n_grids = 2 ** len(shape)
    rates: dict[str, float] = {}
    with _part("copy"):
        seconds = _seconds(_copy_of(images), device)
        rates["copy"] = 2 * images.nbytes / seconds
        _say(f"copy of the coil images: {1e3 * seconds:.3f} ms, {rates['copy'] / 1e9:.0f} GB/s")
    axes = tuple(range(2, images.ndim))
    with _part("transforms"):
        forward = _seconds(lambda: torch.fft.fftn(images, dim=axes), device)
        inverse = _seconds(lambda: torch.fft.ifftn(images, dim=axes, norm="forward"), device)
        scaled = _seconds(lambda: torch.fft.ifftn(images, dim=axes), device)
        rates["transforms"] = n_grids * (forward + inverse)
        _say(
            f"transforms of all grids: {1e3 * rates['transforms']:.2f} ms "
            f"(with 1 / N in the inverse: {1e3 * n_grids * (forward + scaled):.2f} ms)"
        )
    with _part("floor"):
        # The matrices once; the coil images written, and read, at either side of the transforms, and read
        # and written by the product: four passes.
        matrices = n_grids * rank * (rank + 1) // 2 * math.prod(shape) * 4
        moved = matrices + n_grids * 4 * images.nbytes
        floor = rates["transforms"] + moved / rates["copy"]
        _say(f"floor of A^H A: {1e3 * floor:.2f} ms, {moved / 1e9:.2f} GB besides the transforms")
    for kind in ("real", "real half", "complex"):
        with _part(f"product, {kind}"):
            _measure_product(images, _matrices(rank, shape, kind, device), kind, device)
    with _part("coil images and sum"):
        rate = images.nbytes + image.nbytes + coils.nbytes
        one = (1,) * len(shape)
        seconds = _seconds(lambda: fused.coil_images(image, coils, one), device)
        _say(f"coil images: {1e3 * seconds:.3f} ms, {rate / seconds / 1e9:.0f} GB/s")
        total = torch.zeros_like(image)
        seconds = _seconds(lambda: fused.coil_sum(images, coils, total, one), device)
        rate += image.nbytes
        _say(f"sum over coils: {1e3 * seconds:.3f} ms, {rate / seconds / 1e9:.0f} GB/s")


def _copy_of(images: torch.Tensor) -> Callable[[], torch.Tensor]:
    target = torch.empty_like(images)
    return lambda: target.copy_(images)


def _measure_whole(shape: tuple[int, ...], rank: int, n_coils: int, device: torch.device) -> None:
    image = torch.randn(rank, *shape, dtype=torch.complex64, device=device)
    coils = torch.randn(n_coils, *shape, dtype=torch.complex64, device=device)
    parities = list(product((0, 1), repeat=len(shape)))
    spectra = [_matrices(rank, shape, "real", device) for _ in parities]
    grids = list(zip(parities, spectra, strict=True))

    def normal() -> torch.Tensor:
        return convolution.coil_convolutions(image, coils, grids, coils_at_once=n_coils)

    results = {}
    for name, kernels in (("torch", None), ("fused", fused)):
        with _part(f"A^H A, {name}"), _with_kernels(kernels):
            results[name] = normal()
            _measure_normal(f"A^H A, {name}", normal, device)
    with _part("comparison"):
        _say(f"fused and torch differ by {_difference(results['fused'], results['torch']):.1e}")


def _measure_product(
    images: torch.Tensor, upper: torch.Tensor, kind: str, device: torch.device
) -> None:
    """The product alone, by programs of several sizes; repeated in place, so matrices below 1."""
    upper.mul_(1e-3)
    moved = upper.nbytes + 2 * images.nbytes
    text = [f"product, {kind}:"]
    before = fused._BLOCK, fused._WARPS
    for block, warps in BLOCKS if kind == "real" else (before,):
        fused._BLOCK, fused._WARPS = block, warps
        try:
            seconds = _seconds(lambda: fused.matrix_product(upper, images), device)
            mark = "*" if (block, warps) == before else ""
            text.append(
                f"{block}/{warps}{mark} {1e3 * seconds:.3f} ms {moved / seconds / 1e9:.0f} GB/s;"
            )
        finally:
            fused._BLOCK, fused._WARPS = before
    if kind == "real":
        seconds = _seconds(
            lambda: frequency_matrices._multiply_by_pairs(upper, images, None), device, 3
        )
        text.append(f"torch {1e3 * seconds:.3f} ms")
    _say(" ".join(text))
    images.normal_()


def _measure_normal(name: str, normal: Callable[[], torch.Tensor], device: torch.device) -> None:
    text = f"{name}: {1e3 * _seconds(normal, device):.2f} ms"
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        normal()
        torch.cuda.synchronize()
        scratch = torch.cuda.max_memory_allocated() - before
        with torch.profiler.profile(
            activities=[torch.profiler.ProfilerActivity.CUDA], acc_events=True
        ) as profile:
            normal()
            torch.cuda.synchronize()
        launches = sum(
            event.device_type == torch.profiler.DeviceType.CUDA for event in profile.events()
        )
        text += f", {launches} launches, {scratch / 1e9:.2f} GB of scratch memory"
    _say(text)


def _seconds(work: Callable[[], object], device: torch.device, repeats: int = 7) -> float:
    """Median time of some calls, after one that does not count."""
    work()
    if device.type != "cuda":
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
    times = []
    for _ in range(repeats):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        begin.record()
        work()
        end.record()
        end.synchronize()
        times.append(1e-3 * begin.elapsed_time(end))
    return statistics.median(times)


if __name__ == "__main__":
    main()

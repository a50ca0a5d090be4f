"""A^H A once: time, operations and bytes, also of two checkouts side by side.

python -m benchmarks.speed.normal benchmarks/speed/normal.md [--other OTHER] [--device cpu] [--threads 1 2]

OTHER is the folder of another checkout of this repository. Each size is run by both, in turn, in
processes of their own. The floor of one grid after the other is the transforms alone plus one read of every
kernel and one read and write of every coil image at the rate of a copy, measured in the same process; a CPU,
which shares transforms between grids, can be below it. On a GPU all coils are processed together, and operations
are the kernels launched; benchmarks/speed/fused.py measures its parts.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

SIZES: tuple[tuple[tuple[int, ...], int, int], ...] = (
    ((224, 224), 5, 8),
    ((64, 64, 64), 5, 4),
    ((74, 74, 64), 6, 8),
    ((128, 128, 128), 5, 2),
)
"""Voxels, rank, coils."""


def measure(shape: tuple[int, ...], rank: int, n_coils: int, device: str) -> dict[str, float]:
    """Times [s], operations and bytes allocated of one application by the package that is imported."""
    from mri2qmap_bids.recon.encoding import toeplitz

    torch.manual_seed(0)
    grid = getattr(toeplitz, "fast_grid", tuple)(shape)
    image = torch.randn(rank, *shape, dtype=torch.complex64, device=device)
    coils = torch.zeros(n_coils, *grid, dtype=torch.complex64, device=device)
    coils[(slice(None), *(slice(n) for n in shape))] = torch.randn(
        n_coils, *shape, dtype=torch.complex64, device=device
    )
    n_pairs = rank * (rank + 1) // 2
    spectra = torch.randn(2 ** len(shape), n_pairs, *grid, device=device)
    try:
        from mri2qmap_bids.recon.encoding.convolution_blocks import empty_by_columns
    except ImportError:  # an older version
        pass
    else:
        if device == "cpu":  # as the program stores them
            stored = empty_by_columns(len(spectra), n_pairs, grid, (), spectra.dtype)
            spectra = stored.copy_(spectra)
    # A GPU is only busy with the transforms of several coils.
    together = 1 if device == "cpu" else n_coils
    operator = toeplitz.ToeplitzNormal(spectra, (1.0,) * n_pairs, coils, together)
    n_batches = 2 ** len(shape) * n_coils // together
    axes = tuple(range(2, 2 + len(shape)))
    one = torch.randn(together, rank, *grid, dtype=torch.complex64, device=device)
    copy = torch.empty_like(one)
    transform = shortest(lambda: torch.fft.fftn(one, dim=axes), device)
    rate = 2 * one.nbytes / shortest(lambda: copy.copy_(one), device)
    moved = n_batches * 2 * one.nbytes + spectra.nbytes
    with torch.profiler.profile(profile_memory=True) as profile:
        toeplitz.apply(operator, image)
    memory = "self_cpu_memory_usage" if device == "cpu" else "self_device_memory_usage"
    averages = profile.key_averages()
    events = [e for e in averages if e.key not in ("aten::view", "aten::as_strided")]
    if device == "cpu":
        operations = sum(e.count for e in events)
    else:
        # Launches: the fused kernels are no operations of torch.
        operations = sum(e.device_type == torch.profiler.DeviceType.CUDA for e in profile.events())
    return {
        "time": shortest(lambda: toeplitz.apply(operator, image), device),
        "transforms": 2 * n_batches * transform,
        "floor": 2 * n_batches * transform + moved / rate,
        "operations": operations,
        "allocated": sum(max(getattr(e, memory), 0) for e in events),
    }


def shortest(work: Callable[[], object], device: str, repeats: int = 4) -> float:
    """Shortest time of a few trials, after one that does not count [s]."""
    times = [math.inf]
    for trial in range(repeats + 1):
        start = time.perf_counter()
        work()
        if device != "cpu":
            torch.cuda.synchronize()
        if trial:
            times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Run all sizes by both checkouts and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--other", type=Path)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.one:
        shape, rank, n_coils, threads = json.loads(words.one)
        torch.set_num_threads(threads)
        sys.stdout.write(json.dumps(measure(tuple(shape), rank, n_coils, words.device)) + "\n")
        return
    here = Path(__file__).parents[2]
    lines = [
        "# A^H A once, before and after",
        "",
        f"`python -m benchmarks.speed.normal`, {words.device}: shortest of four, in turn. *Transforms* "
        "are those of one grid after the other by torch; the *floor* adds one read of the kernels and one "
        "read and write of each coil image at the rate of a copy. The CPU shares transforms between grids and "
        "can be faster. Operations are those of torch on a CPU, where compiled loops are not among them, and "
        "kernels launched on a GPU. Allocated: the sum over all operations.",
        "",
        "| voxels | rank, coils | threads | version | time [s] | transforms [s] | floor [s] "
        "| operations | allocated [GB] |",
        "|---" * 9 + "|",
    ]
    for shape, rank, n_coils in SIZES:
        for threads in words.threads:
            versions = [("before", words.other)] if words.other else []
            for name, folder in (*versions, ("now", here)):
                row = _row(folder, (shape, rank, n_coils, threads), words.device)
                voxels = " x ".join(map(str, shape))
                times = [f"{row[key]:.3f}" for key in ("time", "transforms", "floor")]
                allocated = f"{row['allocated'] / 1e9:.1f}"
                cells = [voxels, f"{rank}, {n_coils}", threads, name, *times, row["operations"]]
                lines.append("| " + " | ".join(map(str, [*cells, allocated])) + " |")
                words.table.write_text("\n".join(lines) + "\n", encoding="utf-8")
                sys.stderr.write(lines[-1] + "\n")


def _row(folder: Path, what: object, device: str) -> dict[str, float]:
    # -P: this folder's profile.py would come before Python's.
    script = [sys.executable, "-P", __file__, "-"]
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    output = subprocess.run(
        [*script, "--device", device, "--one", json.dumps(what)],
        env=os.environ | {"PYTHONPATH": path},
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    row: dict[str, float] = json.loads(output.splitlines()[-1])
    return row


if __name__ == "__main__":
    main()

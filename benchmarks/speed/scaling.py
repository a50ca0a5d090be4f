"""How time grows with the problem and with the cores, stage by stage, and how far from its floor each is.

python -m benchmarks.speed.scaling benchmarks/speed/scaling.md benchmarks/speed/scaling.png [--device cuda]

One thing at a time is changed from a base case; medians of repeats. The floor of a stage is what its
transforms or its memory traffic alone take on the same machine in the same minute: for A^H A its
Fourier transforms, for the adjoint its non-uniform transforms, for the matching the matrix product
with the atoms that it scores, for total variation one read and one write of what a step touches.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.speed.problem import Size, make_problem
from mri2qmap_bids.recon.device import find_device
from mri2qmap_bids.recon.encoding import toeplitz
from mri2qmap_bids.recon.encoding.forward import Encoding, adjoint
from mri2qmap_bids.recon.encoding.nufft import Nufft
from mri2qmap_bids.recon.physics.dictionary import TissueGrid, build_dictionary
from mri2qmap_bids.recon.physics.matching import match
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence
from mri2qmap_bids.recon.priors.total_variation import TotalVariation
from mri2qmap_bids.simulate.sequences import make_sequence

BASE = Size(2, 128, 6, 400, 1)
STAGES = ("Toeplitz set-up", "adjoint", "A^H A", "total variation", "matching")


@dataclass(frozen=True)
class Timing:
    """Seconds of one stage, and of its floor."""

    seconds: float
    floor: float | None

    @property
    def cell(self) -> str:
        """In milliseconds, the floor in brackets."""
        return f"{1e3 * self.seconds:.1f}" + (f" ({1e3 * self.floor:.1f})" if self.floor else "")


def clock(function: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Median wall-clock seconds of a call, the first one left out."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def measure(size: Size, device: torch.device, repeats: int) -> dict[str, Timing]:
    """All stages of one problem."""
    problem = make_problem(size)
    k, y = problem["k"], problem["y"]
    shape = problem["coils"].shape[1:]
    omega = torch.from_numpy(
        (k.reshape(-1, k.shape[-1]) * 2 * np.pi / np.array(shape)).astype(np.float32)
    ).to(device)
    frame = torch.arange(len(k)).repeat_interleave(k.shape[1] * k.shape[2]).to(device)
    basis = torch.from_numpy(problem["basis"]).to(device)
    encoding = Encoding(omega, frame, basis, torch.from_numpy(problem["coils"]).to(device))
    samples = torch.from_numpy(y.reshape(len(y), -1)).to(device)
    image = torch.from_numpy(problem["truth"].astype(np.complex64)).to(device)
    operator = toeplitz.toeplitz_normal(encoding)

    doubled = image.new_zeros((size.rank, *(2 * n for n in shape)))
    axes = tuple(range(1, doubled.ndim))

    def transforms_of_normal() -> None:
        for _ in range(size.n_coils):
            torch.fft.ifftn(torch.fft.fftn(doubled, dim=axes), dim=axes)

    transform = Nufft(omega, shape)

    def transforms_of_adjoint() -> None:
        for _ in range(size.n_coils * size.rank):
            transform.adjoint(samples[0])

    dictionary = build_dictionary(_sequence(size), TissueGrid(), size.rank, device=device)
    atoms = dictionary.atoms.reshape(-1, size.rank)
    voxels = image.flatten(1).T.contiguous()
    coarse = atoms[::25].to(voxels.dtype).mH.contiguous()
    dual = torch.zeros((len(shape), *image.shape), dtype=image.dtype, device=device)

    regulariser, threshold = TotalVariation(), torch.full((1,), 1e-3, device=device)

    def variation() -> None:
        for part in regulariser.parts(len(image)):
            split = regulariser.analysis(image[part])
            regulariser.synthesis(regulariser.proximal(split, threshold)(slice(None)))

    def traffic_of_variation() -> None:
        for part in dual:
            part.add_(image)
        image.clone()

    timed = {
        "Toeplitz set-up": (lambda: toeplitz.toeplitz_normal(encoding), None),
        "adjoint": (lambda: adjoint(encoding, samples), transforms_of_adjoint),
        "A^H A": (lambda: toeplitz.apply(operator, image), transforms_of_normal),
        "total variation": (
            variation,
            traffic_of_variation,
        ),
        "matching": (
            lambda: match(image, dictionary, exhaustive=False),
            lambda: (voxels @ coarse).abs().max(1),
        ),
    }
    return {
        name: Timing(clock(function, device, repeats), floor and clock(floor, device, repeats))
        for name, (function, floor) in timed.items()
    }


def _sequence(size: Size) -> PulseSequence:
    frames = np.arange(size.n_frames) / size.n_frames
    return make_sequence(
        "FISP", size.n_frames, np.deg2rad(10 + 50 * np.sin(np.pi * 4 * frames) ** 2)
    )


def changes(n_threads: int) -> dict[str, list[tuple[int, Size, int]]]:
    """What is varied: value, problem and threads."""
    cores = [n for n in (1, 2, 4, 8, 16, 32) if n <= n_threads]
    return {
        "matrix": [(n, replace(BASE, matrix=n), 1) for n in (64, 128, 192, 256)],
        "coils": [(n, replace(BASE, n_coils=n), 1) for n in (2, 4, 8, 16)],
        "frames": [(n, replace(BASE, n_frames=n), 1) for n in (100, 200, 400, 800)],
        "rank": [(n, replace(BASE, rank=n), 1) for n in (2, 4, 6, 8)],
        "cores": [(n, replace(BASE, matrix=256), n) for n in cores],
    }


def draw(timings: dict[str, list[tuple[int, dict[str, Timing]]]], path: Path) -> None:
    """One panel for everything that was varied."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, len(timings), figsize=(3.2 * len(timings), 3.2), sharey=True, layout="constrained"
    )
    for axis, (name, rows) in zip(axes, timings.items(), strict=True):
        for stage in STAGES:
            axis.loglog(
                [value for value, _ in rows],
                [row[stage].seconds for _, row in rows],
                "o-",
                label=stage,
            )
        axis.set_xlabel(name)
        axis.set_xticks([value for value, _ in rows], [str(value) for value, _ in rows])
        axis.minorticks_off()
    axes[0].set_ylabel("seconds")
    axes[-1].legend(fontsize=7)
    figure.savefig(path, dpi=90)
    plt.close(figure)


def main() -> None:
    """Measure, and write table and picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=5)
    words = parser.parse_args()
    device = find_device(words.device)
    lines = [
        "# How time grows",
        "",
        f"`python -m benchmarks.speed.scaling`, {device.type}: milliseconds, medians of {words.repeats}; in "
        "brackets the floor, what the stage's transforms or memory traffic alone take. Base: 128 x 128 voxels, 6 "
        "coils, 400 frames of one spiral arm, rank 5, one thread (cores: 256 x 256).",
        "",
        "| varied | value | " + " | ".join(STAGES) + " |",
        "|---" * (2 + len(STAGES)) + "|",
    ]
    timings: dict[str, list[tuple[int, dict[str, Timing]]]] = {}
    for name, cases in changes(words.threads).items():
        for value, size, threads in cases:
            torch.set_num_threads(threads)
            row = measure(size, device, words.repeats)
            timings.setdefault(name, []).append((value, row))
            cells = " | ".join(row[stage].cell for stage in STAGES)
            lines.append(f"| {name} | {value} | {cells} |")
            words.table.write_text("\n".join(lines) + "\n")
    draw(timings, words.picture)


if __name__ == "__main__":
    main()

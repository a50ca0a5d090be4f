"""A whole scan, file to maps: time, memory and error, as planned and as measured.

python -m benchmarks.speed.full_size TABLE [--matrix 220] [--device cuda] [--gpu-mem 80 24 16 12]
python -m benchmarks.speed.full_size TABLE --matrix 48 64 96 --extrapolate 220 --cores 32
python -m benchmarks.speed.full_size TABLE --matrix 128 --kept 28 --noise 1.31     # 220^3 at a smaller size

One line for every matrix and memory limit. The scan is simulated in the subspace, on the same device,
since the independent simulator would take hours at full size; the maps' errors are for orientation only.
With n / 220 of the arms and sqrt(220 / n) of the noise a smaller matrix n has the samples and the noise in a
voxel of 220^3. What is not run is extrapolated: the plan's time at that size, times what the largest matrix
measured took longer than planned; on more cores as if all of it ran in parallel, and as if only the part did that two
threads sped up here (Amdahl 1967, doi:10.1145/1465482.1465560).
"""

import argparse
import resource
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

import numpy as np
import torch

from mri2qmap_bids.errors import MemoryLimitError
from mri2qmap_bids.recon.acquisition.extent import extent_of
from mri2qmap_bids.recon.acquisition.layout import ReadLayout
from mri2qmap_bids.recon.acquisition.raw import read_raw
from mri2qmap_bids.recon.denoisers.registry import denoiser_shape
from mri2qmap_bids.recon.denoisers.unet import UNetShape
from mri2qmap_bids.recon.device import find_device
from mri2qmap_bids.recon.encoding.forward import Encoding, forward_by_coil
from mri2qmap_bids.recon.forecast import plan_for, plans_with
from mri2qmap_bids.recon.grid import tissue_grid
from mri2qmap_bids.recon.methods.registry import weights_file
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.dictionary import build_dictionary
from mri2qmap_bids.recon.physics.matching import TissueMaps, signal_of
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence
from mri2qmap_bids.recon.planning.machine import MemoryLimits
from mri2qmap_bids.recon.planning.size import ProblemSize
from mri2qmap_bids.recon.reconstruct import reconstruct_and_diagnose
from mri2qmap_bids.simulate.acquire import Acquired
from mri2qmap_bids.simulate.coils import coil_maps
from mri2qmap_bids.simulate.phantom import DigitalBrain
from mri2qmap_bids.simulate.rawfile import RawFileOptions, write_raw_file
from mri2qmap_bids.simulate.scan import ScanOptions, place_brain
from mri2qmap_bids.simulate.sequences import make_sequence
from mri2qmap_bids.simulate.trajectory import Trajectory, make_trajectory


@dataclass(frozen=True, eq=False)
class Simulated:
    """A scan on disk and what is known of it."""

    file: Path
    sequence: PulseSequence
    brain: DigitalBrain
    n_arms: int
    n_samples: int


def main() -> None:
    """Simulate once, reconstruct under every limit."""
    words = _parse()
    device = find_device(words.device)
    options = ReconOptions(method=words.method, device=words.device, rank=words.rank)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    lines = [
        "# A whole scan, file to maps",
        "",
        f"`python -m benchmarks.speed.full_size`: {words.frames} frames of {words.arms} spiral arms, "
        f"{words.coils} coils, rank {words.rank}, noise {words.noise:g}, method {words.method}, {name}.",
        "",
        "| matrix | samples an arm | threads | limit [GB] | plan | planned [s] | measured [s] | of it reading [s] "
        "| planned peak [GB] | measured [GB] | T1, T2 error [%] |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    times: dict[int, tuple[float, float]] = {}
    for n in words.matrix:
        with tempfile.TemporaryDirectory() as folder:
            scan = simulate(words, n, device, Path(folder))
            for threads, limit in product(words.threads, words.gpu_mem):
                torch.set_num_threads(threads)
                line, planned, measured = measure(scan, options, words.frames, limit, device)
                times[threads] = planned, measured
                start = f"| {n} | {scan.n_samples} | {threads} "
                lines.append(start + line)
                words.table.write_text("\n".join(lines) + "\n")
                sys.stderr.write(lines[-1] + "\n")
    if words.extrapolate:
        lines += ["", *extrapolated(words, scan, options, times)]
        words.table.write_text("\n".join(lines) + "\n")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--matrix", nargs="+", type=int, default=[220])
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--arms", type=int, default=48)
    parser.add_argument("--kept", type=int, help="arms of every frame that are read; default: all")
    parser.add_argument("--coils", type=int, default=8)
    parser.add_argument("--rank", type=int, default=5)
    parser.add_argument("--noise", type=float, default=1.0)
    parser.add_argument("--method", default="mri2qmap")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--gpu-mem", nargs="+", type=float, default=[None])
    parser.add_argument("--threads", nargs="+", type=int, default=[torch.get_num_threads()])
    parser.add_argument("--extrapolate", type=int, metavar="MATRIX")
    parser.add_argument("--cores", type=int, default=32)
    return parser.parse_args()


def simulate(words: argparse.Namespace, n: int, device: torch.device, folder: Path) -> Simulated:
    """Samples of the average brain in the subspace, written as a scanner's converter would."""
    watch = Stopwatch(f"simulation of {n}^3:")
    wave = np.abs(np.sin(np.pi * 5 * np.arange(words.frames) / words.frames))
    sequence = make_sequence("FISP", words.frames, np.deg2rad(5 + 60 * wave))
    scan_options = ScanOptions(sequence=sequence, n_dims=3, matrix=(n,) * 3, fov=(0.22,) * 3)
    geometry, brain = place_brain(scan_options, 0)
    watch.say("brain")
    dictionary = build_dictionary(
        sequence, tissue_grid(ReconOptions()), words.rank, device=device
    ).to(device)
    watch.say("dictionary")
    labels, t1, t2, m0 = (
        torch.from_numpy(values).to(device)
        for values in (brain.labels, brain.t1, brain.t2, brain.m0)
    )
    there = labels > 0
    t1, t2 = t1[there].clamp(0.1, 5), t2[there].clamp(0.01, 2)
    image = torch.zeros(words.rank, *labels.shape, dtype=torch.complex64, device=device)
    image[:, there] = signal_of(TissueMaps(t1, t2.minimum(t1), m0[there], t1), dictionary)
    watch.say("signal")
    trajectory = whole_trajectory(n, words.frames, words.arms)
    if words.kept:
        trajectory = replace(trajectory, positions=trajectory.positions[:, : words.kept].copy())
    shape = trajectory.positions.shape
    omega = torch.from_numpy(trajectory.positions).to(device).reshape(-1, 3).flip(1)
    omega *= 2 * np.pi / n
    frame = torch.arange(words.frames, device=device).repeat_interleave(shape[1] * shape[2])
    watch.say("trajectory")
    coils = smooth_coils(geometry.matrix, words.coils, device)
    watch.say("coils")
    kspace = np.empty((1, *shape[:2], words.coils, shape[2]), np.complex64)
    generator = torch.Generator(device).manual_seed(0)
    encoding = Encoding(omega, frame, dictionary.basis, coils)
    for number, samples in enumerate(forward_by_coil(encoding, image)):
        level = words.noise * float(samples.abs().square().mean().sqrt())
        noise = torch.randn(len(samples), dtype=torch.complex64, device=device, generator=generator)
        noisy = noise.mul_(level).add_(samples)
        kspace[0, :, :, number] = noisy.reshape(shape[:3]).cpu().numpy()
    watch.say("samples")
    file = folder / "sub-01_MRF.h5"
    acquired = Acquired(kspace, trajectory, None, None)
    write_raw_file(file, acquired, sequence, geometry, RawFileOptions())
    watch.say("file")
    sys.stderr.write(f"{watch.line}\n")
    return Simulated(file, sequence, brain, shape[1], shape[2])


@dataclass
class Stopwatch:
    """Seconds of one stage after another, in one line."""

    line: str
    start: float = field(default_factory=time.perf_counter)

    def say(self, stage: str) -> None:
        """End a stage."""
        now = time.perf_counter()
        self.line += f" {stage} {now - self.start:.1f} s"
        self.start = now


def tell(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class Stages:
    """Prints the time of every stage of a reconstruction as it ends."""

    def begin_part(self, index: int, n_parts: int) -> None:
        """Nothing to say: a volume is one part."""

    def begin_stage(self, name: str) -> None:
        """Nothing to say before it ends."""

    def end_stage(self, name: str, seconds: float) -> None:
        """Name and time."""
        tell(f"  {name}: {seconds:.2f} s")


def smooth_coils(matrix: tuple[int, int, int], n_coils: int, device: torch.device) -> torch.Tensor:
    """Sensitivities of a birdcage, interpolated from at most 64 voxels along an axis; (coil, z, y, x)."""
    nz, ny, nx = (min(size, 64) for size in matrix)
    coarse = torch.from_numpy(coil_maps((nz, ny, nx), True, n_coils, 0)).to(device)
    parts = torch.view_as_real(coarse).movedim(-1, 1)
    fine = torch.nn.functional.interpolate(parts, matrix, mode="trilinear", align_corners=True)
    return torch.view_as_complex(fine.movedim(1, -1).contiguous())


def whole_trajectory(n: int, n_frames: int, n_arms: int) -> Trajectory:
    """As many interleaves of a disc as arms are read in a frame, each on a disc of its own."""
    half_circle = int(np.ceil(np.pi / 2 * n))
    return make_trajectory("spiral", (n,) * 3, n_frames, half_circle, n_arms * half_circle)


def extrapolated(
    words: argparse.Namespace,
    scan: Simulated,
    options: ReconOptions,
    times: dict[int, tuple[float, float]],
) -> list[str]:
    """What a larger matrix would take, from the last one's planned and measured times."""
    n = words.extrapolate
    dictionary = build_dictionary(scan.sequence, tissue_grid(options), options.rank)
    first = whole_trajectory(n, 1, words.arms).positions
    weights = weights_file(options)
    size = ProblemSize(
        shape=(n,) * 3,
        n_slices=1,
        rank=dictionary.basis.shape[1],
        n_receive=words.coils,
        n_coils=min(words.coils, options.n_virtual_coils),
        n_samples=words.frames * first[..., 0].size,
        n_atoms=len(dictionary.atoms),
        real_basis=not dictionary.basis.is_complex(),
        denoiser=UNetShape() if weights is None else denoiser_shape(weights),
    )
    results = {}
    for threads, (planned, measured) in times.items():
        torch.set_num_threads(threads)
        plan = plan_for(size, options, MemoryLimits(host_gb=256.0))[0]
        results[threads] = plan.seconds * measured / planned
    lines = [
        f"{n}^3, not run: "
        + ", ".join(f"{seconds / 60:.0f} min with {t} thread(s)" for t, seconds in results.items())
        + f" ({str(plan).split('; about')[0]}, {max(plan.host, plan.device) / 1e9:.0f} GB)."
    ]
    if {1, 2} <= results.keys():
        one, two = results[1], results[2]
        parallel = float(np.clip(2 * (1 - two / one), 0, 1))
        worst = one * (1 - parallel + parallel / words.cores)
        lines.append(
            f"On {words.cores} such cores: {one / words.cores / 60:.1f} min if all of it ran in parallel, "
            f"{worst / 60:.1f} min if only the {100 * parallel:.0f} % did that two threads halve."
        )
    return lines


def measure(
    simulated: Simulated,
    options: ReconOptions,
    n_frames: int,
    limit: float | None,
    device: torch.device,
) -> tuple[str, float, float]:
    """The end of a line of the table, planned seconds, measured seconds."""
    limits = MemoryLimits(gpu_gb=limit)
    dictionary = build_dictionary(
        simulated.sequence, tissue_grid(options), options.rank, device=device
    )
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    start = time.perf_counter()
    scan = read_raw(simulated.file, ReadLayout(n_frames))
    reading = time.perf_counter() - start
    try:
        plan = plans_with(dictionary, extent_of(scan), options, limits)[0]
        tell(f"read in {reading:.1f} s; {plan}")
        maps, _ = reconstruct_and_diagnose(
            scan, simulated.sequence, options, dictionary, limits, listener=Stages()
        )
    except MemoryLimitError as error:
        return f"| {limit} | {error} | | | | | | |", float("nan"), float("nan")
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if on_gpu:
        peak = torch.cuda.max_memory_reserved(device)
    tissue = np.isin(simulated.brain.labels, (1, 2))
    errors = [
        100 * float(np.abs(estimate[tissue] / true[tissue] - 1).mean())
        for estimate, true in ((maps.t1, simulated.brain.t1), (maps.t2, simulated.brain.t2))
    ]
    line = (
        f"| {limit or ''} | {str(plan).split('; about')[0]} | {plan.seconds:.0f} | {seconds:.0f} | {reading:.1f} | "
        f"{plan.device / 1e9:.1f} | {peak / 1e9:.1f} | {errors[0]:.2f}, {errors[1]:.2f} |"
    )
    return line, plan.seconds, seconds


if __name__ == "__main__":
    main()

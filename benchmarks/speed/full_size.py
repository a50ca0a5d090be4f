"""A whole scan, file to maps: time, memory and error, as planned and as measured.

python -m benchmarks.speed.full_size TABLE [--matrix 220 --frames 500 --arms 48] [--device cuda]
    [--gpu-mem 80 24 16 12]

One line for every memory limit. The scan is simulated in the subspace, on the same device, since the
independent simulator would take hours at this size; the maps' errors are for orientation only.
"""

import argparse
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mri2qmap_bids.errors import MemoryLimitError
from mri2qmap_bids.recon.acquisition.extent import extent_of
from mri2qmap_bids.recon.acquisition.raw import ReadLayout, read_raw
from mri2qmap_bids.recon.encoding.forward import Encoding, forward_by_coil
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.dictionary import build_dictionary
from mri2qmap_bids.recon.physics.matching import TissueMaps, signal_of
from mri2qmap_bids.recon.physics.sequence import Sequence
from mri2qmap_bids.recon.plan import MemoryLimits
from mri2qmap_bids.recon.reconstruct import (
    find_device,
    plans_with,
    reconstruct,
    tissue_grid,
)
from mri2qmap_bids.simulate.acquire import Acquired
from mri2qmap_bids.simulate.coils import coil_maps
from mri2qmap_bids.simulate.phantom import DigitalBrain
from mri2qmap_bids.simulate.rawfile import RawFileOptions, write_raw_file
from mri2qmap_bids.simulate.scan import ScanOptions, place_brain
from mri2qmap_bids.simulate.sequences import make_sequence
from mri2qmap_bids.simulate.trajectory import make_trajectory


@dataclass(frozen=True, eq=False)
class Simulated:
    """A scan on disk and what is known of it."""

    file: Path
    sequence: Sequence
    brain: DigitalBrain
    n_arms: int
    n_samples: int


def main() -> None:
    """Simulate once, reconstruct under every limit."""
    words = _parse()
    torch.set_num_threads(words.threads)
    device = find_device(words.device)
    options = ReconOptions(method=words.method, device=words.device, rank=words.rank)
    with tempfile.TemporaryDirectory() as folder:
        scan = simulate(words, device, Path(folder))
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
        lines = [
            "# A whole scan, file to maps",
            "",
            f"`python -m benchmarks.speed.full_size`: {words.matrix}^3 voxels, {words.frames} frames of {scan.n_arms} "
            f"arms of {scan.n_samples} samples, {words.coils} coils, rank {words.rank}, noise {words.noise:g}, method "
            f"{words.method}, {words.threads} threads, {name}.",
            "",
            "| limit [GB] | plan | planned [s] | measured [s] | of it reading [s] | planned peak [GB] "
            "| measured [GB] | T1, T2 error [%] |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for limit in words.gpu_mem:
            lines.append(measure(scan, options, words.frames, limit, device))
            words.table.write_text("\n".join(lines) + "\n")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--matrix", type=int, default=220)
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--arms", type=int, default=48)
    parser.add_argument("--coils", type=int, default=8)
    parser.add_argument("--rank", type=int, default=5)
    parser.add_argument("--noise", type=float, default=1.0)
    parser.add_argument("--method", default="mri2qmap")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--gpu-mem", nargs="+", type=float, default=[None])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args()


def simulate(words: argparse.Namespace, device: torch.device, folder: Path) -> Simulated:
    """Samples of the average brain in the subspace, written as a scanner's converter would."""
    n = words.matrix
    wave = np.abs(np.sin(np.pi * 5 * np.arange(words.frames) / words.frames))
    sequence = make_sequence("FISP", words.frames, np.deg2rad(5 + 60 * wave))
    scan_options = ScanOptions(sequence=sequence, n_dims=3, matrix=(n,) * 3, fov=(0.22,) * 3)
    geometry, brain = place_brain(scan_options, 0)
    grid = tissue_grid(ReconOptions())
    dictionary = build_dictionary(sequence, grid, words.rank, device=device)
    there = brain.labels > 0
    t1 = torch.from_numpy(np.where(there, brain.t1, 1.0)).float().clamp(0.1, 5)
    t2 = torch.from_numpy(np.where(there, brain.t2, 0.1)).float().clamp(0.01, 2).minimum(t1)
    m0 = torch.from_numpy(np.where(there, brain.m0, 0)).to(torch.complex64)
    image = signal_of(TissueMaps(t1, t2, m0, t1), dictionary)
    # So many interleaves of a disc as arms are read in a frame, each on a disc of its own.
    half_circle = int(np.ceil(np.pi / 2 * n))
    trajectory = make_trajectory(
        "spiral", (n,) * 3, words.frames, half_circle, words.arms * half_circle
    )
    shape = trajectory.positions.shape
    flat = trajectory.positions.reshape(-1, 3)[:, ::-1] * (2 * np.pi / n)
    coils = torch.from_numpy(coil_maps(geometry.matrix, True, words.coils, 0))
    frame = torch.arange(words.frames).repeat_interleave(shape[1] * shape[2])
    omega = torch.from_numpy(flat.astype(np.float32))
    parts = (part.to(device) for part in (omega, frame, dictionary.basis, coils))
    kspace = np.empty((1, *shape[:2], words.coils, shape[2]), np.complex64)
    generator = torch.Generator().manual_seed(0)
    for number, samples in enumerate(forward_by_coil(Encoding(*parts), image.to(device))):
        own = samples.cpu()
        level = words.noise * float(own.abs().square().mean().sqrt())
        own += level * torch.randn(len(own), dtype=torch.complex64, generator=generator)
        kspace[0, :, :, number] = own.reshape(shape[:3]).numpy()
    file = folder / "sub-01_MRF.h5"
    acquired = Acquired(kspace, trajectory, None, None)
    write_raw_file(file, acquired, sequence, geometry, RawFileOptions())
    return Simulated(file, sequence, brain, shape[1], shape[2])


def measure(
    known: Simulated,
    options: ReconOptions,
    n_frames: int,
    limit: float | None,
    device: torch.device,
) -> str:
    """One line of the table."""
    limits = MemoryLimits(gpu_gb=limit)
    dictionary = build_dictionary(known.sequence, tissue_grid(options), options.rank, device=device)
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    start = time.perf_counter()
    scan = read_raw(known.file, ReadLayout(n_frames))
    read = time.perf_counter() - start
    try:
        plan = plans_with(dictionary, extent_of(scan), options, limits)[0]
        maps = reconstruct(scan, known.sequence, options, dictionary, limits)
    except MemoryLimitError as error:
        return f"| {limit} | {error} | | | | | | |"
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if on_gpu:
        peak = torch.cuda.max_memory_reserved(device)
    tissue = np.isin(known.brain.labels, (1, 2))
    errors = [
        100 * float(np.abs(found[tissue] / true[tissue] - 1).mean())
        for found, true in ((maps.t1, known.brain.t1), (maps.t2, known.brain.t2))
    ]
    return (
        f"| {limit or ''} | {str(plan).split('; about')[0]} | {plan.seconds:.0f} | {seconds:.0f} | {read:.1f} | "
        f"{plan.device / 1e9:.1f} | {peak / 1e9:.1f} | {errors[0]:.2f}, {errors[1]:.2f} |"
    )


if __name__ == "__main__":
    main()

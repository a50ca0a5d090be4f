"""Peak memory and time that the plan predicts, against what a reconstruction takes.

python -m benchmarks.speed.memory benchmarks/speed/memory.md [--edge 96] [--threads 2]

Each case runs in a process of its own, on samples of nothing but noise. Iterations are cut to one
of each kind: they repeat the same arrays.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from mri2qmap_bids.recon.acquisition.extent import extent_of
from mri2qmap_bids.recon.acquisition.geometry import Geometry
from mri2qmap_bids.recon.acquisition.scan import RawScan, SliceSamples
from mri2qmap_bids.recon.forecast import plans_with
from mri2qmap_bids.recon.grid import tissue_grid
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.dictionary import build_dictionary
from mri2qmap_bids.recon.planning.machine import MemoryLimits
from mri2qmap_bids.recon.reconstruct import reconstruct
from mri2qmap_bids.simulate.sequences import make_sequence

N_FRAMES = 60


@dataclass(frozen=True)
class Case:
    """One reconstruction."""

    method: str = "subspace"
    n_dims: int = 3
    edge: int = 96
    n_coils: int = 4
    samples_per_frame: int = 20000
    limit_gb: float | None = None
    """Of memory that the plan may use."""


def scan_of(case: Case) -> RawScan:
    """Noise at random positions inside the ball (disc) of k-space."""
    generator = torch.Generator().manual_seed(0)
    n = N_FRAMES * case.samples_per_frame
    size = 1e-3
    positions = (torch.rand((n, case.n_dims), generator=generator) - 0.5) / size
    kspace = torch.randn((case.n_coils, n), dtype=torch.complex64, generator=generator)
    frame = torch.arange(n) // case.samples_per_frame
    n_z = case.edge if case.n_dims == 3 else 1
    x, y, z = np.eye(3)
    geometry = Geometry((n_z, case.edge, case.edge), (size,) * 3, np.zeros(3), x, y, z)
    fov = (n_z * size, case.edge * size, case.edge * size)
    part = SliceSamples(kspace, positions, frame)
    return RawScan((part,), None, geometry, fov, N_FRAMES, case.n_dims == 3)


def measure(case: Case) -> dict[str, float | str]:
    """Predicted and measured peak and time of one case, in this process."""
    options = ReconOptions(method=case.method, device="cpu", rank=5, n_iterations=1)
    sequence = make_sequence("FISP", N_FRAMES, np.deg2rad(np.linspace(5, 60, N_FRAMES)))
    dictionary = build_dictionary(sequence, tissue_grid(options), 5)
    scan = scan_of(case)
    limits = MemoryLimits(case.limit_gb)
    plan = plans_with(dictionary, extent_of(scan), options, limits)[0]
    start = time.perf_counter()
    reconstruct(scan, sequence, options, dictionary, limits)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "plan": str(plan).split(";")[0],
        "predicted": plan.device / 1e9,
        "measured": peak / 1e9,
        "predicted_s": plan.seconds,
        "measured_s": seconds,
    }


def main() -> None:
    """Run every case and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--edge", type=int, default=96)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--case")
    words = parser.parse_args()
    if words.case:
        torch.set_num_threads(words.threads)
        sys.stdout.write(json.dumps(measure(Case(**json.loads(words.case)))) + "\n")
        return
    methods = ("gridding", "subspace", "llr", "lrtv", "pnp", "mri2qmap")
    cases = [Case(method, edge=words.edge) for method in methods]
    cases += [Case("subspace", edge=words.edge, limit_gb=limit) for limit in (1.6, 1.2)]
    cases += [Case("mri2qmap", n_dims=2, edge=224, n_coils=8, samples_per_frame=2000)]
    lines = [
        "# Memory and time as planned and as measured",
        "",
        f"`python -m benchmarks.speed.memory {words.table} --edge {words.edge} --threads {words.threads}`, CPU, one "
        "iteration of each kind, rank 5. Peak of the process.",
        "",
        "| case | plan | memory planned [GB] | measured [GB] | time planned [s] | measured [s] |",
        "|---|---|---|---|---|---|",
    ]
    for case in cases:
        command = [sys.executable, "-m", "benchmarks.speed.memory", str(words.table), "--case"]
        command += [json.dumps(asdict(case)), "--threads", str(words.threads)]
        process = subprocess.run(command, capture_output=True, text=True, check=False)
        name = f"{case.method} {case.n_dims}D {case.edge}, {case.n_coils} coils"
        name += f", at most {case.limit_gb} GB" if case.limit_gb else ""
        if process.returncode:
            reason = (process.stderr.strip().splitlines() or ["killed"])[-1]
            lines.append(f"| {name} | {reason} | | | | |")
        else:
            row = json.loads(process.stdout.splitlines()[-1])
            lines.append(
                f"| {name} | {row['plan']} | {row['predicted']:.2f} | {row['measured']:.2f} | "
                f"{row['predicted_s']:.1f} | {row['measured_s']:.1f} |"
            )
        words.table.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

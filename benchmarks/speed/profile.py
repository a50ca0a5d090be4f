"""Where the time of a reconstruction goes, stage by stage.

python -m benchmarks.speed.profile DATA benchmarks/speed/profile.md [--threads 1]

One slice of the accuracy benchmark (volunteer 0, 224 x 224 voxels of 1 mm, 125 frames, 8 coils, heavy
noise) by every method, from samples in memory to maps.
"""

import argparse
from pathlib import Path

import torch

from benchmarks.accuracy.cases import Case, make_problem
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.reconstruct import reconstruct_and_diagnose

METHODS: tuple[str, ...] = ("mri2qmap", "lrtv", "llr", "subspace", "gridding")


def main() -> None:
    """Run every method once and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    words = parser.parse_args()
    torch.set_num_threads(words.threads)
    problem = make_problem(Case("vol0_slice10", 8, 1.0), words.data)
    results: dict[str, dict[str, float]] = {}
    for method in METHODS:
        options = ReconOptions(method=method, device=words.device)
        diagnostics = reconstruct_and_diagnose(problem.scan, problem.sequence, options)[1]
        results[method] = dict(diagnostics.seconds)
    stages = list(dict.fromkeys(stage for row in results.values() for stage in row))
    lines = [
        "# Where the time goes",
        "",
        f"`python -m benchmarks.speed.profile`, {words.device}, {words.threads} thread(s): seconds of each stage, "
        "one slice of 224 x 224 voxels, 125 frames, 8 coils.",
        "",
        "| stage | " + " | ".join(METHODS) + " |",
        "|---" * (1 + len(METHODS)) + "|",
    ]
    for stage in stages:
        cells = [f"{results[m][stage]:.2f}" if stage in results[m] else "" for m in METHODS]
        lines.append(f"| {stage} | " + " | ".join(cells) + " |")
    totals = [f"{sum(results[m].values()):.1f}" for m in METHODS]
    lines.append("| all | " + " | ".join(totals) + " |")
    words.table.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

"""One subspace problem by conjugate gradients, side by side: this package, mrpro, BART and sigpy.

python -m benchmarks.speed.peers benchmarks/speed/peers.md [--mrpro-python PYTHON] [--threads 2]

Every engine runs in a process of its own, in turn, several times over; figures are medians. mrpro
wants an environment of its own (its dependencies replace torch): give that one's python.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.speed.problem import SIZES, make_problem, nrmse

ITERATIONS = 30
# As a module: a script's own folder would come first, and its profile.py before Python's.
_ENGINES = ("-m", "benchmarks.speed.engines")


def main() -> None:
    """Run every engine on every problem and write the table as it grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--engines", nargs="+", default=["mri2qmap", "mrpro", "bart"])
    parser.add_argument("--sizes", nargs="+", choices=sorted(SIZES), default=sorted(SIZES))
    parser.add_argument("--mrpro-python", default=sys.executable)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--repeats", type=int, default=3)
    words = parser.parse_args()
    lines = [
        "# The same subspace problem by four engines",
        "",
        f"`python -m benchmarks.speed.peers`: {ITERATIONS} conjugate-gradient steps, {words.threads} threads, "
        f"medians of {words.repeats} runs taken in turn; from samples and sensitivities to the image, imports not "
        "counted. NRMSE against the known image.",
        "",
        "| problem | engine | NRMSE | wall [s] | CPU [s] | peak [GB] | wall against ours |",
        "|---|---|---|---|---|---|---|",
    ]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(words.threads),
        "NUMBA_NUM_THREADS": str(words.threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")]),
    }
    for name in words.sizes:
        with tempfile.TemporaryDirectory() as folder:
            problem_file, image_file = Path(folder) / "problem.npz", Path(folder) / "image.npy"
            problem = make_problem(SIZES[name])
            np.savez(problem_file, **problem)  # type: ignore[arg-type]
            runs: dict[str, list[dict[str, float]]] = {engine: [] for engine in words.engines}
            for _ in range(words.repeats):
                for engine in words.engines:
                    python = words.mrpro_python if engine == "mrpro" else sys.executable
                    steps = 5 if engine == "sigpy" else ITERATIONS
                    command = [python, *_ENGINES, engine, str(problem_file), str(image_file)]
                    process = subprocess.run(
                        [*command, str(steps)],
                        env=environment,
                        capture_output=True,
                        text=True,
                        check=False,
                    )
                    if process.returncode:
                        sys.stderr.write(f"{engine}: {process.stderr[-600:]}\n")
                        continue
                    row = json.loads(process.stdout.splitlines()[-1])
                    sys.stderr.write(f"{name} {engine} {row}\n")
                    error = nrmse(np.load(image_file), problem["truth"])
                    runs[engine].append(row | {"nrmse": error})
        medians = {
            engine: {
                key: statistics.median(row[key] for row in rows)
                for key in ("nrmse", "wall", "cpu", "peak_gb")
            }
            for engine, rows in runs.items()
            if rows
        }
        for engine, row in medians.items():
            ratio = row["wall"] / medians["mri2qmap"]["wall"] if "mri2qmap" in medians else 1.0
            lines.append(
                f"| {name} | {engine} | {row['nrmse']:.4f} | {row['wall']:.1f} | {row['cpu']:.1f} | "
                f"{row['peak_gb']:.2f} | {ratio:.1f} |"
            )
        words.table.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

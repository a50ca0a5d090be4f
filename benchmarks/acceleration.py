"""Accuracy and time of the command line over acceleration 1, 2, 4, 8, noisy and noise-free.

python benchmarks/acceleration.py benchmarks/acceleration.md

Simulates one 2D and one 3D scan per case, reconstructs each with every method and writes
a table of errors in grey and white matter and wall-clock seconds (start of the program and
dictionary included).
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SCANS = {
    "2D 96x96, 300 frames": ["--matrix", "96", "--frames", "300"],
    "3D 32x32x32, 200 frames": ["--dimension", "3D", "--matrix", "32", "--frames", "200"],
}
METHODS = ("gridding", "subspace")


def command(module: str, *words: object) -> float:
    """Run a command of the package; seconds it took."""
    start = time.perf_counter()
    process = subprocess.run(
        [sys.executable, "-m", module, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        raise SystemExit(f"{module} {words}: {process.stderr}")
    return time.perf_counter() - start


def rows_of(name: str, scan: list[str], acceleration: int, noise: float) -> list[str]:
    """Table rows of one simulated scan."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        data = root / "data"
        words = [*scan, "--acceleration", acceleration, "--noise", noise]
        command("mri2qmap_bids.tools", "simulate", data, *words)
        samples = json.loads(next(data.rglob("*_MRF.json")).read_text())
        per_frame = samples["MRFSamplesPerReadout"] * samples["NumberShots"]
        for method in METHODS:
            output = root / method
            seconds = command(
                "mri2qmap_bids", data, output, "participant",
                "--recon-method", method, "-w", root / f"work-{method}",
            )  # fmt: skip
            truth = data / "derivatives" / "mri2qmap-simulate"
            command("mri2qmap_bids.tools", "evaluate", output, truth, "--output", root / "s.json")
            score = {row["tissue"]: row for row in json.loads((root / "s.json").read_text())}[
                "GM+WM"
            ]
            rows.append(
                f"| {name} | {acceleration} | {per_frame} | {noise:g} | {method} | {score['T1_MAPE']:.2f} | "
                f"{score['T1_bias']:.2f} | {score['T2_MAPE']:.2f} | {score['T2_bias']:.2f} | "
                f"{score['M0_NRMSE']:.2f} | {seconds:.1f} |"
            )
    return rows


def main() -> None:
    """Measure every case and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    words = parser.parse_args()
    lines = [
        "# Accuracy and time over acceleration",
        "",
        f"`python benchmarks/acceleration.py {words.table}` on {os.cpu_count()} cores, "
        f"{platform.processor() or platform.machine()}, no GPU. Simulated average brain, 8 coils whose "
        "sensitivities are estimated from the data; noise relative to the rms signal. Errors in grey and "
        "white matter [%]; time [s] is that of the whole command.",
        "",
        "| scan | R | samples/frame | noise | method | T1 MAPE | T1 bias | T2 MAPE | T2 bias | M0 NRMSE | time |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, scan in SCANS.items():
        # A 3D frame is sampled in full by hundreds of arms: R counts from a quarter of them on.
        factors = (1, 2, 4, 8) if "2D" in name else (4, 8, 32, 64)
        for acceleration in factors:
            for noise in (0.0, 0.2):
                lines += rows_of(name, scan, acceleration, noise)
                words.table.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

"""The whole program at work on a small simulated dataset, one real command after another."""

import json
import logging
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

logger = logging.getLogger(__name__)

_2D = ("--acq", "2d", "--matrix", "96", "--slices", "2", "--frames", "400", "--acceleration", "8")
_3D = ("--acq", "3d", "--dimension", "3D", "--matrix", "40", "--frames", "300")
_FULL = ("--acq", "full", "--matrix", "64", "--frames", "300", "--acceleration", "1")
# Two participants, one with two sessions: noisy undersampled 2D and 3D, and one scan that is
# fully sampled and free of noise, whose maps must be right.
RUNS: tuple[tuple[str, ...], ...] = (
    ("--sub", "01", "--ses", "1", *_2D, "--noise", "0.2"),
    ("--sub", "01", "--ses", "2", *_2D, "--noise", "0.2", "--oblique", "8", "5", "-10"),
    ("--sub", "02", "--ses", "1", *_3D, "--noise", "0.2", "--acceleration", "48"),
    ("--sub", "02", "--ses", "1", *_FULL, "--noise", "0"),
)


def demo_commands(directory: Path) -> list[list[str]]:
    """The commands of the demo, as a user would type them."""
    dataset, output = str(directory / "dataset"), str(directory / "derivatives")
    truth = str(directory / "dataset" / "derivatives" / "mri2qmap-simulate")
    scores = str(directory / "scores.json")
    simulate = ["mri2qmap-tools", "simulate", dataset, "--coils", "8", "--overwrite"]
    return [
        *([*simulate, *run] for run in RUNS),
        ["mri2qmap", dataset, output, "participant", "-w", str(directory / "work")],
        ["mri2qmap", dataset, output, "group"],
        ["mri2qmap-tools", "evaluate", output, truth, "--output", scores],
    ]


def run_demo(directory: Path) -> int:
    """Run the commands one by one; stop at the first that fails.

    Returns
    -------
    Exit code of the last command.
    """
    directory.mkdir(parents=True, exist_ok=True)
    sys.stdout.write(
        "The demo downloads nothing and takes a few minutes on two cores "
        f"(three and a half when measured). Everything it writes is in {directory}.\n"
    )
    for command in demo_commands(directory):
        sys.stdout.write(f"\n$ {shlex.join(command)}\n")
        sys.stdout.flush()
        code = subprocess.run(_here(command), check=False).returncode
        if code:
            return code
    # What is worth keeping lies in the derivatives.
    shutil.rmtree(directory / "work", ignore_errors=True)
    output, scores = directory / "derivatives", directory / "scores.json"
    reports = "".join(f"Report: {page}\n" for page in sorted(output.glob("*.html")))
    sys.stdout.write(f"\n{verdict(scores)}\n{reports}Maps: {output}\nScores: {scores}\n")
    return 0


def verdict(scores: Path) -> str:
    """Mean errors of T1 and T2 of each run, in words.

    Parameters
    ----------
    scores
        JSON records that ``mri2qmap-tools evaluate`` has written.
    """
    rows = json.loads(scores.read_text(encoding="utf-8"))
    parts = [
        f"{row['run']} T1 {row['T1_MAPE']:.1f} %, T2 {row['T2_MAPE']:.1f} %"
        for row in rows
        if row["tissue"] == "GM+WM"
    ]
    return f"Mean absolute error in grey and white matter: {'; '.join(parts)}."


def _here(command: Sequence[str]) -> list[str]:
    """The same command by this very interpreter, whatever is first on the PATH."""
    module = {"mri2qmap": "mri2qmap_bids", "mri2qmap-tools": "mri2qmap_bids.tools"}[command[0]]
    return [sys.executable, "-m", module, *command[1:]]

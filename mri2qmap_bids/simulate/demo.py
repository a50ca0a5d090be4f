"""The whole program at work on a small simulated dataset, one real command after another."""

import json
import logging
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

logger = logging.getLogger(__name__)

_2D = ("--acq", "2d", "--matrix", "96", "--slices", "2", "--frames", "400", "--acceleration", "8")
_3D = ("--acq", "3d", "--dimension", "3D", "--matrix", "40", "--frames", "300")
_FULL = ("--acq", "full", "--matrix", "64", "--frames", "300", "--acceleration", "1")
# Two participants, one with two sessions: noisy undersampled 2D and 3D, and one scan that is
# fully sampled and has hardly any noise, whose maps must be right.
RUNS: tuple[tuple[str, ...], ...] = (
    ("--sub", "01", "--ses", "1", *_2D, "--noise", "0.2"),
    ("--sub", "01", "--ses", "2", *_2D, "--noise", "0.2", "--oblique", "8", "5", "-10"),
    ("--sub", "02", "--ses", "1", *_3D, "--noise", "0.2", "--acceleration", "48"),
    ("--sub", "02", "--ses", "1", *_FULL, "--noise", "0.01"),
)


def demo_commands(directory: Path) -> list[list[str]]:
    """The commands of the demo, as a user would type them."""
    dataset, output = str(directory / "dataset"), str(directory / "derivatives")
    truth = str(directory / "dataset" / "derivatives" / "mri2qmap-simulate")
    scores = scores_files(directory)
    work = ["-w", str(directory / "work")]
    other = str(directory / "lrtv")
    first = ["--participant-label", "01", "--session-label", "1", "--recon-method", "lrtv"]
    simulate = ["mri2qmap-tools", "simulate", dataset, "--coils", "8", "--overwrite"]
    return [
        *([*simulate, *run] for run in RUNS),
        ["mri2qmap", dataset, output, "participant", *work],
        ["mri2qmap", dataset, output, "group"],
        ["mri2qmap", dataset, other, "participant", *first, *work],
        ["mri2qmap-tools", "evaluate", other, truth, "--output", str(scores["lrtv"])],
        ["mri2qmap-tools", "evaluate", output, truth, "--output", str(scores["mri2qmap"])],
    ]


def scores_files(directory: Path) -> dict[str, Path]:
    """Scores of each method; one run has been reconstructed by ``lrtv``, too, for comparison."""
    return {"mri2qmap": directory / "scores.json", "lrtv": directory / "scores-lrtv.json"}


def run_demo(directory: Path) -> int:
    """Run the commands one by one; stop at the first that fails.

    Returns
    -------
    Exit code of the last command.
    """
    directory.mkdir(parents=True, exist_ok=True)
    sys.stdout.write(
        "The demo downloads nothing and takes about five minutes on two free cores. "
        f"Everything it writes is in {directory}.\n"
    )
    for command in demo_commands(directory):
        sys.stdout.write(f"\n$ {shlex.join(command)}\n")
        sys.stdout.flush()
        code = subprocess.run(_here(command), check=False).returncode
        if code:
            return code
    # What is worth keeping lies in the derivatives.
    shutil.rmtree(directory / "work", ignore_errors=True)
    output, scores = directory / "derivatives", scores_files(directory)
    reports = "".join(f"Report: {page}\n" for page in sorted(output.glob("*.html")))
    sys.stdout.write(
        f"\n{verdict(scores)}\n{reports}Maps: {output}\nScores: {scores['mri2qmap']}\n"
    )
    return 0


def verdict(scores: Mapping[str, Path]) -> str:
    """Mean errors of T1 and T2 of each run by each method, as a table.

    Parameters
    ----------
    scores
        JSON records that ``mri2qmap-tools evaluate`` has written, by method.
    """
    rows = [
        (row["run"], method, f"{row['T1_MAPE']:.1f}", f"{row['T2_MAPE']:.1f}")
        for method, path in scores.items()
        for row in json.loads(path.read_text(encoding="utf-8"))
        if row["tissue"] == "GM+WM"
    ]
    rows.sort(key=lambda row: row[0])  # the methods keep their order
    table = [("run", "method", "T1", "T2"), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(4)]
    lines = [
        f"{run:{widths[0]}}  {method:{widths[1]}}  {t1:>{widths[2]}}  {t2:>{widths[3]}}"
        for run, method, t1, t2 in table
    ]
    return "\n".join(["Mean absolute error in grey and white matter [%]:", *lines])


def _here(command: Sequence[str]) -> list[str]:
    """The same command by this very interpreter, whatever is first on the PATH."""
    module = {"mri2qmap": "mri2qmap_bids", "mri2qmap-tools": "mri2qmap_bids.tools"}[command[0]]
    return [sys.executable, "-m", module, *command[1:]]

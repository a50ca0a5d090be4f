"""Calls killed at random moments: whether a second call ends as an undisturbed one does.

python -m benchmarks.robustness.kills WORK [--kills 50] [--seed 0]

Simulates a run of two small slices, reconstructs it once, then starts the call again and again into new output
directories, kills it by TERM, INT or KILL at a random moment of its time, and repeats it to its end. Prints one line
each, and a summary; the exit code is 1 if any second call failed, maps differ, or temporary files remained.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)
# On one thread sums have one order, and maps are the same to the last bit.
_OPTIONS = ("--recon-method", "subspace", "--sloppy", "--nprocs", "2", "--omp-nthreads", "1")


def command(dataset: Path, folder: Path) -> list[str]:
    """The call."""
    words = [sys.executable, "-W", "ignore", "-m", "mri2qmap_bids", str(dataset)]
    return [*words, str(folder / "out"), "participant", "-w", str(folder / "work"), *_OPTIONS]


def maps_of(folder: Path) -> dict[str, np.ndarray]:
    """All images of a derivative dataset, by name."""
    return {
        path.name: np.asarray(nib.load(path).dataobj)
        for path in sorted((folder / "out").rglob("*.nii.gz"))
    }


def same(maps: dict[str, np.ndarray], others: dict[str, np.ndarray]) -> bool:
    """Whether both hold the same images to the last bit."""
    return maps.keys() == others.keys() and all(
        np.array_equal(maps[name], others[name], equal_nan=True) for name in maps
    )


def killed(words: list[str], sign: signal.Signals, moment: float) -> str:
    """Start a call and kill it; how it ended."""
    process = subprocess.Popen(
        # In the background shells make programs deaf to Ctrl-C.
        ["env", "--default-signal=INT", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(timeout=moment)
    except subprocess.TimeoutExpired:
        # As a scheduler does: the whole group gets the signal, at once.
        os.killpg(process.pid, sign)
    try:
        return f"exit {process.wait(timeout=60)}"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return "hung for 60 s"


def main() -> int:
    """Kill, repeat, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    words = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    random.seed(words.seed)
    dataset = words.work / "dataset"
    simulate = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "mri2qmap_bids.tools",
        "simulate",
        str(dataset),
    ]
    simulate += ["--sub", "01", "--matrix", "24", "--slices", "2", "--frames", "40", "--coils", "2"]
    if not dataset.exists():
        subprocess.run(simulate, check=True, capture_output=True)
    start = time.perf_counter()
    subprocess.run(command(dataset, words.work / "whole"), check=True, capture_output=True)
    seconds, expected = time.perf_counter() - start, maps_of(words.work / "whole")
    faults = 0
    for number in range(words.kills):
        folder = words.work / f"kill{number}"
        sign, moment = random.choice(SIGNALS), random.uniform(0, seconds)
        end = killed(command(dataset, folder), sign, moment)
        rerun = subprocess.run(
            command(dataset, folder), check=False, capture_output=True, text=True
        )
        rests = [p.name for p in folder.rglob(".tmp-*")] if sign != signal.SIGKILL else []
        right = rerun.returncode == 0 and same(maps_of(folder), expected) and not rests
        right = right and not end.startswith("hung")
        faults += not right
        sys.stdout.write(
            f"{number}: {sign.name} after {moment:.1f} s ({end}); second call: exit {rerun.returncode}, "
            f"{'the same maps' if right else f'WRONG {rests} {rerun.stderr[-500:]}'}\n"
        )
        sys.stdout.flush()
        if right:
            shutil.rmtree(folder)
    sys.stdout.write(
        f"{faults} of {words.kills} wrong; an undisturbed call takes {seconds:.1f} s\n"
    )
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())

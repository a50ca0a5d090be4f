"""Memory of one call over many runs: whether it grows with their number.

python -m benchmarks.robustness.many_runs WORK [--runs 200] [--method subspace]

Simulates one run of 16 x 16 voxels, gives it the names of many participants by hard links, reconstructs all of them in
one call, and samples the resident memory of the program and of its workers ten times a second. Prints the most that
each kind of process held up to the moments when 20, 100 and 200 runs were done. Linux only, since it reads /proc.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PERIOD = 0.1  # s


@dataclass(frozen=True)
class Sample:
    """Resident memory at one moment [byte]."""

    n_done: int
    """Runs whose maps are there."""
    program: int
    workers: int
    """All of them together, and the server that forks them."""
    largest_worker: int
    n_workers: int


def dataset_of(folder: Path, n_runs: int) -> Path:
    """One tiny scan under the names of many participants."""
    one, bids = folder / "one", folder / "bids"
    words = [
        "simulate",
        str(one),
        "--sub",
        "01",
        "--matrix",
        "16",
        "--coils",
        "2",
        "--frames",
        "30",
    ]
    words += ["--acceleration", "1"]
    subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "mri2qmap_bids.tools", *words],
        check=True,
        capture_output=True,
    )
    source = next(one.rglob("*_MRF.h5"))
    bids.mkdir()
    shutil.copy(one / "dataset_description.json", bids)
    shutil.copy(source.with_suffix(".json"), bids / "MRF.json")
    for number in range(1, n_runs + 1):
        path = bids / f"sub-{number:03d}" / "anat" / f"sub-{number:03d}_MRF.h5"
        path.parent.mkdir(parents=True)
        os.link(source, path)
    return bids


def descendants(root: int) -> list[int]:
    """Processes started by a process, by those, and so on."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                # The name, in parentheses, may hold spaces.
                words = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(words[1]), []).append(int(folder.name))
    found, queue = [], [root]
    while queue:
        children = parents.get(queue.pop(), [])
        found += children
        queue += children
    return found


def resident(process: int) -> int:
    """Resident memory of a process [byte]; 0 once it has ended."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def sampled(process: subprocess.Popen[bytes], out: Path) -> list[Sample]:
    """Memory until a process ends."""
    samples = []
    while process.poll() is None:
        sizes = [resident(child) for child in descendants(process.pid)]
        n_done = len(list(out.glob("sub-*/anat/sub-???_T1map.nii.gz")))
        samples.append(
            Sample(n_done, resident(process.pid), sum(sizes), max(sizes, default=0), len(sizes))
        )
        time.sleep(_PERIOD)
    return samples


def table(samples: Iterable[Sample], milestones: Iterable[int]) -> str:
    """A line for each number of runs done: the most memory [MB] up to then."""
    lines = ["| runs done | program | largest worker | workers together | processes |"]
    lines.append("|---|---|---|---|---|")
    samples = list(samples)
    for milestone in milestones:
        before = [s for s in samples if s.n_done <= milestone]
        peaks = [
            max(getattr(s, name) for s in before) / 1e6
            for name in ("program", "largest_worker", "workers")
        ]
        figures = " | ".join(f"{peak:.0f} MB" for peak in peaks)
        lines.append(f"| {milestone} | {figures} | {max(s.n_workers for s in before)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Make the dataset, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--method", default="subspace")
    words = parser.parse_args()
    bids = dataset_of(words.work, words.runs)
    out = words.work / "out"
    call = [sys.executable, "-W", "ignore", "-m", "mri2qmap_bids", str(bids), str(out)]
    call += ["participant", "-w", str(words.work / "work"), "--recon-method", words.method]
    call += ["--sloppy", "--nprocs", "2", "--omp-nthreads", "1"]
    start = time.perf_counter()
    with (words.work / "log.txt").open("wb") as log:
        process = subprocess.Popen(call, stdout=log, stderr=log)
        samples = sampled(process, out)
    seconds = time.perf_counter() - start
    lines = [f"{s.n_done} {s.program} {s.workers} {s.largest_worker}" for s in samples]
    (words.work / "samples.txt").write_text("\n".join(lines) + "\n")
    milestones = [n for n in (20, 100, 200) if n <= words.runs] or [words.runs]
    sys.stdout.write(table(samples, milestones))
    sys.stdout.write(f"{words.runs} runs in {seconds:.0f} s, exit code {process.returncode}\n")
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())

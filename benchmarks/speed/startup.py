"""One call for one slice, from the command to its maps and report, in this checkout and in others.

python -m benchmarks.speed.startup TABLE [--checkout BEFORE ...] [--repeat 5] [--scan "--matrix 64 --frames 200"]

Seconds from the call to the log's line on the first stage, to the dictionary, to the end of the
reconstruction, to the last map on disk (the time of the file), and to the prompt. The checkouts take turns,
so that a busier minute meets all of them; a first turn of each, which fills the caches of machine code and
fonts, does not count. The dictionary is simulated in every call.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parents[2]
# The beginnings of the log's lines, after the name of the run.
LINES = {
    "first stage": "The run begins",
    "dictionary": "Dictionary:",
    "reconstruction": "Reconstructed",
}


def call(checkout: Path, dataset: Path, folder: Path) -> dict[str, float]:
    """Seconds from the start of the program to each of its lines, and to its end."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "XDG_CACHE_HOME": str(folder)}
    output = Path(tempfile.mkdtemp(dir=folder))
    words = [sys.executable, "-m", "mri2qmap_bids", str(dataset), str(output / "out")]
    words += ["participant", "-w", str(output / "work")]
    begin, start, seconds = time.time(), time.perf_counter(), {}
    with subprocess.Popen(
        words,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=folder,
    ) as program:
        assert program.stderr is not None
        for line in program.stderr:
            for name, text in LINES.items():
                if f": {text}" in line:
                    seconds[name] = time.perf_counter() - start
    if program.returncode or seconds.keys() != LINES.keys():
        raise RuntimeError(f"{checkout}: exit code {program.returncode}, lines {list(seconds)}")
    seconds["prompt"] = time.perf_counter() - start
    maps = (output / "out").rglob("*map.nii.gz")
    return {**seconds, "maps": max(file.stat().st_mtime for file in maps) - begin}


def main() -> None:
    """Simulate a slice, then call the checkouts in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--checkout", nargs="*", type=Path, default=[])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument(
        "--scan", default="--matrix 64 --frames 200", help="options of mri2qmap-tools simulate"
    )
    arguments = parser.parse_args()
    checkouts = [path.resolve() for path in (*arguments.checkout, HERE)]
    times: dict[Path, list[dict[str, float]]] = {path: [] for path in checkouts}
    with tempfile.TemporaryDirectory() as name:
        dataset = Path(name) / "dataset"
        simulate = [sys.executable, "-m", "mri2qmap_bids.tools", "simulate", str(dataset)]
        scan = ["--slices", "1", *arguments.scan.split()]
        subprocess.run([*simulate, *scan], check=True, capture_output=True, cwd=HERE)
        for number in range(arguments.repeat + 1):
            for checkout in checkouts:
                folder = Path(name) / checkout.name
                folder.mkdir(exist_ok=True)
                seconds = call(checkout, dataset, folder)
                if number:
                    times[checkout].append(seconds)
    steps = (*LINES, "maps", "prompt")
    lines = [
        f"One slice, `{arguments.scan}`, default options, {os.cpu_count()} cores; median of {arguments.repeat} calls "
        "(least to most) [s].",
        "",
        f"| checkout | {' | '.join(steps)} |",
        f"|---|{'---|' * len(steps)}",
    ]
    for checkout, calls in times.items():
        cells = [
            f"{median(values):.1f} ({min(values):.1f}-{max(values):.1f})"
            for values in ([seconds[step] for seconds in calls] for step in steps)
        ]
        label = "this" if checkout == HERE else checkout.name
        lines.append(f"| {label} | {' | '.join(cells)} |")
    arguments.table.write_text("\n".join(lines) + "\n")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

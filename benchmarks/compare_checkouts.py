"""Whether two checkouts of this project write the same maps, to the last bit.

python -m benchmarks.compare_checkouts OLD NEW WORK

Simulates small scans (2D and 3D, with and without a B1 map) by OLD, reconstructs them by every method
with both, on one thread, and compares every image that was written. The exit code is 1 if any differs.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np

METHODS = ("mri2qmap", "subspace", "gridding", "lrtv", "llr", "pnp")
FLAT = ("--matrix", "48", "--slices", "2", "--frames", "80", "--coils", "4")
SCANS = {
    "flat": FLAT,
    "b1": (*FLAT, "--b1", "0.15"),
    "solid": ("--dimension", "3D", "--matrix", "20", "--frames", "60", "--coils", "3"),
}


def call(checkout: Path, module: str, *words: str | Path) -> None:
    """A command of a checkout, on one thread."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-m", module, *map(str, words)]
    subprocess.run(command, check=True, cwd=checkout, env=environment, capture_output=True)


def main() -> int:
    """Simulate, reconstruct twice, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("work", type=Path)
    words = parser.parse_args()
    differing = 0
    for scan, options in SCANS.items():
        dataset = words.work / scan
        if not dataset.exists():
            call(words.old, "mri2qmap_bids.tools", "simulate", dataset, "--sub", "01", *options)
        for method in METHODS:
            folders = []
            for name, checkout in (("old", words.old), ("new", words.new)):
                output = words.work / name / scan / method
                call(
                    checkout, "mri2qmap_bids", dataset, output, "participant", "-w",
                    words.work / name / "work", "--recon-method", method, "--nprocs", "1",
                    "--omp-nthreads", "1", "--device", "cpu",
                )  # fmt: skip
                files = sorted(output.glob("sub-*/**/*.nii.gz"))
                folders.append(
                    {f.relative_to(output): np.asarray(nib.load(f).dataobj) for f in files}
                )
            old, new = folders
            same = old.keys() == new.keys() and all(
                np.array_equal(old[file], new[file], equal_nan=True) for file in old
            )
            differing += not same
            sys.stdout.write(
                f"{scan:6s} {method:9s} {len(old)} images {'same' if same else 'DIFFER'}\n"
            )
            sys.stdout.flush()
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())

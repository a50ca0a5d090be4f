"""Whether a delay of the gradients is found in its true size.

python -m benchmarks.effects.delay

A digital brain (MNI152, 64 x 64, 100 frames of FISP, 8 coils, light noise) scanned by gradients that come late, with
the nominal trajectory. Writes the table of delay.md beside this file, below its line ``<!-- table -->``.
"""

import json
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from benchmarks.effects import run
from mri2qmap_bids.recon.gradient_delay import gradient_delay
from mri2qmap_bids.recon.grid import tissue_grid
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.dictionary import build_dictionary
from mri2qmap_bids.recon.problem import whitening_of
from mri2qmap_bids.recon.shared_data import SharedData
from mri2qmap_bids.simulate.arms import SpiralDensity
from mri2qmap_bids.simulate.scan import ScanOptions
from mri2qmap_bids.simulate.sequences import make_sequence
from mri2qmap_bids.simulate.trajectory import Readout

OPTIONS = ReconOptions("subspace", device="cpu")
SEQUENCE = make_sequence("FISP", 100)
SCAN = ScanOptions(SEQUENCE, matrix=(64, 64, 1), noise=0.1)
SCANS = {
    "spiral, R = 4": replace(SCAN, acceleration=4),
    "spiral in and out, R = 4": replace(SCAN, acceleration=4, readout=Readout(in_out=True)),
    "radial, R = 8": replace(SCAN, trajectory="radial", acceleration=8),
    "dense-centre spiral, R = 8": replace(
        SCAN, acceleration=8, readout=Readout(SpiralDensity(0.2, 3, 4))
    ),
}
DELAYS = (-1.0, 0.0, 0.5, 1.0, 2.0)


def main() -> None:
    """Search, and write the table; rows of delay.jsonl are not measured again."""
    dictionary = build_dictionary(SEQUENCE, tissue_grid(OPTIONS), None, OPTIONS.energy)
    rows = Path(__file__).with_suffix(".jsonl")
    lines = rows.read_text().splitlines() if rows.exists() else []
    table = {(name, delay): value for name, delay, value in map(json.loads, lines)}
    for name, options in SCANS.items():
        for delay in DELAYS:
            if (name, delay) not in table:
                with patch.object(run, "BASE", options):
                    _, scan, _ = run.with_delay(delay)
                shared = SharedData(scan, scan.geometry, dictionary, OPTIONS, whitening_of(scan))
                value = gradient_delay(shared, 0)
                table[name, delay] = value
                with rows.open("a") as stream:
                    stream.write(json.dumps([name, delay, value]) + "\n")
    head = "| trajectory | " + " | ".join(f"{delay:+g}" for delay in DELAYS) + " |"
    text = [head, "|---" * (len(DELAYS) + 1) + "|"]
    for name in SCANS:
        cells = " | ".join(f"{table[name, delay]:+.2f}" for delay in DELAYS)
        text.append(f"| {name} | {cells} |")
    path = Path(__file__).with_suffix(".md")
    before = path.read_text().split("<!-- table -->")[0]
    path.write_text(f"{before}<!-- table -->\n\n" + "\n".join(text) + "\n")


if __name__ == "__main__":
    main()

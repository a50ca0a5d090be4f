"""Our reader of Pulseq files against pypulseq.

python -m benchmarks.measured.pulseq FOLDER --pypulseq LIB [--table benchmarks/measured/pulseq.md]

FOLDER is searched for .seq files. LIB is a folder of your own into which you have installed pypulseq
(``pip install --no-deps --target LIB pypulseq``); its licence is the AGPL, and nothing of it is used elsewhere.
Compared are positions and times of all samples after an excitation, times of excitations, and flip angles.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from mri2qmap_bids.pulseq.reader import read_pulseq
from mri2qmap_bids.pulseq.timeline import Timeline, timeline_of

_NAMES = ("file", "samples", "position [1/m]", "of k-space [%]", "sample time [us]", "TE [us]", "TR [us]",
          "flip angle [deg]", "seconds, ours / theirs")  # fmt: skip


def theirs(path: Path) -> tuple[Any, Any, Any, Any, Any]:
    """Positions (3, sample), sample times, times of excitation and refocusing [s], and flip angles [deg]."""
    import pypulseq

    sequence = pypulseq.Sequence()
    sequence.read(str(path), detect_rf_use=True)
    positions, _, excitations, refocusing, times = sequence.calculate_kspace()
    angles = []
    for number in range(1, len(sequence.block_events) + 1):
        pulse = sequence.get_block(number).rf
        if pulse is not None:
            signal, t = np.asarray(pulse.signal), np.asarray(pulse.t)
            angles.append(360 * abs(np.trapezoid(signal, t)))
    return positions, times, excitations, refocusing, np.array(angles)


def compared(path: Path) -> tuple[str, ...]:
    """One row: the largest differences."""
    start = time.perf_counter()
    ours: Timeline = timeline_of(read_pulseq(path))
    middle = time.perf_counter()
    positions, times, excitations, _, angles = theirs(path)
    end = time.perf_counter()
    imaging = np.concatenate(
        [np.full(len(r.time), r.excitation is not None) for r in ours.readouts]
    )
    own = np.concatenate([r.trajectory for r in ours.readouts])
    own_times = np.concatenate([r.time for r in ours.readouts])
    difference = np.abs(own - positions.T)[imaging].max()
    own_excitations = np.array([p.time for p in ours.pulses if p.use == "excitation"])
    tr, te, flip = "-", "-", "-"
    if len(own_excitations) == len(excitations):
        if len(excitations) > 1:
            tr = f"{1e6 * np.abs(np.diff(own_excitations) - np.diff(excitations)).max():.2g}"
        echoes = _echo_times(own, own_times, own_excitations)
        other_echoes = _echo_times(positions.T, times, excitations)
        te = f"{1e6 * np.abs(echoes - other_echoes).max():.2g}"
    if len(angles) == len(ours.pulses):
        small = [n for n, p in enumerate(ours.pulses) if p.use == "excitation"]
        flip = f"{np.abs(np.rad2deg([ours.pulses[n].flip_angle for n in small]) - angles[small]).max():.2g}"
    return (
        path.name,
        f"{int(imaging.sum())}",
        f"{difference:.2g}",
        f"{100 * difference / np.abs(own[imaging]).max():.2g}",
        f"{1e6 * np.abs(own_times - times)[imaging].max():.2g}",
        te,
        tr,
        flip,
        f"{middle - start:.1f} / {end - middle:.1f}",
    )


def _echo_times(positions: Any, times: Any, excitations: Any) -> Any:
    """Time from every excitation to the sample nearest to the centre of k-space before the next [s]."""
    edges = np.searchsorted(times, [*excitations, np.inf])
    radius = np.linalg.norm(positions, axis=1)
    return np.array(
        [
            times[first + int(radius[first:last].argmin())] - start if last > first else 0.0
            for start, first, last in zip(excitations, edges[:-1], edges[1:], strict=True)
        ]
    )


def main() -> None:
    """Compare all files; write or show the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pypulseq", type=Path, required=True)
    parser.add_argument("--table", type=Path)
    words = parser.parse_args()
    sys.path.append(str(words.pypulseq))
    rows = ["| " + " | ".join(_NAMES) + " |", "|---" * len(_NAMES) + "|"]
    for path in sorted(words.folder.rglob("*.seq")):
        rows.append("| " + " | ".join(compared(path)) + " |")
        sys.stdout.write(rows[-1] + "\n")
    if words.table:
        text = words.table.read_text().split("<!-- table -->")[0]
        words.table.write_text(f"{text}<!-- table -->\n\n" + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()

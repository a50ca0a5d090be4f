"""When an estimated inversion efficiency is wrong, and whether the warning says so.

python -m benchmarks.effects.efficiency

Digital brains (MNI152, a slice of 64 x 64, 8 coils; in every scan another brain, noise and efficiency of 0.6 to 1),
FISP trains, trajectories, accelerations and noise. The rule and its limit come from other scans (seed 0; 60, 100 and
200 frames, efficiencies 0.65 and 0.9, other noise and accelerations) than those counted here. Writes
efficiency.jsonl, whose rows are not measured again, and the table of efficiency.md beside it, below its line
``<!-- table -->``.
"""

import json
import time
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.effects.run import raw
from mri2qmap_bids.recon import inversion
from mri2qmap_bids.recon.acquisition.extent import extent_of
from mri2qmap_bids.recon.forecast import plans_with
from mri2qmap_bids.recon.grid import tissue_grid
from mri2qmap_bids.recon.methods.registry import resolved
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.dictionary import Dictionary, build_dictionary
from mri2qmap_bids.recon.physics.efficiency_scores import EfficiencyUncertainty
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence
from mri2qmap_bids.recon.problem import whitening_of
from mri2qmap_bids.recon.shared_data import SharedData
from mri2qmap_bids.simulate.scan import ScanOptions, simulate_scan
from mri2qmap_bids.simulate.sequences import make_sequence
from mri2qmap_bids.simulate.trajectory import TrajectoryKind

HERE = Path(__file__).parent
ROWS = HERE / "efficiency.jsonl"
FRAMES, FACTORS, NOISES = (60, 80, 150), (6.0, 16.0), (0.02, 0.15)
KINDS: tuple[TrajectoryKind, ...] = ("radial", "spiral", "cartesian")
WRONG, RIGHT = 0.02, 0.01
"""An error above the one should be warned of, one below the other should not."""
OPTIONS = resolved(ReconOptions("subspace", device="cpu", regularisation=0.1))


@dataclass(frozen=True)
class Row:
    """One scan."""

    trajectory: str
    n_frames: int
    factor: float
    noise: float
    efficiency: float
    estimate: float
    samples_per_unknown: float
    beyond: float
    blur: float
    spread: float
    total: float
    seconds: float

    @property
    def error(self) -> float:
        """Of the estimate."""
        return self.estimate - self.efficiency


def measured(
    kind: TrajectoryKind,
    factor: float,
    noise: float,
    seed: int,
    sequence: PulseSequence,
    dictionary: Dictionary,
) -> Row:
    """Simulate one scan, and estimate."""
    efficiency = round(float(np.random.default_rng(seed).uniform(0.6, 1.0)), 3)
    played = replace(sequence, inversion_efficiency=efficiency)
    options = ScanOptions(
        played,
        matrix=(64, 64, 1),
        acceleration=factor,
        noise=noise,
        trajectory=kind,
        arms=24 if kind == "spiral" else None,
    )
    scan = raw(simulate_scan(options, seed, seed))
    plan = plans_with(dictionary, extent_of(scan), OPTIONS, None)[0]
    start = time.perf_counter()
    shared = SharedData(scan, scan.geometry, dictionary, OPTIONS, whitening_of(scan))
    estimate = inversion.efficiency_of(shared, None, None, plan)
    seconds = time.perf_counter() - start
    return Row(
        kind,
        sequence.n_frames,
        factor,
        noise,
        efficiency,
        estimate.value,
        estimate.sampling,
        **asdict(estimate.uncertainty),
        total=estimate.uncertainty.total,
        seconds=seconds,
    )


def rows() -> list[Row]:
    """All scans."""
    lines = ROWS.read_text().splitlines() if ROWS.exists() else []
    result = [Row(**json.loads(line)) for line in lines]
    grid = tissue_grid(replace(OPTIONS, inversion_efficiency="estimate"))
    cases = list(product(FRAMES, KINDS, FACTORS, NOISES))
    for n_frames in FRAMES:
        sequence = make_sequence("FISP", n_frames)
        own = [case for case in cases if case[0] == n_frames]
        known = {(r.n_frames, r.trajectory, r.factor, r.noise) for r in result}
        if known.issuperset(own):
            continue
        dictionary = build_dictionary(sequence, grid, None, OPTIONS.energy)
        for case in own:
            if case not in known:
                _, kind, factor, noise = case
                seed = 1 + cases.index(case)
                row = measured(kind, factor, noise, seed, sequence, dictionary)
                result.append(row)
                with ROWS.open("a") as stream:
                    stream.write(json.dumps(asdict(row)) + "\n")
    return result


def main() -> None:
    """Measure, count, and write the table."""
    table = [
        "| trajectory | frames | R | noise | efficiency | error | samples per unknown | blur | spread | uncertainty "
        "| warned |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    counts = {"uncertainty": [0, 0, 0, 0], "samples per unknown": [0, 0, 0, 0]}
    for row in rows():
        rules = {
            "uncertainty": inversion.is_uncertain(
                inversion.Efficiency(
                    row.estimate,
                    EfficiencyUncertainty(row.beyond, row.blur, row.spread),
                    row.samples_per_unknown,
                )
            ),
            "samples per unknown": row.samples_per_unknown < 1,
        }
        for name, warned in rules.items():
            wrong, right = abs(row.error) > WRONG, abs(row.error) < RIGHT
            for place, counted in enumerate((wrong, wrong and not warned, right, right and warned)):
                counts[name][place] += counted
        table.append(
            f"| {row.trajectory} | {row.n_frames} | {row.factor:g} | {row.noise:g} | {row.efficiency:.3f} | "
            f"{row.error:+.3f} | {row.samples_per_unknown:.1f} | {row.blur:+.3f} | {row.spread:.3f} | "
            f"{row.total:.3f} | {'yes' if rules['uncertainty'] else ''} |"
        )
    head = [
        f"| rule | scans wrong by more than {WRONG} | of these not warned of | scans right within {RIGHT} | of these "
        "warned of |",
        "|---|---|---|---|---|",
    ]
    names = {
        "uncertainty": f"uncertainty above {inversion._UNCERTAIN}, half of it below 1 sample per unknown",
        "samples per unknown": "fewer than 1 sample per unknown (before)",
    }
    head += [f"| {names[name]} | " + " | ".join(map(str, n)) + " |" for name, n in counts.items()]
    path = HERE / "efficiency.md"
    text = path.read_text().split("<!-- table -->")[0]
    path.write_text(f"{text}<!-- table -->\n\n" + "\n".join([*head, "", *table]) + "\n")


if __name__ == "__main__":
    main()

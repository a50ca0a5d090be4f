"""Accuracy of every method over acceleration and noise, on subjects that nothing was tuned on.

python -m benchmarks.accuracy.run DATA OUTPUT [--part main|lesions|sequences|volume]

DATA holds brainweb, maps_invivo and sequences. OUTPUT gets one JSON line per scan and method as soon
as it is done, so that a run that is stopped goes on where it was; ``table.py`` makes the report.
The regularised methods are tried with several weights, and the best of each is kept, chosen with
the truth at hand: mri2qmap runs once, with its defaults.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from scipy import ndimage

from benchmarks.accuracy.cases import Case, Problem, make_problem, score
from benchmarks.accuracy.methods import Bench, Estimate
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.simulate.arms import SpiralDensity
from mri2qmap_bids.simulate.trajectory import Readout, TrajectoryKind

FINAL = ("vol1_slice10", "vol2_slice20", "brainweb43", "brainweb44")
"""Sources of the final figures."""
UNIFORM = ((8, 0.3), (8, 1.0), (4, 1.0))
"""Accelerations and noises of the nearly uniform spiral."""
DENSE_CENTRE = ((8, 0.1), (8, 0.3), (4, 0.3))
"""The same of a variable-density spiral, most of whose samples lie at the bright centre: relative to
their root mean square a third of the noise is about as much in the image."""
DENSITY = Readout(SpiralDensity(0.3, 2.5, 4))
WEIGHTS: dict[str, tuple[float | str | None, ...]] = {
    "lrtv": (0.5, 1.0, 1.5),
    "llr": (0.25, 0.5, 1.0),
    "pnp": (1.0,),
}
BART = ("L:3:3:3e-3", "L:3:3:1e-2", "L:3:3:3e-2", "W:3:0:3e-3")


def cases(part: str) -> list[Case]:
    """The scans of one part of the benchmark."""
    if part == "main":
        even = [Case(s, r, noise) for r, noise in UNIFORM for s in FINAL]
        # Digital brains sharp, as a scanner sees them.
        dense = [
            Case(s, r, noise, readout=DENSITY, point_spread=0.0)
            for r, noise in DENSE_CENTRE
            for s in FINAL
        ]
        return [case for pair in zip(dense, even, strict=True) for case in pair]
    if part == "lesions":
        return [Case(s, 8, 1.0, lesions=True) for s in FINAL]
    if part == "sequences":
        ways: tuple[TrajectoryKind, ...] = ("spiral", "radial", "cartesian")
        kinds = [(kind, way) for kind in ("FISP", "bSSFP") for way in ways]
        return [Case(FINAL[0], 8, 0.5, kind=k, trajectory=t) for k, t in kinds]
    return [Case("brainweb43", 8, 1.0, n_dims=3)]


def planned(part: str, case: Case) -> dict[str, tuple[float | str | None, ...]]:
    """Every method with the settings to try: weights, regularisers of BART, None for none."""
    settings: dict[str, tuple[float | str | None, ...]] = {"mri2qmap": (None,), "subspace": (None,)}
    if part == "volume":
        return settings | {name: WEIGHTS[name] for name in ("lrtv", "llr")}
    settings |= WEIGHTS
    if part != "lesions":
        settings["gridding"] = (None,)
    if part == "main" and (case.acceleration, case.noise) in (UNIFORM[1], DENSE_CENTRE[1]):
        settings["bart"] = BART
        settings["lrtv"] = (*WEIGHTS["lrtv"], 2.0)
    return settings


def attempt(bench: Bench, method: str, setting: float | str | None) -> Estimate:
    """One method with one setting."""
    if method == "bart":
        return bench.bart(str(setting))
    return bench.run(method) if setting is None else bench.run(method, regularisation=setting)


def judge(estimate: Estimate, problem: Problem) -> dict[str, float]:
    """Errors, calibration and lesions of one estimate."""
    errors = score(estimate.t1, estimate.t2, estimate.m0, problem)
    tissue = np.isin(problem.labels, (1, 2))
    if estimate.t1_std is not None and estimate.t2_std is not None:
        for name, value, true_map, std in (
            ("T1", estimate.t1, problem.truth.t1, estimate.t1_std),
            ("T2", estimate.t2, problem.truth.t2, estimate.t2_std),
        ):
            errors[f"{name}_within"] = 100 * float((np.abs(value - true_map) < std)[tissue].mean())
    if problem.lesions.size and problem.lesions.any():
        errors |= _lesions(estimate, problem)
    return errors


def _lesions(estimate: Estimate, problem: Problem) -> dict[str, float]:
    """Contrast kept, and lesions seen where none is.

    Contrast: lesion's mean less that of a ring of white matter around it, over the same of the
    truth. A false lesion is a connected area of at least 7 mm^2 where T1 and T2, smoothed over
    a voxel, are both more than 20 % above the truth, away from the true lesions.
    """
    errors = {}
    near = ndimage.binary_dilation(problem.lesions > 0, iterations=4)
    for name, value, true_map in (
        ("T1", estimate.t1, problem.truth.t1),
        ("T2", estimate.t2, problem.truth.t2),
    ):
        contrasts = []
        for number in range(1, int(problem.lesions.max()) + 1):
            lesion = problem.lesions == number
            if not lesion.any():
                continue
            grown = ndimage.binary_dilation(lesion, iterations=4)
            ring = grown & ~ndimage.binary_dilation(lesion, iterations=1) & (problem.labels == 2)
            if ring.sum() < 5:  # it lies outside the brain
                continue
            contrast = [v[lesion].mean() - v[ring].mean() for v in (value, true_map)]
            contrasts.append(contrast[0] / contrast[1])
        errors[f"{name}_contrast"] = 100 * float(np.mean(contrasts))
        errors[f"{name}_contrast_least"] = 100 * float(np.min(contrasts))
    tissue = np.isin(problem.labels, (1, 2)) & ~near
    raised = tissue.copy()
    for value, true_map in ((estimate.t1, problem.truth.t1), (estimate.t2, problem.truth.t2)):
        relative = np.where(problem.labels > 0, value / np.maximum(true_map, 1e-3) - 1, 0)
        raised &= ndimage.gaussian_filter(relative, (0, 1, 1)) > 0.2
    pieces, n_pieces = ndimage.label(raised)
    sizes = ndimage.sum_labels(raised, pieces, range(1, n_pieces + 1)) if n_pieces else np.zeros(0)
    errors["false_lesions"] = float((sizes >= 7).sum())
    return errors


def main() -> None:
    """Run one part, each scan whole before the next."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument(
        "--part", choices=("main", "lesions", "sequences", "volume"), default="main"
    )
    parser.add_argument("--take", default="0/1", help="every N-th scan from the K-th on: K/N")
    parser.add_argument("--methods", nargs="+", help="only these; default all")
    parser.add_argument("--device", default="auto")
    words = parser.parse_args()
    first, every = (int(number) for number in words.take.split("/"))
    file = words.output.with_suffix(f".{words.part}.{first}.jsonl")
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = file.read_text().splitlines() if file.exists() else []
    finished = {(row["case"], row["method"]) for row in map(json.loads, lines)}
    for case in cases(words.part)[first::every]:
        bench: Bench | None = None
        for method in planned(words.part, case):
            if (case.name, method) in finished or (words.methods and method not in words.methods):
                continue
            bench = bench or Bench(
                make_problem(case, words.data), ReconOptions(device=words.device)
            )
            rows = []
            for setting in planned(words.part, case)[method]:
                estimate = attempt(bench, method, setting)
                rows.append(
                    {"case": case.name, "sampling": case.sampling, **asdict(case), "method": method, "setting": setting}
                    | {"seconds": estimate.seconds} | judge(estimate, bench.problem)
                )  # fmt: skip
            # All settings at once, so that a method in the file is whole.
            with file.open("a") as stream:
                stream.writelines(json.dumps(row) + "\n" for row in rows)


if __name__ == "__main__":
    main()

"""Volumes on development data: every method with its weights, beside the floor of resolution.

python -m benchmarks.accuracy.volume_study DATA CACHE benchmarks/accuracy/volume_study.jsonl [--noise 1]
    [--subject 41] [--matrix 74] [--methods mri2qmap subspace lrtv:1 ...] [--device cpu]

A scan is simulated once and stored in the folder CACHE (a 3 mm scan takes 3 minutes on one core); rows that
the output has already are not run again. Methods run as the planner would run them.
"""

import argparse
import json
import pickle
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.accuracy.cases import Case, Problem, make_problem, score
from benchmarks.accuracy.methods import Bench
from benchmarks.conditions.run import floor, judge
from mri2qmap_bids.recon.acquisition.extent import extent_of
from mri2qmap_bids.recon.forecast import plans_with
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.planning.machine import MemoryLimits

METHODS = ("mri2qmap", "subspace", "lrtv:0.5", "lrtv:1", "lrtv:2", "llr:0.5", "llr:1", "llr:2")


def cached_problem(case: Case, data: Path, cache: Path) -> Problem:
    """A simulated scan, taken from the cache where it is there."""
    file = cache / f"{case.name.replace(' ', '_')}_{case.matrix}.pickle"
    if file.is_file():
        problem: Problem = pickle.loads(file.read_bytes())
        return problem
    problem = make_problem(case, data)
    cache.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_bytes(pickle.dumps(problem))
    part.replace(file)
    return problem


def planned(bench: Bench, method: str) -> Bench:
    """The same problem with the planner's batch sizes and storage for a method."""
    options = replace(bench.options, method=method)
    plan = plans_with(bench.dictionary, extent_of(bench.problem.scan), options, MemoryLimits())[0]
    other = Bench(bench.problem, options)
    other.__dict__["dictionary"] = bench.dictionary
    other.__dict__["inverse"] = replace(bench.inverse, plan=plan)
    return other


def main() -> None:
    """Run the rows that the output lacks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--noise", type=float, default=1.0)
    parser.add_argument("--subject", default="41", choices=("41", "42"))
    parser.add_argument("--matrix", type=int, default=74, help="74: 3 mm")
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--device", default="cpu")
    words = parser.parse_args()
    case = Case(f"brainweb{words.subject}", 8, words.noise, n_dims=3, matrix=words.matrix)
    key = {"subject": words.subject, "noise": words.noise, "matrix": words.matrix}
    lines = words.output.read_text().splitlines() if words.output.exists() else []
    finished = [json.loads(line) for line in lines]
    methods = [
        method
        for method in ("floor", *words.methods)
        if not any(row["method"] == method and key.items() <= row.items() for row in finished)
    ]
    if not methods:
        return
    bench = Bench(cached_problem(case, words.data, words.cache), ReconOptions(device=words.device))
    problem = bench.problem
    for method in methods:
        name, _, weight = method.partition(":")
        row: dict[str, object] = {**key, "method": method, "threads": torch.get_num_threads()}
        if method == "floor":
            maps = floor(bench)
            t1, t2, m0 = (v.numpy() for v in (maps.t1, maps.t2, maps.m0.abs()))
        else:
            changes = {"regularisation": float(weight)} if weight else {}
            estimate = planned(bench, name).run(name, **changes)
            t1, t2, m0 = estimate.t1, estimate.t2, estimate.m0
            row["seconds"] = round(estimate.seconds)
        row |= score(t1, t2, m0, problem) | judge(t1, t2, problem)
        with words.output.open("a") as stream:
            stream.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()

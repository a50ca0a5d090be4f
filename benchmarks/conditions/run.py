"""Every method over trajectories, densities, matrices, coils and noise, and how far each has converged.

python -m benchmarks.conditions.run DATA OUTPUT.jsonl [--take K/N] [--device cpu]

Development anatomies only (BrainWeb 41, volunteer 0). Conditions change one thing at a time around
a variable-density golden-angle spiral on a sharp phantom. Every row is a scan and a method: errors in
even tissue (all neighbours of the same tissue) and in all grey and white matter, and the distance of
the image to the converged one. The row "floor" is what resolution itself costs: the true image seen
through a full k-space of the trajectory's extent. ``table.py`` makes the report.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.accuracy.cases import Case, Problem, make_problem
from benchmarks.accuracy.methods import Bench, Estimate
from mri2qmap_bids.recon.arrays import SubspaceImage
from mri2qmap_bids.recon.encoding.circulant import filtered
from mri2qmap_bids.recon.frequency import frequency_axes
from mri2qmap_bids.recon.methods.lrtv import LRTV_REGULARISATION
from mri2qmap_bids.recon.methods.registry import method_named
from mri2qmap_bids.recon.methods.regularised import regularised_image
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.matching import TissueMaps, match, signal_of
from mri2qmap_bids.recon.solvers.conjugate_gradient import component_lengths, conjugate_gradient
from mri2qmap_bids.simulate.arms import SpiralDensity
from mri2qmap_bids.simulate.trajectory import Readout, TrajectoryKind

BASE = Case("brainweb41", 8, 0.1, readout=Readout(SpiralDensity(0.3, 2.5, 4)), point_spread=0.0)
METHODS = (
    "mri2qmap",
    "subspace",
    "lrtv:0.5",
    "lrtv:1",
    "lrtv:1.5",
    "llr:0.25",
    "llr:0.5",
    "llr:1",
)
AMPLE_METHODS = ("mri2qmap", "subspace")
"""Of scans with far more samples than voxels and almost no noise, where all methods agree."""
_FURTHER_STEPS = 100
_MORE_STEPS, _CLOSER = 10, 30.0  # of the alternating directions, in steps and in tolerance


def conditions() -> dict[str, Case]:
    """Every scan by a name for the table."""

    def spiral(linear: float, power: float, turns: float) -> Case:
        return replace(BASE, readout=Readout(SpiralDensity(linear, power, turns)))

    def volume(trajectory: TrajectoryKind) -> Case:
        return replace(even, noise=0.3, n_dims=3, matrix=48, trajectory=trajectory)

    def ample(case: Case, matrix: int | None = 128) -> Case:
        return replace(case, acceleration=1, frames=800, noise=0.005, matrix=matrix)

    even = Case("brainweb41", 8, 1.0, point_spread=0.0)
    radial = replace(even, noise=0.1, trajectory="radial")
    cartesian = replace(even, noise=0.3, trajectory="cartesian")
    tiny_golden, random = Readout(order="tiny-golden"), Readout(order="random")
    in_out = replace(BASE, readout=replace(BASE.readout, in_out=True))
    few_coils = replace(BASE, n_coils=4, coil_radius=2.0)
    return {
        "VD spiral a 0.3 p 2.5, 4 turns": BASE,
        "  almost no noise": replace(BASE, noise=0.002),
        "  heavy noise": replace(BASE, noise=0.3),
        "  volunteer, heavy noise": replace(BASE, source="vol0_slice10", noise=0.3),
        "  few coils that overlap": few_coils,
        "  matrix 128": replace(BASE, matrix=128),
        "  in-out": in_out,
        "VD spiral a 0.2 p 3, 8 turns": spiral(0.2, 3.0, 8.0),
        "VD spiral a 0.2 p 2, 2 turns": spiral(0.2, 2.0, 2.0),
        "VD spiral a 0.2 p 2, 2 turns, almost no noise": replace(spiral(0.2, 2.0, 2.0), noise=0.002),
        "VD spiral a 0.6 p 1.5, 10 turns": spiral(0.6, 1.5, 10.0),
        "Archimedean spiral, 6 turns": spiral(1.0, 1.0, 6.0),
        "uniform spiral": even,
        "uniform spiral, almost no noise": replace(even, noise=0.002),
        "radial golden": radial,
        "radial golden, almost no noise": replace(radial, noise=0.002),
        "radial tiny golden": replace(radial, readout=tiny_golden),
        "Cartesian golden": cartesian,
        "Cartesian golden, almost no noise": replace(cartesian, noise=0.002),
        "Cartesian random": replace(cartesian, readout=random),
        "3D spiral discs": volume("spiral"),
        "3D discs of VD spirals": replace(volume("spiral"), readout=BASE.readout),
        "3D koosh-ball": volume("radial"),
        "3D stack of spirals": volume("stack-of-spirals"),
        "3D stack of stars": volume("stack-of-stars"),
        "ample, VD spiral a 0.3 p 2.5, 4 turns, matrix 224": ample(BASE, None),
        "ample, VD spiral a 0.3 p 2.5, 4 turns": ample(BASE),
        "ample, VD spiral, few coils": ample(few_coils),
        "ample, VD spiral, in-out": ample(in_out),
        "ample, VD spiral a 0.2 p 3, 8 turns": ample(spiral(0.2, 3.0, 8.0)),
        "ample, VD spiral a 0.2 p 2, 2 turns": ample(spiral(0.2, 2.0, 2.0)),
        "ample, Archimedean spiral, 6 turns": ample(spiral(1.0, 1.0, 6.0)),
        "ample, uniform spiral": ample(even),
        "ample, radial golden": ample(radial),
        "ample, Cartesian golden": ample(cartesian),
        "ample, Cartesian random": ample(replace(cartesian, readout=random)),
    }  # fmt: skip


def true_image(bench: Bench) -> SubspaceImage:
    """Subspace image of the known maps, shape (rank, *space)."""
    truth = bench.problem.truth
    shape = bench.inverse.encoding.shape
    mask, t1, t2, m0 = (
        torch.from_numpy(np.ascontiguousarray(values.reshape(shape)))
        for values in (truth.mask, truth.t1, truth.t2, truth.m0)
    )
    t1, t2 = torch.where(mask, t1, 1.0), torch.where(mask, t2, 0.1)
    return signal_of(TissueMaps(t1, t2, torch.where(mask, m0, 0), t1), bench.dictionary)


def floor(bench: Bench) -> TissueMaps:
    """Maps of the true image through a full k-space of the trajectory's extent."""
    image = true_image(bench)
    omega = bench.inverse.encoding.omega
    # Cartesian lines fill the corners, too.
    corner = bool((omega.abs() > 0.95 * torch.pi).all(dim=1).any())
    extent = torch.inf if corner else float(torch.linalg.vector_norm(omega, dim=1).max())
    axes = frequency_axes(tuple(image.shape[1:]), image.device)
    squares = sum((axis.square() for axis in axes), torch.zeros((), device=image.device))
    radius = 2 * torch.pi * squares.sqrt()
    low_pass = filtered(image, (radius <= extent).float())
    return match(low_pass, bench.dictionary, exhaustive=False)


def judge(t1: NDArray[np.float32], t2: NDArray[np.float32], problem: Problem) -> dict[str, float]:
    """MAPE in all grey and white matter and in even tissue [%]."""
    tissue = np.isin(problem.labels, (1, 2))
    even = np.zeros_like(tissue)
    around = np.ones((3, 3, 3) if problem.scan.is_3d else (1, 5, 5))
    for label in (1, 2):
        even |= ndimage.binary_erosion(problem.labels == label, around)
    result = {}
    for name, value, true_map in (("T1", t1, problem.truth.t1), ("T2", t2, problem.truth.t2)):
        for where, inside in (("", tissue), ("_even", even)):
            error = np.abs(value[inside] / true_map[inside] - 1)
            result[name + where] = 100 * float(error.mean()) if inside.any() else float("nan")
    return result


def distance(bench: Bench, method: str, options: ReconOptions) -> float:
    """Distance of the image of subspace or lrtv after the default steps to the converged one, relative to it."""
    image_of = method_named(method).image
    assert image_of is not None
    start = image_of(bench.inverse, options, None)
    if method == "subspace":
        problem, smoothness = start.problem, start.smoothness
        converged = conjugate_gradient(
            lambda image: problem.normal(image) + filtered(image, smoothness),
            problem.projection,
            _FURTHER_STEPS,
            start.image,
            1e-6,
            problem.preconditioner(smoothness),
        ).image
    else:
        settings = LRTV_REGULARISATION.settings
        closer = replace(settings, tolerance=settings.tolerance / _CLOSER)
        converged = regularised_image(
            bench.inverse,
            replace(LRTV_REGULARISATION, settings=closer),
            method_named(method).weight(options),
            _MORE_STEPS * method_named(method).n_iterations(options),
        ).image
    apart, whole = (component_lengths(v).norm() for v in (start.image - converged, converged))
    return float(apart / whole)


def attempt(bench: Bench, method: str) -> tuple[Estimate, float | None]:
    """A method, with its weight behind a colon, and its distance to the converged image."""
    name, _, weight = method.partition(":")
    changes = {"regularisation": float(weight)} if weight else {}
    estimate = bench.run(name, **changes)
    apart = None
    if method in ("subspace", "lrtv:1"):
        options = replace(bench.options, method=name, **changes)  # type: ignore[arg-type]
        apart = distance(bench, name, options)
    return estimate, apart


def main() -> None:
    """Run what is missing in the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--take", default="0/1", help="every N-th condition from the K-th on: K/N")
    parser.add_argument("--methods", nargs="+", help="default: all")
    parser.add_argument("--device", default="auto")
    words = parser.parse_args()
    first, every = (int(number) for number in words.take.split("/"))
    lines = words.output.read_text().splitlines() if words.output.exists() else []
    finished = {(row["condition"], row["method"]) for row in map(json.loads, lines)}
    for name, case in list(conditions().items())[first::every]:
        planned = AMPLE_METHODS if name.startswith("ample") else words.methods or METHODS
        missing = [m for m in ("floor", *planned) if (name, m) not in finished]
        if not missing:
            continue
        bench = Bench(make_problem(case, words.data), ReconOptions(device=words.device))
        for method in missing:
            row: dict[str, object] = {"condition": name, "method": method, "noise": case.noise}
            if method == "floor":
                maps = floor(bench)
                shape = bench.problem.labels.shape
                t1, t2 = (values.numpy().reshape(shape) for values in (maps.t1, maps.t2))
                row |= judge(t1, t2, bench.problem)
            else:
                estimate, apart = attempt(bench, method)
                row |= judge(estimate.t1, estimate.t2, bench.problem)
                row |= {"seconds": estimate.seconds, "distance": apart}
            with words.output.open("a") as stream:
                stream.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()

"""The loop's settings, one changed at a time, on development data only.

python -m benchmarks.accuracy.study DATA ROWS.jsonl [--take K/N]
python -m benchmarks.accuracy.study --table ROWS.jsonl benchmarks/accuracy/study.md

Volunteer 0, BrainWeb 41 and 42 at R = 8, over trajectories and noise. Every row changes one setting of
the first.
"""

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.accuracy.cases import Case, make_problem, score
from benchmarks.accuracy.methods import Bench
from benchmarks.accuracy.noise_level import noise_level, strong_signal
from mri2qmap_bids.recon.arrays import NoiseDeviation, SubspaceImage
from mri2qmap_bids.recon.correction import Prior, PriorOptions
from mri2qmap_bids.recon.options import (
    CG_STEPS,
    DECAY,
    DEFAULT_ITERATIONS,
    DETAIL,
    REMAINING,
    RESIDUAL_LEVEL,
    RESIDUAL_WEIGHT,
    START,
    START_NOISE,
    TOLD,
    ReconMethod,
    ReconOptions,
    default_weights,
)
from mri2qmap_bids.recon.physics.dictionary import Dictionary
from mri2qmap_bids.recon.physics.matching import TissueMaps, match, signal_of
from mri2qmap_bids.recon.physics.residual import corrected_by_residual
from mri2qmap_bids.recon.pnp.least_squares import conjugate_gradient
from mri2qmap_bids.recon.pnp.network import DenoiserNetwork
from mri2qmap_bids.recon.pnp.solver import Schedule, plug_and_play
from mri2qmap_bids.recon.problem import Start, start_of
from mri2qmap_bids.recon.reconstruct import image_of_residual, load_network
from mri2qmap_bids.simulate.trajectory import Readout, SpiralDensity

_DENSE_CENTRE = Readout(SpiralDensity(0.3, 2.5, 4))
CASES = {
    "uniform spiral, volunteer": Case("vol0_slice10", 8, 1.0),
    "uniform spiral, BrainWeb": Case("brainweb41", 8, 1.0),
    "dense centre, volunteer": Case("vol0_slice10", 8, 0.3, readout=_DENSE_CENTRE),
    "dense centre, sharp BrainWeb": Case(
        "brainweb41", 8, 0.3, readout=_DENSE_CENTRE, point_spread=0.0
    ),
    "dense centre, 8 turns, moderate noise, sharp BrainWeb": Case(
        "brainweb42", 8, 0.1, readout=Readout(SpiralDensity(0.2, 3, 8)), point_spread=0.0
    ),
    "radial, BrainWeb": Case("brainweb42", 8, 0.3, trajectory="radial"),
    "Cartesian bSSFP, volunteer": Case(
        "vol0_slice10", 8, 0.5, kind="bSSFP", trajectory="cartesian"
    ),
}


@dataclass(frozen=True)
class Settings:
    """Everything that the study changes; the defaults are the package's."""

    start: ReconMethod = START
    start_noise: float = START_NOISE
    n_iterations: int = DEFAULT_ITERATIONS["mri2qmap"]
    decay: float = DECAY
    remaining: float = REMAINING
    detail: tuple[float, float, float] = DETAIL
    told: float = TOLD
    n_steps: int = CG_STEPS
    blind: tuple[str, ...] = ()
    """Contrasts that the denoiser does not get to see."""
    final: str = "prior"
    """Maps from the prior's last word, or matched to the last image."""
    duals: bool = False
    """Whether the loop carries scaled dual variables (alternating directions)."""
    matching: str = "hard"
    """The nearest tissue (hard), or the mean over all, weighed by likelihood (soft)."""
    start_weight: float | None = None
    """Of the start's regulariser; None takes the package's."""
    residual: bool = True
    """Whether the last maps are corrected by what they leave of the image."""
    residual_weight: float = RESIDUAL_WEIGHT
    """Weight of the smoothness term that what they leave is solved with."""
    residual_level: float = RESIDUAL_LEVEL
    """Of the term against errors of the model."""
    network: ReconMethod = "mri2qmap"
    """Whose denoiser: mri2qmap's, of all contrasts together, or pnp's, of one at a time."""
    level: str = "replica"
    """How noise is told: replica (its way through the solver), or detail (from the image alone)."""


CHANGES: dict[str, list[dict[str, Any]]] = {
    "start": [
        {"start": "subspace", "start_noise": 1.0},
        {"start": "llr"},
        {"start_weight": 0.25},
        {"start_weight": 1.0},
    ],
    "noise believed in the start": [{"start_noise": f} for f in (0.4, 0.8, 1.0)],
    "iterations": [{"n_iterations": n} for n in (0, 2, 4)],
    "dual variables": [{"duals": True, "n_iterations": 2}],
    "pull of the prior": [{"remaining": f} for f in (0.35, 1.0)],
    "detail": [{"detail": tuple(f * d for d in DETAIL)} for f in (0.5, 2.0)],
    "noise told": [{"told": f} for f in (0.7, 1.3)],
    "last word": [{"final": "image"}, {"residual": False}]
    + [{"residual_weight": w} for w in (0.02, 0.1, 0.3)]
    + [{"residual_level": w} for w in (0.0, 0.05, 0.2)],
    "noise level": [{"level": "detail"}],
    "one contrast at a time": [{"network": "pnp"}, {"network": "pnp", "told": 1.3}],
    "contrasts left out": [
        {"blind": ("T1w", "T2w", "PDw", "FLAIR")},
        {"blind": ("T1ratio", "T2ratio")},
    ],
}


class _Blind(torch.nn.Module):
    """A denoiser with some contrasts kept from it, as if they were missing."""

    def __init__(self, network: DenoiserNetwork, missing: tuple[str, ...]) -> None:
        super().__init__()
        self.network, self.shape = network, network.shape
        kept = [name not in missing for name in network.shape.contrasts]
        self.kept = torch.tensor(kept, dtype=torch.float32)[:, None, None]

    def forward(self, images: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        clean = self.network(images * self.kept, sigma * self.kept)
        # What it does not see stays as it is.
        return clean * self.kept + images * (1 - self.kept)


@dataclass(frozen=True, eq=False)
class _Soft:
    """A prior that sees, in the place of the image, that of the likely tissues' mean."""

    prior: Prior

    def correct(self, image: SubspaceImage, deviation: NoiseDeviation) -> SubspaceImage:
        return signal_of(self.maps(image, deviation), self.prior.dictionary)

    def maps(self, image: SubspaceImage, deviation: NoiseDeviation) -> TissueMaps:
        found = soft_match(image, self.prior.dictionary, float(deviation.square().mean()))
        return self.prior.maps(signal_of(found, self.prior.dictionary), deviation)


def soft_match(image: SubspaceImage, dictionary: Dictionary, variance: float) -> TissueMaps:
    """Mean of log T1 and log T2 over all atoms a, weighed by exp(-min |x - m a|^2 / 2 variance)."""
    voxels = image.reshape(len(image), -1).T
    length = torch.linalg.vector_norm(dictionary.atoms, dim=1).clamp_min(1e-30)
    atoms = (dictionary.atoms / length[:, None]).to(voxels.dtype)
    n_t2 = len(dictionary.t2)
    logs = torch.stack(
        [
            dictionary.t1.log().repeat_interleave(n_t2),
            dictionary.t2.log().repeat(len(dictionary.t1)),
        ],
        1,
    )
    means = []
    for part in torch.split(voxels, 2048):
        power = (part @ atoms.mH).abs().square() / (2 * variance)
        power[:, ~dictionary.physical] = -torch.inf
        means.append(torch.softmax(power, 1) @ logs)
    t1, t2 = torch.cat(means).exp().T.reshape(2, *image.shape[1:])
    unit = signal_of(TissueMaps(t1, t2, torch.ones_like(image[0]), t1), dictionary)
    m0 = (unit.conj() * image).sum(0) / unit.abs().square().sum(0).clamp_min(1e-30)
    return TissueMaps(t1, t2, m0, torch.ones_like(t1))


def with_duals(
    prior: Prior | _Soft, start: Start, deviation: NoiseDeviation, schedule: Schedule
) -> tuple[SubspaceImage, NoiseDeviation]:
    """:func:`plug_and_play` by alternating directions: u collects what x and z disagree on."""
    normal, target = start.problem.normal, start.problem.projection
    image, dual = start.image, torch.zeros_like(start.image)
    for _ in range(schedule.n_iterations):
        corrected = prior.correct(image + dual, deviation)
        level = float(deviation.square().mean().sqrt())
        mu = (start.noise / 2**0.5 / (schedule.remaining * level)) ** 2
        image = conjugate_gradient(
            lambda x, mu=mu: normal(x) + mu * x,  # type: ignore[misc]
            target + mu * (corrected - dual),
            schedule.n_steps,
            start=image,
            preconditioner=start.problem.preconditioner(mu),
        ).image
        dual = dual + image - corrected
        deviation = schedule.decay * deviation
    return image + dual, deviation


def run(bench: Bench, starts: dict[str, Start], settings: Settings) -> TissueMaps:
    """The loop with any settings; starts are kept, since they take the most time."""
    options = replace(bench.options, method="mri2qmap")
    if settings.network != "mri2qmap":
        options = replace(options, denoiser=str(default_weights(settings.network)))
    network = load_network(options, bench.dictionary.atoms.device)
    assert network is not None
    if settings.blind:
        network = _Blind(network, settings.blind)  # type: ignore[assignment]
    name = f"{settings.start} {settings.start_weight}"
    if name not in starts:
        own = replace(options, regularisation=settings.start_weight)
        starts[name] = start_of(bench.inverse, settings.start, own)
    start = starts[name]
    prior: Prior | _Soft
    prior = Prior(bench.dictionary, network, PriorOptions(settings.told, settings.detail))
    if settings.matching == "soft":
        prior = _Soft(prior)
    believed = torch.full_like(start.deviation, float(start.deviation.max()))
    deviation = settings.start_noise * believed
    if settings.level == "detail":
        magnitude = start.image[0].abs()
        parts = torch.cat([start.image.real, start.image.imag])
        level = noise_level(parts, strong_signal(magnitude)).view(2, -1)
        deviation = level.square().mean(0).sqrt()
    schedule = Schedule(settings.n_iterations, settings.decay, settings.remaining, settings.n_steps)
    if settings.duals:
        image, deviation = with_duals(prior, start, deviation, schedule)
    else:
        looped = plug_and_play(
            start.problem.normal, start.problem.projection, prior, start.image, deviation,
            start.noise / 2**0.5, schedule, start.problem.preconditioner,
        )  # fmt: skip
        image, deviation = looped.image, looped.deviation
    if settings.final == "image":
        return match(image, bench.dictionary)
    maps = prior.maps(image, deviation)
    if not settings.residual:
        return maps
    left = image_of_residual(
        start, maps, bench.dictionary, settings.residual_weight, settings.residual_level
    )
    return corrected_by_residual(maps, left, bench.dictionary, believed)


def rows() -> dict[str, dict[str, Any]]:
    """What every row changes, by its name."""
    named: dict[str, dict[str, Any]] = {"defaults": {}}
    for name, changes in CHANGES.items():
        for change in changes:
            named[f"{name}: " + ", ".join(f"{k} {v}" for k, v in change.items())] = change
    return named


def measure(data: Path, output: Path, take: str, options: ReconOptions) -> None:
    """Add every case and row that is not in the file yet."""
    first, every = (int(number) for number in take.split("/"))
    lines = output.read_text().splitlines() if output.exists() else []
    done = {(line["case"], line["row"]) for line in map(json.loads, lines)}
    for case in list(CASES)[first::every]:
        missing = {row: change for row, change in rows().items() if (case, row) not in done}
        if not missing:
            continue
        bench = Bench(make_problem(CASES[case], data), options)
        starts: dict[str, Start] = {}
        for row, change in missing.items():
            estimate = bench.estimate(run(bench, starts, Settings(**change)), 0.0)
            scores = score(estimate.t1, estimate.t2, estimate.m0, bench.problem)
            figures = {name: scores[name] for name in ("T1", "T2", "M0")}
            with output.open("a") as stream:
                stream.write(json.dumps({"case": case, "row": row} | figures) + "\n")


def tabulate(source: Path, table: Path) -> None:
    """The table of what was measured."""
    lines = [json.loads(line) for line in source.read_text().splitlines()]
    figures = {
        (line["case"], line["row"]): np.array([line["T1"], line["T2"], line["M0"]])
        for line in lines
    }
    cases = [case for case in CASES if any(line["case"] == case for line in lines)]
    text = [
        "# The loop of mri2qmap, one setting changed at a time",
        "",
        "`python -m benchmarks.accuracy.study DATA rows.jsonl`, then `python -m benchmarks.accuracy.study "
        "--table rows.jsonl benchmarks/accuracy/study.md`. Development data at R = 8. T1 MAPE / T2 MAPE / "
        "M0 NRMSE in grey and white matter [%]; the first row has the package's settings. The mean is that of "
        "each figure relative to the first row.",
        "",
        "| setting | " + " | ".join(cases) + " | mean |",
        "|---" * (len(cases) + 2) + "|",
    ]
    for row in rows():
        values = [figures.get((case, row)) for case in cases]
        ratios = [
            value / figures[case, "defaults"]
            for case, value in zip(cases, values, strict=True)
            if value is not None
        ]
        cells = ["" if v is None else " / ".join(f"{part:.2f}" for part in v) for v in values]
        text.append(f"| {row} | " + " | ".join(cells) + f" | {np.mean(ratios):.3f} |")
    table.write_text("\n".join(text) + "\n")


def main() -> None:
    """Measure, or make the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--take", default="0/1", help="every N-th case from the K-th on: K/N")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--denoiser")
    words = parser.parse_args()
    if words.table:
        tabulate(words.source, words.output)
    else:
        options = ReconOptions(device=words.device, denoiser=words.denoiser)
        measure(words.source, words.output, words.take, options)


if __name__ == "__main__":
    main()

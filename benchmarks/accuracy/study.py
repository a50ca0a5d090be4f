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
from mri2qmap_bids.recon.denoisers.base import Denoiser
from mri2qmap_bids.recon.denoisers.registry import load_denoiser, packaged_weights
from mri2qmap_bids.recon.methods.least_squares import PenalisedImage
from mri2qmap_bids.recon.methods.mri2qmap import (
    MRI2QMAP,
    image_with_residual,
    initial_image,
    residual_noise,
    residual_solver,
)
from mri2qmap_bids.recon.methods.registry import method_named
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.dictionary import Dictionary
from mri2qmap_bids.recon.physics.matching import TissueMaps, match, signal_of
from mri2qmap_bids.recon.priors.residual_correction import corrected_by_residual
from mri2qmap_bids.recon.priors.synthetic_contrasts import Prior, PriorOptions
from mri2qmap_bids.recon.solvers.conjugate_gradient import conjugate_gradient
from mri2qmap_bids.recon.solvers.half_quadratic_splitting import Schedule, plug_and_play
from mri2qmap_bids.simulate.arms import SpiralDensity
from mri2qmap_bids.simulate.trajectory import Readout

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


_OWN = MRI2QMAP.settings


@dataclass(frozen=True)
class Settings:
    """Everything that the study changes; the defaults are the package's."""

    start: str = "mri2qmap"
    """mri2qmap: the package's, with edges spared; else the method whose image it is."""
    start_noise: float = _OWN.start_noise
    n_iterations: int = MRI2QMAP.iterations or 1
    decay: float = _OWN.decay
    remaining: float = _OWN.remaining
    detail: tuple[float, float, float] = _OWN.detail
    noise_scale: float = _OWN.noise_scale
    n_steps: int = _OWN.data_steps
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
    residual_weight: float = _OWN.residual_weight
    """Weight of the smoothness term that what they leave is solved with."""
    residual_level: float = _OWN.residual_level
    """Of the term against errors of the model."""
    network: str = "joint"
    """Denoiser of all contrasts together (joint), or of one at a time (separate)."""
    level: str = "replica"
    """How noise is told: replica (its way through the solver), or detail (from the image alone)."""


CHANGES: dict[str, list[dict[str, Any]]] = {
    "start": [
        {"start": "subspace", "start_noise": 1.0},
        {"start": "lrtv"},
        {"start": "llr"},
        {"start_weight": 0.5},
        {"start_weight": 2.0},
    ],
    "noise believed in the start": [{"start_noise": f} for f in (0.4, 0.8, 1.0)],
    "iterations": [{"n_iterations": n} for n in (0, 2, 4)],
    "dual variables": [{"duals": True, "n_iterations": 2}],
    "pull of the prior": [{"remaining": f} for f in (0.35, 1.0)],
    "detail": [{"detail": tuple(f * d for d in _OWN.detail)} for f in (0.5, 2.0)],
    "noise told": [{"noise_scale": f} for f in (0.7, 1.3)],
    "last word": [
        {"final": "image"},
        {"residual": False},
        *({"residual_weight": w} for w in (0.02, 0.1, 0.3)),
        *({"residual_level": w} for w in (0.0, 0.05, 0.2)),
    ],
    "noise level": [{"level": "detail"}],
    "one contrast at a time": [
        {"network": "separate"},
        {"network": "separate", "noise_scale": 1.3},
    ],
    "contrasts left out": [
        {"blind": ("T1w", "T2w", "PDw", "FLAIR")},
        {"blind": ("T1ratio", "T2ratio")},
    ],
}


class _Blind:
    """A denoiser with some contrasts kept from it, as if they were missing."""

    def __init__(self, denoiser: Denoiser, missing: tuple[str, ...]) -> None:
        self.denoiser = denoiser
        self.contrasts, self.multiple = denoiser.contrasts, denoiser.multiple
        present = [name not in missing for name in denoiser.contrasts]
        self.present = torch.tensor(present, dtype=torch.float32)[:, None, None]

    def operations(self, shape: tuple[int, ...]) -> float:
        return self.denoiser.operations(shape)

    def forward(self, images: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        clean = self.denoiser.forward(images * self.present, sigma * self.present)
        # What it does not see stays as it is.
        return clean * self.present + images * (1 - self.present)


@dataclass(frozen=True, eq=False)
class _Soft:
    """A prior that sees, in the place of the image, that of the likely tissues' mean."""

    prior: Prior

    def correct(self, image: SubspaceImage, deviation: NoiseDeviation) -> SubspaceImage:
        return signal_of(self.maps(image, deviation), self.prior.dictionary)

    def maps(self, image: SubspaceImage, deviation: NoiseDeviation) -> TissueMaps:
        maps = soft_match(image, self.prior.dictionary, float(deviation.square().mean()))
        return self.prior.maps(signal_of(maps, self.prior.dictionary), deviation)


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
    prior: Prior | _Soft, start: PenalisedImage, deviation: NoiseDeviation, schedule: Schedule
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


def run(bench: Bench, starts: dict[str, PenalisedImage], settings: Settings) -> TissueMaps:
    """The loop with any settings; starts are kept, since they take the most time."""
    denoiser: Denoiser
    denoiser = load_denoiser(packaged_weights(settings.network), bench.dictionary.atoms.device)
    if settings.blind:
        denoiser = _Blind(denoiser, settings.blind)
    name = f"{settings.start} {settings.start_weight}"
    if name not in starts and settings.start == "mri2qmap":
        weight = _OWN.start_weight if settings.start_weight is None else settings.start_weight
        starts[name] = initial_image(bench.inverse, replace(_OWN, start_weight=weight))
    elif name not in starts:
        own = replace(bench.options, method=settings.start, regularisation=settings.start_weight)
        image_of = method_named(settings.start).image
        assert image_of is not None
        starts[name] = image_of(bench.inverse, own, None)
    start = starts[name]
    prior: Prior | _Soft
    prior = Prior(bench.dictionary, denoiser, PriorOptions(settings.noise_scale, settings.detail))
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
    own_settings = replace(
        _OWN,
        residual_weight=settings.residual_weight,
        residual_level=settings.residual_level,
    )
    solver = residual_solver(start, own_settings)
    explained = image_with_residual(start, maps, bench.dictionary, solver)
    noise = residual_noise(start, solver)
    return corrected_by_residual(maps, explained, noise, bench.dictionary, believed)


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
    finished = {(line["case"], line["row"]) for line in map(json.loads, lines)}
    for case in list(CASES)[first::every]:
        missing = {row: change for row, change in rows().items() if (case, row) not in finished}
        if not missing:
            continue
        bench = Bench(make_problem(CASES[case], data), options)
        starts: dict[str, PenalisedImage] = {}
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
    existing = table.read_text() if table.exists() else ""
    head = existing.partition("<!-- table -->")[0] if "<!-- table -->" in existing else ""
    text = [
        head + "<!-- table -->",
        "",
        "| setting | " + " | ".join(cases) + " | mean |",
        "|---" * (len(cases) + 2) + "|",
    ]
    for row in dict.fromkeys(line["row"] for line in lines):
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
    words = parser.parse_args()
    if words.table:
        tabulate(words.source, words.output)
    else:
        options = ReconOptions(device=words.device)
        measure(words.source, words.output, words.take, options)


if __name__ == "__main__":
    main()

"""The rules of the traffic light: limits at which a run is rated good, look or bad."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mri2qmap_bids.dataset.verdict import Level, Verdict, worst
from mri2qmap_bids.recon.diagnostics.model import SliceQuality, slices_with_signal
from mri2qmap_bids.recon.methods.registry import method_named, method_names
from mri2qmap_bids.report.run import Run

# Relative distance from an end of the dictionary within which a value counts as being at it.
_AT_THE_END = 0.01
# Range of T1 of brain tissue other than fluid at all common field strengths [s].
_TISSUE_T1 = (0.4, 2.2)
# Range of T2 of the same, with a margin: iron shortens it, and fingerprinting reads it lower than spin echoes [s].
_TISSUE_T2 = (0.03, 0.15)


@dataclass(frozen=True)
class OfSlices:
    """A value of every slice, of which the worst counts."""

    value: Callable[[SliceQuality], float | None]
    """None: not available."""
    applies: Callable[[Run], bool] = lambda _: True
    """Whether it says something of a run."""


@dataclass(frozen=True)
class Rule:
    """One quality measure of a run, with its limits."""

    name: str
    """Short name."""
    question: str
    """What is measured, and what to do."""
    unit: str
    """Of the measured value: %, or empty."""
    look: float
    """Limit from which the maps should be inspected."""
    bad: float
    """Limit from which the maps should not be used as they are; infinite: never."""
    measure: "Callable[[Run], float | None] | OfSlices"
    """Value of a run, None: not available for this run; or of its worst slice."""
    finding: str
    """What a high (or falling) value means, as a part of a sentence with the value at ``{}``."""
    falling: bool = False
    """Whether small values are bad instead of large ones."""

    @property
    def limits(self) -> str:
        """The limits as text."""
        sign = "<" if self.falling else "≥"
        words = f"look {sign} {_number(self.look, self.unit)}"
        if not np.isfinite(self.look):
            return "none: for information"
        if np.isfinite(self.bad):
            words += f", bad {sign} {_number(self.bad, self.unit)}"
        return words


@dataclass(frozen=True)
class Check:
    """Result of a rule for one run."""

    rule: Rule
    level: Level | None
    """None: not available."""
    value: float | None
    """Measured value."""
    place: str = ""
    """Of the slice that has it, if there are several and the value is of one."""

    @property
    def text(self) -> str:
        """The value with its unit, rounded so that it stays on its side of the limits."""
        if self.value is None:
            return "not known"
        for digits in range(2, 17):
            if level_of(self.rule, float(f"{self.value:.{digits}g}")) == self.level:
                return _number(self.value, self.rule.unit, digits)
        return _number(self.value, self.rule.unit)

    @property
    def reason(self) -> str:
        """The finding with the limit that it has reached, for a level other than good."""
        limit = (
            self.rule.bad if self.level == "bad" and np.isfinite(self.rule.bad) else self.rule.look
        )
        side = "below" if self.rule.falling else "from"
        finding = self.rule.finding.format(self.text)
        if self.place:
            finding = f"{finding} in {self.place}"
        return f"{finding} ({self.level} {side} {_number(limit, self.rule.unit)})"


def check(run: Run) -> tuple[Check, ...]:
    """Results of all rules."""
    return tuple(_answer(rule, run) for rule in RULES)


def verdict(checks: Sequence[Check]) -> Verdict:
    """The worst level of several results, with the reason of each that has it."""
    level = worst([result.level for result in checks])
    reasons = (result.reason for result in checks if result.level == level)
    return Verdict(level, () if level == "good" else tuple(reasons))


def level_of(rule: Rule, value: float) -> Level:
    """Level of a value."""

    def reached(limit: float) -> bool:
        return value < limit if rule.falling else value >= limit

    if not np.isfinite(value) or reached(rule.bad):
        return "bad"
    return "look" if reached(rule.look) else "good"


def _answer(rule: Rule, run: Run) -> Check:
    if isinstance(rule.measure, OfSlices):
        value, place = _worst_slice(rule, rule.measure, run)
    else:
        value, place = rule.measure(run), ""
    return Check(rule, None if value is None else level_of(rule, value), value, place)


def _worst_slice(rule: Rule, measure: OfSlices, run: Run) -> tuple[float | None, str]:
    """Value and name of the worst slice with signal; a value that is no number is the worst."""
    if run.diagnostics is None or not measure.applies(run):
        return None, ""
    slices = run.diagnostics.slices
    known = {
        number: value
        for number in slices_with_signal(slices)
        if (value := measure.value(slices[number])) is not None
    }
    if not known:
        return None, ""

    def badness(number: int) -> tuple[bool, float]:
        value = known[number]
        return not np.isfinite(value), -value if rule.falling else value

    worst_one = max(known, key=badness)
    place = f"slice {worst_one + 1} of {len(slices)}" if len(slices) > 1 else ""
    return known[worst_one], place


def _number(value: float, unit: str, digits: int = 2) -> str:
    rounded = f"{value:.0f}" if value >= 99.5 else f"{value:.{digits}g}"
    return f"{'< 0.01' if 0 < value < 0.01 else rounded}{' %' if unit == '%' else unit}"


def _at_the_ends(run: Run, quantity: Literal["t1", "t2"], end: int) -> float | None:
    """Share of the mask's voxels at an end of the dictionary [%]."""
    if run.diagnostics is None or not run.mask.any():
        return None
    values = getattr(run, quantity)[run.mask]
    if not np.isfinite(values).all():
        return float("nan")  # which is at neither end, and must not pass for a time between them
    limit = getattr(run.diagnostics, f"{quantity}_range")[end]
    at = values <= limit * (1 + _AT_THE_END) if end == 0 else values >= limit * (1 - _AT_THE_END)
    return float(100 * at.mean())


def _coverage(run: Run) -> float | None:
    return None if run.diagnostics is None else 100 * run.diagnostics.part.sampling.coverage


def _delay(run: Run) -> float | None:
    """Of the middle slice, in which it was searched for."""
    if run.diagnostics is None or not run.diagnostics.slices:
        return None
    slices = run.diagnostics.slices
    return slices[len(slices) // 2].figures.delay


def measures(checks: Sequence[Check]) -> dict[str, float]:
    """What the rules measured, by rule, for a sidecar; in % where the rule has that unit."""
    return {
        result.rule.name: float(f"{result.value:.4g}")
        for result in checks
        if result.value is not None
    }


def _fits_white_samples(run: Run) -> bool:
    """Whether coils were whitened, and the image fits the samples (not gridding)."""
    if run.diagnostics is None or run.diagnostics.coil_noise is None:
        return False
    name = run.conditions.options.get("method") if run.conditions is not None else None
    return name not in method_names() or method_named(name).explains_samples


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _uncertainty(run: Run) -> float | None:
    """The larger of the median relative standard deviations of T1 and T2 [%]."""
    if run.t1_std is None or run.t2_std is None or not run.mask.any():
        return None
    return max(
        float(100 * np.median(deviation[run.mask] / np.maximum(values[run.mask], 1e-6)))
        for deviation, values in ((run.t1_std, run.t1), (run.t2_std, run.t2))
    )


def _plausible(run: Run) -> float | None:
    if not run.mask.any():
        return 0.0
    t1 = run.t1[run.mask]
    return float(100 * ((t1 > _TISSUE_T1[0]) & (t1 < _TISSUE_T1[1])).mean())


def _plausible_t2(run: Run) -> float | None:
    """Share of the voxels with the T1 of brain tissue that have its T2, too [%]; None: there are no such voxels."""
    t1, t2 = run.t1[run.mask], run.t2[run.mask]
    of_tissue = t2[(t1 > _TISSUE_T1[0]) & (t1 < _TISSUE_T1[1])]
    if not of_tissue.size:
        return None
    return float(100 * ((of_tissue > _TISSUE_T2[0]) & (of_tissue < _TISSUE_T2[1])).mean())


def _n_warnings(run: Run) -> float | None:
    return None if run.conditions is None else float(len(run.conditions.warnings))


RULES: tuple[Rule, ...] = (
    Rule(
        "Tissue",
        "Share of the mask with T1 in the range of brain tissue "
        f"({1e3 * _TISSUE_T1[0]:.0f}-{1e3 * _TISSUE_T1[1]:.0f} ms). Low: a wrong sequence "
        "in the sidecar, a phantom, or a failed scan.",
        "%", 60, 30, _plausible, "T1 of brain tissue in only {} of the mask", falling=True,
    ),
    Rule(
        "T2 of tissue",
        f"Share of the voxels with such a T1 whose T2 is in the range of brain tissue ({1e3 * _TISSUE_T2[0]:.0f}-"
        f"{1e3 * _TISSUE_T2[1]:.0f} ms). Low: wrong flip angles in the sidecar or a transmit field far from "
        "nominal, which hardly change T1 and the misfit.",
        "%", 60, 30, _plausible_t2, "T2 of brain tissue in only {} of the voxels with its T1", falling=True,
    ),
    Rule(
        "T1 at the grid's lower end",
        "Share of voxels whose T1 is at the lower end of the dictionary. High: the model does not fit.",
        "%", 2, 10, lambda run: _at_the_ends(run, "t1", 0), "T1 at the grid's lower end in {} of voxels",
    ),
    Rule(
        "T1 at the grid's upper end",
        "Share of voxels whose T1 is at the upper end of the dictionary. Expected in fluid.",
        "%", 5, 20, lambda run: _at_the_ends(run, "t1", 1), "T1 at the grid's upper end in {} of voxels",
    ),
    Rule(
        "T2 at the grid's lower end",
        "Share of voxels whose T2 is at the lower end of the dictionary. High: the model does not fit.",
        "%", 2, 10, lambda run: _at_the_ends(run, "t2", 0), "T2 at the grid's lower end in {} of voxels",
    ),
    Rule(
        "T2 at the grid's upper end",
        "Share of voxels whose T2 is at the upper end of the dictionary. Expected in fluid.",
        "%", 5, 20, lambda run: _at_the_ends(run, "t2", 1), "T2 at the grid's upper end in {} of voxels",
    ),
    Rule(
        "Uncertainty",
        "Median standard deviation of T1 or T2, whichever is larger, relative to its value.",
        "%", 10, 30, _uncertainty, "T1 or T2 uncertain by {} (median)",
    ),
    Rule(
        "Residual against noise",
        "Standard deviation of the residual of the samples, relative to the noise scan. Far above 1: "
        "motion, a wrong trajectory or a wrong sequence.",
        "", 1.5, 3, OfSlices(lambda each: each.noise, _fits_white_samples), "residual {} times the noise",
    ),
    Rule(
        "Signal-to-noise ratio",
        "Median over bright voxels of the first component of the subspace image, relative to the standard deviation of "
        "its error.",
        "", 10, 3, OfSlices(lambda each: each.figures.snr), "signal-to-noise ratio of {}", falling=True,
    ),
    Rule(
        "Acceleration",
        "Cells of the k-space of the reconstruction grid, relative to those that one frame samples.",
        "", float("inf"), float("inf"), OfSlices(lambda each: each.figures.acceleration), "acceleration of {}",
    ),
    Rule(
        "Condition",
        "Condition number of the encoding with its regularisation, from its circulant approximation: errors of the "
        "samples grow in the image by at most about this factor.",
        "", float("inf"), float("inf"), OfSlices(lambda each: each.figures.condition), "condition number of {}",
    ),
    Rule(
        "Motion",
        "Displacement between blocks of frames that would lower the residual of the samples, in voxels, beyond what "
        "noise explains (three standard errors of each).",
        "", 0.5, 2, OfSlices(lambda each: each.figures.displacement), "motion of about {} voxels",
    ),
    Rule(
        "Delay",
        "Delay of the samples against the trajectory, in samples: a fit to the residual, most of which the image "
        "contains; from 0.03 on the delay that a search finds. High: a delay of the gradients (MRFGradientDelay), or "
        "another error of the trajectory.",
        "", 0.03, float("inf"), _delay, "samples lag the trajectory by {}",
    ),
    Rule(
        "Misfit of the fingerprints",
        "Mean over the tissue of the difference between a voxel's fingerprint in the subspace and the one predicted "
        "from its maps, relative to the mean fingerprint: noise averages out of it. High: a sequence that differs from "
        "the sidecar's (flip angles, their order, inversion), slice profile, transmit field; with gridding, aliasing.",
        "%", 2, 15, OfSlices(lambda each: _percent(each.figures.misfit)), "fingerprints misfit by {} on average",
    ),
    Rule(
        "Convergence",
        "Energy of the solver's residual in the worst shell of k-space, relative to that of the image. High: "
        "try --recon-method subspace with a larger --n-iterations; with mri2qmap this option does not lengthen the "
        "solvers.",
        "%", 5, 25, OfSlices(lambda each: _percent(each.energy_left)),
        "not converged: {} of the energy of a shell of k-space remains",
    ),
    Rule(
        "Coverage of k-space",
        "Share of the k-space of the reconstruction grid that was sampled in at least one frame.",
        "%", 90, 60, _coverage, "only {} of k-space sampled", falling=True,
    ),
    Rule(
        "Warnings",
        "Number of warnings; they are listed below.",
        "", 1, float("inf"), _n_warnings, "{} warning(s)",
    ),
)  # fmt: skip
"""In display order."""

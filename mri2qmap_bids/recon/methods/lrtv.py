"""lrtv: least squares in the temporal subspace with total variation."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from mri2qmap_bids.recon.denoisers.base import Denoiser
from mri2qmap_bids.recon.methods.base import (
    Curve,
    Matcher,
    Method,
    MethodText,
    Solution,
    restored,
)
from mri2qmap_bids.recon.methods.least_squares import (
    LeastSquaresSettings,
    PenalisedImage,
    least_squares,
)
from mri2qmap_bids.recon.methods.regularised import Splitting, regularised
from mri2qmap_bids.recon.methods.sentences import (
    ENCODED,
    error_text,
    least_squares_text,
    penalty_text,
)
from mri2qmap_bids.recon.methods.subspace import solution_of
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.planning.cost import ProblemSize, SplitCost, Work
from mri2qmap_bids.recon.priors.total_variation import (
    TotalVariation,
    differences_spectrum,
    mean_difference,
)
from mri2qmap_bids.recon.problem import InverseProblem
from mri2qmap_bids.recon.record import Record
from mri2qmap_bids.recon.solvers.alternating_directions import SplitTerm

PENALTY = "total variation of the subspace images [@rudin1992]"
_COPIES = 6  # arrays of the differences of one component, each with an image for every axis


@dataclass(frozen=True)
class LrtvSettings:
    """Weights of total variation, and parameters of the splitting."""

    start: LeastSquaresSettings = LeastSquaresSettings()
    """Settings of the least-squares image."""
    tolerance: float = 3e-3
    """Tolerance of ADMM."""
    mean_differences: float = 6.0
    """ADMM penalty, set so that the threshold of the proximal map is this many mean differences of the
    initial image (chosen for the fewest steps on development scans)."""
    difference_power: float = 0.25
    """A component is weighted by (largest mean difference / its own) to this power: 0 weights all
    equally, 1 is the maximum-likelihood weight for exponentially distributed differences."""


def lrtv_image(
    problem: InverseProblem,
    settings: LrtvSettings,
    weight: float,
    n_steps: int,
    random_seed: int = 0,
    record: Record | None = None,
) -> PenalisedImage:
    """Minimise 1/2 |A x - y|_W^2 + weight noise sum_i w_i TV(x_i), w_i >= 1 larger for weaker components.

    Parameters
    ----------
    problem
        From :func:`inverse_problem`.
    settings
        Weights of the term, and parameters of the splitting.
    weight
        At least 0, relative to the noise.
    n_steps
        Maximum number of ADMM steps.
    random_seed
        Seed of the sample of the least-squares image's error.
    record
        Records time and steps.
    """
    start = least_squares(problem, settings.start, random_seed, record)
    splitting = partial(_splitting, settings=settings)
    return regularised(start, splitting, weight, n_steps, settings.tolerance, "lrtv", record)


def _splitting(start: PenalisedImage, weight: float, settings: LrtvSettings) -> Splitting:
    steps = mean_difference(start.image)
    steps = steps.clamp_min(1e-6 * float(steps.max()))
    weights = weight * (steps.max() / steps) ** settings.difference_power
    penalty = weights / (settings.mean_differences * steps)
    spectrum = differences_spectrum(start.problem.encoding.shape, start.image.device)
    return SplitTerm(TotalVariation(), weights, penalty), spectrum


def split_cost(size: ProblemSize) -> SplitCost:
    """Split variables are kept between steps; components are processed one by one."""
    dim = len(size.shape)
    return SplitCost(
        held=dim * size.image,
        scratch=dim * _COPIES * size.component + size.image,
        moved=5 * _COPIES * dim * size.image,
    )


def image_with(
    problem: InverseProblem, options: ReconOptions, record: Record | None = None
) -> PenalisedImage:
    """:func:`lrtv_image` with the method's settings."""
    weight, n_steps = LRTV.weight(options), LRTV.n_iterations(options)
    return lrtv_image(problem, _SETTINGS, weight, n_steps, options.random_seed, record)


def solve(
    problem: InverseProblem,
    matcher: Matcher,
    denoiser: Denoiser | None,
    options: ReconOptions,
    record: Record | None = None,
) -> Solution:
    """Match the image of :func:`lrtv_image`."""
    return solution_of(image_with(problem, options, record), matcher, record)


def work(options: ReconOptions) -> Work:
    """Least squares, and one application of A^H A per step."""
    n_steps = LRTV.n_iterations(options)
    return Work(_SETTINGS.start.n_normal + n_steps + 1, n_steps, split_cost)


def text(options: Mapping[str, Any]) -> MethodText:
    """Sentences for the methods section."""
    start = restored(_SETTINGS, options.get("settings")).start
    weight, n_steps = float(options["regularisation"]), int(options["n_iterations"])
    image = ENCODED + least_squares_text(start) + penalty_text(PENALTY, weight, n_steps)
    return MethodText(image, error_text(start))


_SETTINGS = LrtvSettings()
LRTV = Method(
    name="lrtv",
    title="Least squares in the temporal subspace with total variation, by the alternating direction "
    "method of multipliers",
    solve=solve,
    work=work,
    text=text,
    image=image_with,
    iterations=40,
    regularisation=0.5,
    weighs="total variation",
    curve=Curve("total variation: step", "step"),
    settings=_SETTINGS,
)

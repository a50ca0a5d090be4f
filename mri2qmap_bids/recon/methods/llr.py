"""llr: least squares in the temporal subspace with a locally low-rank penalty."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

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
from mri2qmap_bids.recon.priors.low_rank import LocallyLowRank
from mri2qmap_bids.recon.problem import InverseProblem
from mri2qmap_bids.recon.record import Record
from mri2qmap_bids.recon.solvers.alternating_directions import SplitTerm

PENALTY = "a penalty for locally low rank of the subspace images [@zhang2015]"
_HELD, _COPIES = 2, 6  # images of the split variables, and during singular-value thresholding


@dataclass(frozen=True)
class LlrSettings:
    """Parameters of the splitting."""

    start: LeastSquaresSettings = LeastSquaresSettings()
    """Settings of the least-squares image."""
    tolerance: float = 1e-3
    """Tolerance of ADMM: small, because the split variable is the image itself, which changes little."""
    penalty: float = 0.3
    """ADMM penalty, as a fraction of the level of A^H A (chosen for the fewest steps on development
    scans)."""


def llr_image(
    problem: InverseProblem,
    settings: LlrSettings,
    weight: float,
    n_steps: int,
    random_seed: int = 0,
    record: Record | None = None,
) -> PenalisedImage:
    """Minimise 1/2 |A x - y|_W^2 + weight noise LLR(x).

    Parameters
    ----------
    problem
        From :func:`inverse_problem`.
    settings
        Parameters of the splitting.
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
    return regularised(start, splitting, weight, n_steps, settings.tolerance, "llr", record)


def _splitting(start: PenalisedImage, weight: float, settings: LlrSettings) -> Splitting:
    level = start.problem.circulant.level
    weights = torch.full_like(start.deviation, weight)
    penalty = torch.full_like(start.deviation, settings.penalty * level)
    spectrum = torch.ones((), device=start.image.device)
    return SplitTerm(LocallyLowRank(), weights, penalty), spectrum


def split_cost(size: ProblemSize) -> SplitCost:
    """All components are processed together."""
    scratch = _COPIES * size.image
    return SplitCost(held=_HELD * size.image, scratch=scratch, moved=12 * scratch)


def image_with(
    problem: InverseProblem, options: ReconOptions, record: Record | None = None
) -> PenalisedImage:
    """:func:`llr_image` with the method's settings."""
    weight, n_steps = LLR.weight(options), LLR.n_iterations(options)
    return llr_image(problem, _SETTINGS, weight, n_steps, options.random_seed, record)


def solve(
    problem: InverseProblem,
    matcher: Matcher,
    denoiser: Denoiser | None,
    options: ReconOptions,
    record: Record | None = None,
) -> Solution:
    """Match the image of :func:`llr_image`."""
    return solution_of(image_with(problem, options, record), matcher, record)


def work(options: ReconOptions) -> Work:
    """Least squares, and one application of A^H A per step."""
    n_steps = LLR.n_iterations(options)
    return Work(_SETTINGS.start.n_normal + n_steps + 1, n_steps, split_cost)


def text(options: Mapping[str, Any]) -> MethodText:
    """Sentences for the methods section."""
    start = restored(_SETTINGS, options.get("settings")).start
    weight, n_steps = float(options["regularisation"]), int(options["n_iterations"])
    image = ENCODED + least_squares_text(start) + penalty_text(PENALTY, weight, n_steps)
    return MethodText(image, error_text(start))


_SETTINGS = LlrSettings()
LLR = Method(
    name="llr",
    title="Least squares in the temporal subspace with locally low rank, by the alternating direction "
    "method of multipliers",
    solve=solve,
    work=work,
    text=text,
    image=image_with,
    iterations=40,
    regularisation=0.5,
    weighs="the locally low-rank penalty",
    curve=Curve("locally low rank: step", "step"),
    settings=_SETTINGS,
)

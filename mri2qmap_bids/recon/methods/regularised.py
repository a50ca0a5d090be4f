"""Least squares with a regulariser instead of the smoothness term: what lrtv and llr share."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from mri2qmap_bids.recon.arrays import SubspaceImage
from mri2qmap_bids.recon.denoisers.base import Denoiser
from mri2qmap_bids.recon.methods.base import (
    Curve,
    Matcher,
    Method,
    MethodText,
    Solution,
    restored,
)
from mri2qmap_bids.recon.methods.least_squares import PenalisedImage, least_squares
from mri2qmap_bids.recon.methods.sentences import (
    ENCODED,
    error_text,
    least_squares_text,
    penalty_text,
)
from mri2qmap_bids.recon.methods.subspace import solution_of
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.planning.size import ProblemSize
from mri2qmap_bids.recon.planning.work import SplitCost, StageWork, Work
from mri2qmap_bids.recon.priors.smoothness import smoothness_share
from mri2qmap_bids.recon.problem import InverseProblem
from mri2qmap_bids.recon.record import Record
from mri2qmap_bids.recon.solvers.alternating_directions import SplitTerm, alternating_directions

logger = logging.getLogger(__name__)

Splitting = tuple[SplitTerm, torch.Tensor]
"""A term, and K^H K of its analysis operator by frequency, shape (*space) or ()."""


@dataclass(frozen=True)
class Regularisation:
    """A regulariser and all that a method with it depends on."""

    name: str
    """Of the method."""
    penalty: str
    """The regulariser in the words of a paper."""
    scale: Callable[[Any], str]
    """What its weight is relative to, in the words of a paper, from the settings."""
    settings: Any
    """A frozen dataclass with ``start`` (:class:`LeastSquaresSettings`) and ``tolerance`` of ADMM."""
    splitting: Callable[[PenalisedImage, float, Any], Splitting]
    """The regulariser and its splitting, from the least-squares image, the weight relative to ``scale`` and the
    settings."""
    tolerances: Callable[[Any, float], tuple[float, ...]]
    """Of ADMM in every round, at least one, from the settings and the mean of the least-squares image's transfer
    function."""
    cost: Callable[[ProblemSize], SplitCost]
    """Of one ADMM step's split variables."""
    again: Callable[[SplitTerm, SubspaceImage], SplitTerm] | None = None
    """The regulariser of a further round, from that of the round before and its image; None: the same."""


def regularised_image(
    problem: InverseProblem,
    regularisation: Regularisation,
    weight: float,
    n_steps: int,
    random_seed: int = 0,
    record: Record | None = None,
) -> PenalisedImage:
    """Minimise 1/2 (|A x - y|_W^2 + share x^H L x) + weight scale R(x), starting from the least-squares image.

    In several rounds, if the settings have them: R of a further one follows from the image of the one before.

    L is the smoothness term of the least-squares image, and :func:`smoothness_share` its share: 0 but for noise
    that hides most of k-space. ``scale`` is the regulariser's own and follows from the data: relative to it, the
    same weight suits data of any unit, noise level, size and number of samples.

    Parameters
    ----------
    problem
        From :func:`inverse_problem`.
    regularisation
        R, its splitting and its settings.
    weight
        At least 0; 0 returns the least-squares image.
    n_steps
        Maximum number of ADMM steps in every round.
    random_seed
        Seed of the sample of the least-squares image's error.
    record
        Records time and steps.
    """
    record, settings, name = record or Record(), regularisation.settings, regularisation.name
    current = least_squares(problem, settings.start, random_seed, record)
    if weight == 0:
        return current
    with record.stage(name):
        problem = current.problem
        response = current.response
        share = smoothness_share(response)
        smooth = share * current.smoothness if share else 0.0
        normal = problem.normal_with(smooth) if share else problem.normal
        term, spectrum = regularisation.splitting(current, weight, settings)
        tolerances = regularisation.tolerances(settings, float(response.mean()))
        watch = record.watch(name)
        for number, tolerance in enumerate(tolerances, start=1):
            if number > 1 and regularisation.again is not None:
                term = regularisation.again(term, current.image)
            shaped = term.penalty.view(-1, *[1] * (current.image.ndim - 1)) * spectrum
            solution = alternating_directions(
                normal,
                problem.projection,
                term,
                problem.preconditioner(shaped + smooth),
                current.image,
                n_steps,
                tolerance=tolerance,
                watch=watch,
            )
            # A fixed number of steps that is the maximum, as of an initial image, is no news.
            level = logging.INFO if solution.converged else logging.DEBUG
            logger.log(
                level, "%s, round %d of %d: %d of at most %d steps",
                name, number, len(tolerances), solution.n_steps, n_steps,
            )  # fmt: skip
            # The image before is not held any longer.
            current = replace(
                current,
                image=solution.image,
                correction=solution.correction,
                converged=solution.converged,
            )
    return current


def regularised_method(
    regularisation: Regularisation, title: str, curve: Curve, iterations: int, weight: float
) -> Method:
    """The method that matches the image of :func:`regularised_image`.

    Parameters
    ----------
    regularisation
        The regulariser.
    title, curve, iterations, weight
        As of :class:`Method`; ``weight`` is its ``regularisation``.
    """
    settings = regularisation.settings

    def image(
        problem: InverseProblem, options: ReconOptions, record: Record | None = None
    ) -> PenalisedImage:
        weight, n_steps = method.weight(options), method.n_iterations(options)
        return regularised_image(
            problem, regularisation, weight, n_steps, options.random_seed, record
        )

    def solve(
        problem: InverseProblem,
        matcher: Matcher,
        denoiser: Denoiser | None,
        options: ReconOptions,
        record: Record | None = None,
    ) -> Solution:
        return solution_of(image(problem, options, record), matcher, record)

    def work(options: ReconOptions) -> Work:
        return regularised_work(regularisation, method.n_iterations(options))

    def text(options: Mapping[str, Any]) -> MethodText:
        used = restored(settings, options.get("settings"))
        weight, n_steps = float(options["regularisation"]), int(options["n_iterations"])
        penalty = penalty_text(regularisation.penalty, weight, regularisation.scale(used), n_steps)
        sentences = ENCODED + least_squares_text(used.start) + penalty
        return MethodText(sentences, error_text(used.start))

    method = Method(
        name=regularisation.name,
        title=title,
        solve=solve,
        work=work,
        text=text,
        image=image,
        iterations=iterations,
        regularisation=weight,
        curve=curve,
        settings=settings,
    )
    return method


def regularised_work(regularisation: Regularisation, n_steps: int) -> Work:
    """Least squares, one application of A^H A per step and one more in every round, and matching."""
    n_rounds = len(regularisation.tolerances(regularisation.settings, 1.0))
    stages = (
        *regularisation.settings.start.work,
        StageWork(regularisation.name, n_steps + n_rounds),
        StageWork("matching", n_match=1),
    )
    return Work(stages, n_steps, regularisation.cost)

"""subspace: least squares in the temporal subspace with a smoothness term."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mri2qmap_bids.recon.denoisers.base import Denoiser
from mri2qmap_bids.recon.methods.base import (
    Curve,
    Matcher,
    Method,
    MethodText,
    Solution,
    matched,
    restored,
)
from mri2qmap_bids.recon.methods.least_squares import (
    LeastSquaresSettings,
    PenalisedImage,
    least_squares,
)
from mri2qmap_bids.recon.methods.sentences import ENCODED, error_text, least_squares_text
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.planning.work import StageWork, Work
from mri2qmap_bids.recon.problem import InverseProblem
from mri2qmap_bids.recon.record import Record

_SETTINGS = LeastSquaresSettings()


def settings_with(options: ReconOptions) -> LeastSquaresSettings:
    """The settings with the steps and the weight of the options."""
    return replace(_SETTINGS, steps=SUBSPACE.n_iterations(options), weight=SUBSPACE.weight(options))


def subspace_image(
    problem: InverseProblem, options: ReconOptions, record: Record | None = None
) -> PenalisedImage:
    """The image of this method; see :func:`least_squares`."""
    return least_squares(problem, settings_with(options), options.random_seed, record)


def solution_of(
    penalised: PenalisedImage, matcher: Matcher, record: Record | None = None
) -> Solution:
    """Match a penalised least-squares image."""
    with (record or Record()).stage("matching"):
        maps = matched(penalised.image, matcher)
    return Solution(
        maps,
        penalised.deviation,
        penalised.image,
        penalised,
        correction=penalised.correction,
        converged=penalised.converged,
    )


def solve(
    problem: InverseProblem,
    matcher: Matcher,
    denoiser: Denoiser | None,
    options: ReconOptions,
    record: Record | None = None,
) -> Solution:
    """Match the least-squares image."""
    return solution_of(subspace_image(problem, options, record), matcher, record)


def work(options: ReconOptions) -> Work:
    """Least squares, and matching."""
    settings = settings_with(options)
    return Work((*settings.work, StageWork("matching", n_match=1)))


def text(options: Mapping[str, Any]) -> MethodText:
    """Sentences for the methods section."""
    settings = replace(
        restored(_SETTINGS, options.get("settings")),
        steps=int(options.get("n_iterations") or 0),
        weight=float(options.get("regularisation") or 0),
    )
    return MethodText(ENCODED + least_squares_text(settings), error_text(settings))


SUBSPACE = Method(
    name="subspace",
    title="Least squares in the temporal subspace with a Tikhonov term towards smooth images, by "
    "preconditioned conjugate gradients",
    solve=solve,
    work=work,
    text=text,
    image=subspace_image,
    iterations=_SETTINGS.steps,
    regularisation=_SETTINGS.weight,
    curve=Curve("least squares: residual", "residual"),
    settings=_SETTINGS,
)

"""pnp: plug-and-play with a denoiser applied to the subspace image itself, without the signal model."""

from collections.abc import Mapping
from dataclasses import dataclass
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
from mri2qmap_bids.recon.methods.least_squares import LeastSquaresSettings, least_squares
from mri2qmap_bids.recon.methods.sentences import (
    ENCODED,
    data_step_text,
    error_text,
    iterations_text,
    least_squares_text,
    weights_text,
)
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.planning.work import StageWork, Work
from mri2qmap_bids.recon.priors.components import ComponentPrior
from mri2qmap_bids.recon.problem import InverseProblem
from mri2qmap_bids.recon.record import Record
from mri2qmap_bids.recon.solvers.half_quadratic_splitting import Schedule, plug_and_play


@dataclass(frozen=True)
class PnpSettings:
    """Parameters of the iteration."""

    start: LeastSquaresSettings = LeastSquaresSettings()
    """Settings of the initial least-squares image."""
    data_steps: int = 8
    """Maximum number of conjugate-gradient steps of a data-consistency step."""
    decay: float = 0.7
    """Assumed noise of the image, relative to the previous iteration."""
    remaining: float = 0.5
    """Assumed fraction of the noise left in a denoised image; sets the weight of the quadratic penalty."""


def solve(
    problem: InverseProblem,
    matcher: Matcher,
    denoiser: Denoiser | None,
    options: ReconOptions,
    record: Record | None = None,
) -> Solution:
    """Half-quadratic splitting with a denoiser of the components, followed by matching.

    References
    ----------
    Fatania et al., A plug-and-play approach to multiparametric quantitative MRI (2022),
    doi:10.1109/ISBI52829.2022.9761603.
    """
    assert denoiser is not None
    record, settings = record or Record(), _SETTINGS
    start = least_squares(problem, settings.start, options.random_seed, record)
    problem = start.problem
    with record.stage("plug and play"):
        iterate = plug_and_play(
            problem.normal,
            problem.projection,
            ComponentPrior(denoiser, PNP.weight(options)),
            start.image,
            start.deviation,
            start.noise / 2**0.5,
            Schedule(
                PNP.n_iterations(options),
                settings.decay,
                settings.remaining,
                settings.data_steps,
            ),
            problem.preconditioner,
            record.watch("pnp"),
        )
    with record.stage("matching"):
        maps = matched(iterate.image, matcher)
    return Solution(
        maps,
        start.deviation,
        iterate.image,
        start,
        start.image,
        iterate.correction,
        iterate.converged,
    )


def work(options: ReconOptions) -> Work:
    """Least squares, and per iteration a denoising and a data-consistency step."""
    n = PNP.n_iterations(options)
    return Work(
        (
            *_SETTINGS.start.work,
            StageWork("plug and play", n * (_SETTINGS.data_steps + 1), n_denoise=n),
            StageWork("matching", n_match=1),
        ),
        # The real and the imaginary part of every component.
        n_images=lambda size: 2 * size.rank,
    )


def text(options: Mapping[str, Any]) -> MethodText:
    """Sentences for the methods section."""
    settings = restored(_SETTINGS, options.get("settings"))
    steps, weight = int(options["n_iterations"]), float(options["regularisation"])
    image = (
        ENCODED
        + least_squares_text(settings.start)
        + " Starting from this image, plug-and-play reconstruction [@venkatakrishnan2013, @fatania2022] made "
        f"{iterations_text(steps)} of denoising of the components by a learned denoiser "
        f"({weights_text(options)} [@zhang2022], noise level {weight:g} times that of the image) and "
        f"{data_step_text(settings.data_steps)} towards the denoised image."
    )
    return MethodText(image, error_text(settings.start))


_SETTINGS = PnpSettings()
PNP = Method(
    name="pnp",
    title="Plug-and-play: denoising of the components of the subspace image and data consistency",
    solve=solve,
    work=work,
    text=text,
    iterations=5,
    regularisation=1.0,
    weights="separate",
    curve=Curve("plug and play: data step", "residual"),
    settings=_SETTINGS,
)

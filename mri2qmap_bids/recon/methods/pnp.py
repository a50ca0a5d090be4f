"""pnp: plug-and-play on the subspace images themselves, without physics."""

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
from mri2qmap_bids.recon.planning.cost import Work
from mri2qmap_bids.recon.priors.components import ComponentPrior
from mri2qmap_bids.recon.problem import InverseProblem
from mri2qmap_bids.recon.record import Record
from mri2qmap_bids.recon.solvers.half_quadratic_splitting import Schedule, plug_and_play


@dataclass(frozen=True)
class PnpSettings:
    """How the iteration goes."""

    start: LeastSquaresSettings = LeastSquaresSettings()
    """Of the least-squares image that it starts from."""
    data_steps: int = 8
    """Most conjugate-gradient steps of a data-consistency step."""
    decay: float = 0.7
    """Noise that is believed to be in the image, relative to the iteration before."""
    remaining: float = 0.5
    """Noise that a denoised image is believed to keep, where it is weighed against the data."""


def solve(
    problem: InverseProblem,
    matcher: Matcher,
    denoiser: Denoiser | None,
    options: ReconOptions,
    record: Record | None = None,
) -> Solution:
    """Half-quadratic splitting with a denoiser of the components, then matching.

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
        looped = plug_and_play(
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
        maps = matched(looped.image, matcher)
    return Solution(
        maps,
        start.deviation,
        looped.image,
        start,
        start.image,
        looped.correction,
        looped.converged,
    )


def work(options: ReconOptions) -> Work:
    """Least squares, and a denoising and a data-consistency step an iteration."""
    n = PNP.n_iterations(options)
    return Work(
        n_normal=_SETTINGS.start.n_normal + n * (_SETTINGS.data_steps + 1),
        n_denoise=n,
        # The real and the imaginary part of every component.
        n_images=lambda size: 2 * size.rank,
    )


def text(options: Mapping[str, Any]) -> MethodText:
    """In the words of a paper."""
    settings = restored(_SETTINGS, options.get("settings"))
    steps, weight = int(options["n_iterations"]), float(options["regularisation"])
    image = (
        ENCODED
        + least_squares_text(settings.start)
        + f" From there, plug-and-play [@venkatakrishnan2013, @fatania2022]: {iterations_text(steps)} of a "
        f"learned denoiser of the components ({weights_text(options)} [@zhang2022], told {weight:g} "
        f"times the noise) and {data_step_text(settings.data_steps)} towards the denoised image."
    )
    return MethodText(image, error_text(settings.start))


_SETTINGS = PnpSettings()
PNP = Method(
    name="pnp",
    title="Plug-and-play: data consistency in the temporal subspace in turn with a denoiser of its "
    "components",
    solve=solve,
    work=work,
    text=text,
    iterations=5,
    regularisation=1.0,
    weighs="the noise that the denoiser is told",
    weights="separate",
    curve=Curve("plug and play: data step", "residual"),
    settings=_SETTINGS,
)

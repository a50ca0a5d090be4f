"""mri2qmap: plug-and-play with a denoiser of synthetic weighted images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from mri2qmap_bids.recon.arrays import QuantityMap, SubspaceImage
from mri2qmap_bids.recon.denoisers.base import Denoiser
from mri2qmap_bids.recon.encoding.circulant import filtered
from mri2qmap_bids.recon.grid import centre, widened
from mri2qmap_bids.recon.methods.base import (
    Curve,
    Matcher,
    Method,
    MethodText,
    Solution,
    restored,
)
from mri2qmap_bids.recon.methods.least_squares import PenalisedImage
from mri2qmap_bids.recon.methods.lrtv import PENALTY, LrtvSettings, lrtv_image, split_cost
from mri2qmap_bids.recon.methods.sentences import (
    ENCODED,
    data_step_text,
    error_text,
    iterations_text,
    least_squares_text,
    penalty_text,
    weights_text,
)
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.dictionary import Dictionary
from mri2qmap_bids.recon.physics.matching import TissueMaps, each_map, signal_of
from mri2qmap_bids.recon.planning.cost import Work
from mri2qmap_bids.recon.priors.residual_correction import corrected_by_residual
from mri2qmap_bids.recon.priors.synthetic_contrasts import Prior, PriorOptions
from mri2qmap_bids.recon.problem import InverseProblem
from mri2qmap_bids.recon.record import Record
from mri2qmap_bids.recon.solvers.conjugate_gradient import conjugate_gradient
from mri2qmap_bids.recon.solvers.half_quadratic_splitting import Schedule, plug_and_play


@dataclass(frozen=True)
class Mri2qmapSettings:
    """How the iteration starts, goes and ends."""

    start: LrtvSettings = LrtvSettings()
    """Of the lrtv image that it starts from."""
    start_weight: float = 0.5
    """That image's weight."""
    start_steps: int = 40
    """Most steps of alternating directions of that image."""
    start_noise: float = 0.8
    """Error that is believed to be in every component of the start, relative to that of the noisiest
    component of the least-squares image."""
    data_steps: int = 8
    """Most conjugate-gradient steps of a data-consistency step, and of the residual."""
    decay: float = 0.7
    """Noise that is believed to be in the image, relative to the iteration before."""
    remaining: float = 0.5
    """Noise that a denoised image is believed to keep, where it is weighed against the data."""
    noise_scale: float = 1.0
    """Noise level given to the denoiser, relative to what is believed."""
    detail: tuple[float, float, float] = (0.04, 0.06, 0.04)
    """Relative deviation of T1, T2 and M0 in detail that the denoiser cannot know."""
    residual_weight: float = 0.05
    """Weight of the smoothness term in solving for the residual."""
    residual_level: float = 0.1
    """Sampling density below which the residual is not believed, relative to the median density:
    errors of the model (coil sensitivities) grow there as noise does, but with the signal."""
    correction_error: float = 2.0
    """Squared relative error of the maps beyond ``detail``, by the square of their correction."""


def solve(
    problem: InverseProblem,
    matcher: Matcher,
    denoiser: Denoiser | None,
    options: ReconOptions,
    record: Record | None = None,
) -> Solution:
    """Half-quadratic splitting with maps that look like routine weighted MRI.

    From the lrtv image on, iterations of matching, synthesis of weighted images, their denoiser,
    fusion of the maps, and data consistency; then once more without data consistency, and a
    correction of the maps by the residual.

    References
    ----------
    Golbabaee et al., MRI2Qmap (2026), arXiv:2603.11316.
    """
    assert denoiser is not None
    return solve_with(
        _SETTINGS, MRI2QMAP.n_iterations(options), problem, matcher, denoiser, options, record
    )


def solve_with(
    settings: Mri2qmapSettings,
    n_iterations: int,
    problem: InverseProblem,
    matcher: Matcher,
    denoiser: Denoiser,
    options: ReconOptions,
    record: Record | None = None,
) -> Solution:
    """:func:`solve` with other settings."""
    record = record or Record()
    start = lrtv_image(
        problem,
        settings.start,
        settings.start_weight,
        settings.start_steps,
        options.random_seed,
        record,
    )
    problem, plan, dictionary = start.problem, problem.plan, matcher.dictionary
    prior = Prior(
        dictionary,
        denoiser,
        PriorOptions(
            settings.noise_scale, settings.detail, plan.voxels_at_once, plan.slices_at_once
        ),
        None if matcher.b1 is None else widened(matcher.b1, problem.encoding.shape),
    )
    # As much error in every component as in the noisiest: those that the smoothness term holds
    # down have the least noise, but not the least bias.
    believed = torch.full_like(start.deviation, float(start.deviation.max()))
    with record.stage("plug and play"):
        looped = plug_and_play(
            problem.normal,
            problem.projection,
            prior,
            start.image,
            settings.start_noise * believed,
            start.noise / 2**0.5,
            Schedule(n_iterations, settings.decay, settings.remaining, settings.data_steps),
            problem.preconditioner,
            record.watch("mri2qmap"),
        )
    with record.stage("final maps"):
        first = prior.maps(looped.image, looped.deviation)
    with record.stage("residual"):
        explained = image_with_residual(start, first, dictionary, settings)
        maps = corrected_by_residual(first, explained, dictionary, believed)
    maps, first = (
        each_map(part, lambda values: centre(values, matcher.target)) for part in (maps, first)
    )
    return Solution(
        maps,
        start.deviation,
        looped.image,
        start,
        start.image,
        looped.correction,
        looped.converged,
        prior_error(maps, first, settings),
    )


def image_with_residual(
    start: PenalisedImage, maps: TissueMaps, dictionary: Dictionary, settings: Mri2qmapSettings
) -> SubspaceImage:
    """Image z that the maps predict, and the residual of the data as an image: z + r.

    r minimises |A (z + r) - y|_W^2 + weight sigma^2 sum |r_i(g)|^2 / P_i(g) + density level |r|^2
    with the power P of the least-squares image's smoothness term and the level of A^H W A (the
    median over frequencies of its first component): where the data say little, beside noise or
    beside errors of the model, r is small and z stays.

    Parameters
    ----------
    start
        From :func:`lrtv_image`.
    maps
        On the encoded grid.
    dictionary
        Fingerprints and subspace.
    settings
        Weights of both terms, and steps.
    """
    problem = start.problem
    penalty = (
        settings.residual_weight * start.smoothness
        + settings.residual_level * problem.circulant.level
    )
    predicted = signal_of(maps, dictionary)
    remaining = problem.projection - problem.normal(predicted)
    solution = conjugate_gradient(
        lambda image: problem.normal(image) + filtered(image, penalty),
        remaining,
        settings.data_steps,
        tolerance=0.03,
        preconditioner=problem.preconditioner(penalty),
    )
    return predicted + solution.image


def prior_error(
    maps: TissueMaps, before: TissueMaps, settings: Mri2qmapSettings
) -> tuple[QuantityMap, QuantityMap]:
    """Standard deviation of the prior's own error in T1 and T2 [s].

    Relative to T1 and T2, error^2 = detail^2 + 2 log(value / before)^2: the detail that the
    denoiser does not know, and the size of the data-driven correction, which leaves as much again
    that could not be told from noise.

    Parameters
    ----------
    maps
        After the correction by the residual.
    before
        Before it.
    settings
        Detail and factor.
    """
    pairs = zip(((maps.t1, before.t1), (maps.t2, before.t2)), settings.detail[:2], strict=True)
    t1, t2 = (
        value * (detail**2 + settings.correction_error * (value / prior).log().square()).sqrt()
        for (value, prior), detail in pairs
    )
    return t1, t2


def work(options: ReconOptions) -> Work:
    """lrtv, a denoising and a data-consistency step an iteration, and once more for the residual."""
    n, settings = MRI2QMAP.n_iterations(options), _SETTINGS
    start = settings.start.start.n_normal + settings.start_steps + 1
    return Work(
        n_normal=start + (n + 1) * (settings.data_steps + 1),
        n_prox=settings.start_steps,
        split=split_cost,
        n_denoise=n + 1,
        n_match=n + 1,
        corrects_residual=True,
    )


def text(options: Mapping[str, Any]) -> MethodText:
    """In the words of a paper."""
    settings = restored(_SETTINGS, options.get("settings"))
    least_squares, steps = settings.start.start, int(options["n_iterations"])
    image = (
        ENCODED
        + least_squares_text(least_squares)
        + penalty_text(PENALTY, settings.start_weight, settings.start_steps)
        + " From there, plug-and-play [@venkatakrishnan2013] after MRI2Qmap [@golbabaee2026] with "
        f"half-quadratic splitting [@zhang2022]: {iterations_text(steps)} of matching, synthesis of weighted "
        f"images, a learned denoiser of them ({weights_text(options)}), fusion of the maps by their "
        f"precision, and {data_step_text(settings.data_steps)} towards the image that the fused maps predict. "
        "The image was then matched, denoised and fused once more, and the maps corrected by what they "
        "leave of the data: solved for as an image with the same smoothness term (weight "
        f"{settings.residual_weight:g}) and a Tikhonov term of {settings.residual_level:g} times the median "
        f"sampling density against errors of the model (at most {settings.data_steps} preconditioned "
        "conjugate-gradient steps), and averaged over alike neighbours with bilateral weights [@tomasi1998]."
    )
    limited = ", limited by the error of the prior: detail it cannot know, and what the data took back of it"
    return MethodText(image, error_text(least_squares) + limited)


_SETTINGS = Mri2qmapSettings()
MRI2QMAP = Method(
    name="mri2qmap",
    title="Plug-and-play: data consistency in the temporal subspace in turn with a denoiser of "
    "synthetic weighted images (MRI2Qmap, arXiv:2603.11316)",
    solve=solve,
    work=work,
    text=text,
    iterations=1,
    weights="joint",
    curve=Curve("plug and play: data step", "residual"),
    settings=_SETTINGS,
)

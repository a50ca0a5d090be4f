"""mri2qmap: plug-and-play with a denoiser of synthetic weighted images."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from mri2qmap_bids.recon.arrays import QuantityMap, SubspaceImage
from mri2qmap_bids.recon.denoisers.base import Denoiser
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
from mri2qmap_bids.recon.methods.lrtv import LRTV_REGULARISATION, LrtvSettings
from mri2qmap_bids.recon.methods.regularised import regularised_image, regularised_work
from mri2qmap_bids.recon.methods.sentences import (
    ENCODED,
    data_step_text,
    edges_text,
    error_text,
    iterations_text,
    least_squares_text,
    penalty_text,
    weights_text,
)
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.dictionary import Dictionary
from mri2qmap_bids.recon.physics.matching import TissueMaps, each_map, signal_of
from mri2qmap_bids.recon.planning.work import StageWork, Work
from mri2qmap_bids.recon.priors.local_spread import local_spread
from mri2qmap_bids.recon.priors.residual_correction import corrected_by_residual
from mri2qmap_bids.recon.priors.synthetic_contrasts import Prior, PriorOptions
from mri2qmap_bids.recon.problem import InverseProblem
from mri2qmap_bids.recon.record import Record
from mri2qmap_bids.recon.solvers.conjugate_gradient import conjugate_gradient
from mri2qmap_bids.recon.solvers.half_quadratic_splitting import Schedule, plug_and_play

# Steps, in both rounds, after which most initial images meet their criterion.
_TYPICAL_START_STEPS = 20

ResidualSolver = Callable[[SubspaceImage], SubspaceImage]
"""From a projected residual to its image."""


@dataclass(frozen=True)
class Mri2qmapSettings:
    """Parameters of the initial image, the iteration and the residual correction."""

    start: LrtvSettings = LrtvSettings(tolerance=0.01, first_tolerance=0.03)
    """Settings of the initial lrtv image, which needs not be the minimiser: at these tolerances errors of the maps
    are the same to 1 %. Its total variation spares edges where they are known."""
    start_weight: float = 1.0
    """Weight of total variation in that image."""
    start_steps: int = 40
    """Maximum number of ADMM steps of each of its two rounds."""
    start_noise: float = 0.7
    """Assumed error of every component of the initial image, relative to that of the noisiest
    component of the least-squares image."""
    data_steps: int = 8
    """Maximum number of conjugate-gradient steps of a data-consistency step, and of the residual image."""
    decay: float = 0.7
    """Assumed noise of the image, relative to the previous iteration."""
    remaining: float = 0.5
    """Assumed fraction of the noise left in a denoised image; sets the weight of the quadratic penalty."""
    noise_scale: float = 1.0
    """Noise level given to the denoiser, relative to the assumed noise level."""
    detail: tuple[float, float, float] = (0.04, 0.06, 0.04)
    """Relative standard deviation of T1, T2 and M0 in detail that the denoiser cannot infer."""
    residual_weight: float = 0.05
    """Weight of the smoothness term in the reconstruction of the residual image."""
    residual_level: float = 0.1
    """Tikhonov weight of the residual image, as a sampling density relative to the median: it suppresses
    the residual at lower densities, where model errors (coil sensitivities) are amplified as noise
    is, but in proportion to the signal."""
    correction_error: float = 2.0
    """Squared relative error of the maps beyond ``detail``, divided by the squared size of the
    data-driven correction."""
    blur: tuple[float, float] = (0.5, 1.0)
    """Relative standard deviation of T1 and T2 by blur, divided by the spread of log T1 and log T2 around a voxel,
    if the least-squares image keeps nothing of k-space (chosen on eight development scans)."""


def solve(
    problem: InverseProblem,
    matcher: Matcher,
    denoiser: Denoiser | None,
    options: ReconOptions,
    record: Record | None = None,
) -> Solution:
    """Half-quadratic splitting with a denoiser of synthetic weighted images as the prior.

    Starts from the lrtv image with spared edges. Each iteration matches, synthesises weighted images, denoises them,
    fuses the maps and makes a data-consistency step; by default there is one. Then matching,
    synthesis, denoising and fusion are applied once more, and the maps are corrected by the residual.

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
    start = initial_image(problem, settings, options.random_seed, record)
    problem, plan, dictionary = start.problem, problem.plan, matcher.dictionary
    prior = Prior(
        dictionary,
        denoiser,
        PriorOptions(
            settings.noise_scale, settings.detail, plan.voxels_at_once, plan.slices_at_once
        ),
        None if matcher.b1 is None else widened(matcher.b1, problem.encoding.shape),
    )
    # The same error is assumed in every component, that of the noisiest: components that the
    # smoothness term damps strongly have the least noise, but not the least bias.
    assumed_error = torch.full_like(start.deviation, float(start.deviation.max()))
    with record.stage("plug and play"):
        iterate = plug_and_play(
            problem.normal,
            problem.projection,
            prior,
            start.image,
            settings.start_noise * assumed_error,
            start.noise / 2**0.5,
            Schedule(n_iterations, settings.decay, settings.remaining, settings.data_steps),
            problem.preconditioner,
            record.watch("mri2qmap"),
        )
    with record.stage("final maps"):
        first = prior.maps(iterate.image, iterate.deviation)
    with record.stage("residual"):
        solve_residual = residual_solver(start, settings)
        data_image = image_with_residual(start, first, dictionary, solve_residual)
        noise = residual_noise(start, solve_residual)
        maps = corrected_by_residual(first, data_image, noise, dictionary, assumed_error)
    maps, first = (
        each_map(part, lambda values: centre(values, matcher.target)) for part in (maps, first)
    )
    return Solution(
        maps,
        start.deviation,
        iterate.image,
        start,
        start.image,
        iterate.correction,
        iterate.converged,
        prior_error(maps, first, settings),
        blur_error(maps, start.response, settings),
    )


def initial_image(
    problem: InverseProblem,
    settings: Mri2qmapSettings,
    random_seed: int = 0,
    record: Record | None = None,
) -> PenalisedImage:
    """The lrtv image with spared edges that the iteration starts from.

    Parameters
    ----------
    problem
        From :func:`inverse_problem`.
    settings
        Settings, weight and steps of that image.
    random_seed
        Seed of the sample of the least-squares image's error.
    record
        Records time and steps.
    """
    regularisation = replace(LRTV_REGULARISATION, settings=settings.start)
    weight, n_steps = settings.start_weight, settings.start_steps
    return regularised_image(problem, regularisation, weight, n_steps, random_seed, record)


def image_with_residual(
    start: PenalisedImage, maps: TissueMaps, dictionary: Dictionary, solve_residual: ResidualSolver
) -> SubspaceImage:
    """z + r: the image z predicted from the maps, and the residual of the data as an image r.

    r minimises |A (z + r) - y|_W^2 + weight sigma^2 sum |r_i(g)|^2 / P_i(g) + density level |r|^2
    with the power P of the least-squares image's smoothness term and the level of A^H W A (the
    median over frequencies of its first component). Where the data contain little information
    compared with noise or model errors, r is small.

    Parameters
    ----------
    start
        The lrtv image.
    maps
        On the encoded grid.
    dictionary
        Fingerprints and subspace.
    solve_residual
        From :func:`residual_solver`.
    """
    problem = start.problem
    predicted = signal_of(maps, dictionary)
    remaining = problem.projection - problem.normal(predicted)
    return predicted + solve_residual(remaining)


def residual_noise(start: PenalisedImage, solve_residual: ResidualSolver) -> SubspaceImage:
    """Sample of the noise in the residual image: synthetic noise reconstructed in the same way.

    Parameters
    ----------
    start
        The lrtv image.
    solve_residual
        From :func:`residual_solver`.
    """
    return solve_residual(start.replica.to(start.image.device))


def residual_solver(start: PenalisedImage, settings: Mri2qmapSettings) -> ResidualSolver:
    """A function of b that solves (A^H W A + both terms of :func:`image_with_residual`) r = b.

    Parameters
    ----------
    start
        The lrtv image.
    settings
        Weights of both terms, and steps.
    """
    problem = start.problem
    penalty = (
        settings.residual_weight * start.smoothness
        + settings.residual_level * problem.circulant.level
    )
    approximate, product = problem.preconditioner(penalty), problem.normal_with(penalty)

    def solve_residual(target: SubspaceImage) -> SubspaceImage:
        return conjugate_gradient(
            product,
            target,
            settings.data_steps,
            tolerance=0.03,
            preconditioner=approximate,
        ).image

    return solve_residual


def prior_error(
    maps: TissueMaps, before: TissueMaps, settings: Mri2qmapSettings
) -> tuple[QuantityMap, QuantityMap]:
    """Standard deviation of the prior's error in T1 and T2 [s].

    Relative to T1 and T2, error^2 = detail^2 + 2 log(value / before)^2: detail that the
    denoiser cannot infer, and the size of the data-driven correction (factor 2: an error of the
    same size is assumed to remain because it cannot be distinguished from noise).

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


def blur_error(
    maps: TissueMaps, response: torch.Tensor, settings: Mri2qmapSettings
) -> tuple[QuantityMap, QuantityMap]:
    """Standard deviation of T1 and T2 by blur [s].

    At edges a voxel's error is that of its neighbours' mixture: relative to T,

        blur (1 - h)^2 s,

    with s the spread of log T around the voxel (:func:`local_spread`, weighted with |m0|), and h the mean over k-space
    of the least-squares image's transfer function: the less of k-space the data have given, the more the image is
    blurred.

    Parameters
    ----------
    maps
        On the grid of the maps.
    response
        Transfer function, shape (*space).
    settings
        Blur.
    """
    lost = 1 - float(response.mean())
    t1, t2 = (
        values * (factor * lost**2) * local_spread(values.log(), maps.m0.abs())
        for values, factor in zip((maps.t1, maps.t2), settings.blur, strict=True)
    )
    return t1, t2


def work(options: ReconOptions) -> Work:
    """lrtv, per iteration a denoising and a data-consistency step, and both once more for the residual."""
    n, settings = MRI2QMAP.n_iterations(options), _SETTINGS
    lrtv = replace(LRTV_REGULARISATION, settings=settings.start)
    steps = min(2 * settings.start_steps, _TYPICAL_START_STEPS)
    start, each = regularised_work(lrtv, steps), settings.data_steps + 1
    own = (
        StageWork("plug and play", n * each, n_denoise=n, n_match=n),
        StageWork("final maps", n_denoise=1, n_match=1),
        StageWork("residual", each + settings.data_steps),
    )
    return replace(
        start,
        corrects_residual=True,
        # Its image is not matched by itself.
        stages=(*(stage for stage in start.stages if not stage.n_match), *own),
    )


def text(options: Mapping[str, Any]) -> MethodText:
    """Sentences for the methods section."""
    settings = restored(_SETTINGS, options.get("settings"))
    least_squares, steps = settings.start.start, int(options["n_iterations"])
    used = options.get("settings") or {}
    of_start = used.get("start", {})
    image = (
        ENCODED
        + least_squares_text(least_squares)
        + penalty_text(
            LRTV_REGULARISATION.penalty,
            settings.start_weight,
            LRTV_REGULARISATION.scale(settings.start),
            settings.start_steps,
        )
        # Runs of earlier versions did not have it.
        + (
            edges_text(settings.start.edges_known)
            if settings.start_weight and of_start.get("first_tolerance")
            else ""
        )
        + " Starting from this image, plug-and-play reconstruction [@venkatakrishnan2013] after MRI2Qmap "
        f"[@golbabaee2026] with half-quadratic splitting [@zhang2022] made {iterations_text(steps)} of "
        "matching, synthesis of weighted images, their denoising by a learned denoiser "
        f"({weights_text(options)}), fusion of the matched and the denoised maps weighted by their precision, "
        f"and {data_step_text(settings.data_steps)} towards the image predicted from the fused maps. Matching, "
        "synthesis, denoising and fusion were then applied once more. Finally, the residual of the data was "
        "reconstructed as an image, with the same smoothness term (weight "
        f"{settings.residual_weight:g}) and a Tikhonov term of {settings.residual_level:g} times the median "
        f"sampling density against model errors (at most {settings.data_steps} preconditioned "
        "conjugate-gradient steps), and the maps were corrected by Gauss-Newton steps where this residual "
        "exceeded its noise (measured on synthetic noise reconstructed in the same way), averaged over similar "
        "neighbours with bilateral weights [@tomasi1998]."
    )
    limited = (
        ", limited by the error of the prior: detail that it cannot infer, and the size of the "
        "data-driven correction"
    )
    if "blur" in used:
        limited += "; the spread among neighbouring voxels was added in proportion to the blur of the initial image"
    return MethodText(image, error_text(least_squares) + limited)


_SETTINGS = Mri2qmapSettings()
MRI2QMAP = Method(
    name="mri2qmap",
    title="Plug-and-play: denoising of synthetic weighted images and data consistency in the temporal "
    "subspace (MRI2Qmap, arXiv:2603.11316)",
    solve=solve,
    work=work,
    text=text,
    iterations=1,
    weights="joint",
    curve=Curve("plug and play: data step", "residual"),
    settings=_SETTINGS,
)

"""The plug-and-play iteration: a denoising step of the prior and a data-consistency step."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch

from mri2qmap_bids.recon.arrays import NoiseDeviation, SubspaceImage
from mri2qmap_bids.recon.record import Watch
from mri2qmap_bids.recon.solvers.conjugate_gradient import conjugate_gradient, squared_length

logger = logging.getLogger(__name__)
# Distance to the minimiser at which a data-consistency step stops, relative to the assumed error of z.
_ENOUGH = 0.1


@runtime_checkable
class Corrector(Protocol):
    """Interface of a prior."""

    def correct(self, image: SubspaceImage, deviation: NoiseDeviation) -> SubspaceImage:
        """The image denoised by the prior, given the standard deviation of its noise."""


@dataclass(frozen=True, eq=False)
class LoopSolution:
    """Result of the iteration."""

    image: SubspaceImage
    """x."""
    deviation: NoiseDeviation
    """Assumed noise s of x, shape (rank,)."""
    correction: SubspaceImage
    """Estimated difference between x and the minimiser of the last data-consistency step."""
    converged: bool
    """Whether the last data-consistency step met its criterion."""


@dataclass(frozen=True)
class Schedule:
    """Parameters of the iteration."""

    n_iterations: int
    """Maximum number of iterations."""
    decay: float
    """Assumed noise deviation of the image, relative to the previous iteration."""
    remaining: float
    """r: assumed noise deviation of a denoised image z, relative to that of x."""
    n_steps: int
    """Maximum number of conjugate-gradient steps in each iteration."""
    tolerance: float = 1e-3
    """Relative change of z at which the iteration stops."""


def plug_and_play(
    normal: Callable[[SubspaceImage], SubspaceImage],
    target: SubspaceImage,
    prior: Corrector,
    start: SubspaceImage,
    deviation: NoiseDeviation,
    sample_deviation: float,
    schedule: Schedule,
    preconditioner: Callable[[float], Callable[[SubspaceImage], SubspaceImage]] | None = None,
    watch: Watch | None = None,
) -> LoopSolution:
    """Half-quadratic splitting with a prior that is given only by its denoising operator.

    Repeat z = correct(x, s); x = argmin |A x - y|^2 / (2 t^2) + |x - z|^2 / (2 (r s)^2) by a few
    conjugate-gradient steps from the last x, until |x - argmin| is below a tenth of r s;
    s <- decay s. t is the standard deviation of a sample's
    real and imaginary part, so each term is weighted by its inverse variance. The weight of the
    quadratic penalty, mu = (t / (r s))^2 with the root mean square of s, grows with the inverse
    square of s. Stops early when z no longer changes.

    Parameters
    ----------
    normal
        A^H A.
    target
        A^H y, shape (rank, *space).
    prior
        The prior.
    start
        First x.
    deviation
        s at the start: of the noise in the real and the imaginary part of every component of x,
        shape (rank,).
    sample_deviation
        t.
    schedule
        Iterations, decay, r and steps.
    preconditioner
        Returns, for a weight mu, an approximate inverse of A^H A + mu; None: the identity.
    watch
        Called in every iteration with the ``residual`` of the data-consistency step (distance to its
        minimiser relative to the image), the ``distance`` ||x - z|| / ||x||, the noise ``level``, the root
        mean square of s, and, from the second iteration on, the relative ``change`` of z.

    References
    ----------
    Venkatakrishnan et al., Plug-and-play priors (2013), doi:10.1109/GlobalSIP.2013.6737048.
    Zhang et al., Plug-and-play image restoration with deep denoiser prior (2021),
    doi:10.1109/TPAMI.2021.3088914.
    """
    image, correction, converged, previous = start, torch.zeros_like(start), True, None
    for iteration in range(schedule.n_iterations):
        denoised = prior.correct(image, deviation)
        level = max(float(deviation.square().mean().sqrt()), 1e-30)
        mu = (sample_deviation / (schedule.remaining * level)) ** 2
        solution = conjugate_gradient(
            lambda x, mu=mu: normal(x) + mu * x,  # type: ignore[misc]
            target + mu * denoised,
            schedule.n_steps,
            image,
            _ENOUGH * schedule.remaining * _lengths_of(deviation, image),
            preconditioner(mu) if preconditioner else None,
        )
        image, correction, converged = solution.image, solution.correction, solution.converged
        change = None if previous is None else _relative(denoised - previous, denoised)
        if watch is not None or logger.isEnabledFor(logging.INFO):
            figures = {
                "residual": _relative(correction, image),
                "level": level,
                "distance": _relative(image - denoised, image),
            }
            if change is not None:
                figures["change"] = change
            logger.info(
                "Plug and play, iteration %d of at most %d: relative distance to the minimiser of the "
                "data-consistency step %.4f, noise level given to the denoiser %.3g, relative distance "
                "to the denoised image %.4f%s",
                iteration + 1,
                schedule.n_iterations,
                figures["residual"],
                level,
                figures["distance"],
                "" if change is None else f", relative change of z {change:.4f}",
            )
            if watch is not None:
                watch(figures)
        deviation = schedule.decay * deviation
        previous = denoised
        if change is not None and change < schedule.tolerance:
            break
    return LoopSolution(image, deviation, correction, converged)


def _lengths_of(deviation: NoiseDeviation, image: SubspaceImage) -> torch.Tensor:
    """|x_i| of noise of this deviation in the real and the imaginary part, shape (rank,)."""
    lengths: torch.Tensor = deviation * (2 * image[0].numel()) ** 0.5
    return lengths


def _relative(difference: torch.Tensor, whole: torch.Tensor) -> float:
    return float((squared_length(difference) / squared_length(whole).clamp_min(1e-30)).sqrt())

"""The plug-and-play iteration: a step to the prior, a step to the data, and again."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from tqdm import tqdm

from mri2qmap_bids.recon.arrays import NoiseDeviation, SubspaceImage
from mri2qmap_bids.recon.record import Watch
from mri2qmap_bids.recon.solvers.conjugate_gradient import conjugate_gradient, squared_length

logger = logging.getLogger(__name__)
# Distance to the minimiser of a data step at which it ends, relative to the error believed in z.
_ENOUGH = 0.1


@runtime_checkable
class Corrector(Protocol):
    """All that the iteration needs of a prior."""

    def correct(self, image: SubspaceImage, deviation: NoiseDeviation) -> SubspaceImage:
        """An image that the prior likes better than one with noise of this deviation."""


@dataclass(frozen=True, eq=False)
class LoopSolution:
    """Where the iteration ended."""

    image: SubspaceImage
    """x."""
    deviation: NoiseDeviation
    """s that belongs to it, shape (rank,)."""
    correction: SubspaceImage
    """About what is missing from x to the minimiser of the last data step."""
    converged: bool
    """Whether the last data step met its criterion."""


@dataclass(frozen=True)
class Schedule:
    """How the iteration moves from the start to the end."""

    n_iterations: int
    """Most iterations."""
    decay: float
    """Deviation that the image is believed to have, relative to the iteration before."""
    remaining: float
    """Deviation that a corrected image is believed to have, relative to the image's."""
    n_steps: int
    """Most conjugate-gradient steps in each iteration."""
    tolerance: float = 1e-3
    """Relative change of the corrected image to stop at."""


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
    """Half-quadratic splitting with a prior that is known only through what it does.

    Repeat z = correct(x, s); x = argmin |A x - y|^2 / (2 t^2) + |x - z|^2 / (2 (r s)^2) by a few
    conjugate-gradient steps from the last x, until |x - argmin| is below a tenth of r s;
    s <- decay s. With t the deviation of a sample's
    real and imaginary part, both terms count by how well they are known, and the pull of
    the prior, mu = (t / (r s))^2 with the root mean square of s, grows with the inverse
    square of s. Ends early when z no longer changes.

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
        Gives, for a pull mu, about the inverse of A^H A + mu; None: the identity.
    watch
        Told of every iteration the ``residual`` of the data step (distance to its minimiser relative
        to the image), the ``change`` of the
        corrected image, its ``distance`` from x, and the noise ``level``.

    References
    ----------
    Venkatakrishnan et al., Plug-and-play priors (2013), doi:10.1109/GlobalSIP.2013.6737048.
    Zhang et al., Plug-and-play image restoration with deep denoiser prior (2021),
    doi:10.1109/TPAMI.2021.3088914.
    """
    image, correction, converged, previous = start, torch.zeros_like(start), True, None
    rounds = range(schedule.n_iterations)
    for iteration in tqdm(rounds, desc="plug and play", leave=False, mininterval=2):
        corrected = prior.correct(image, deviation)
        level = max(float(deviation.square().mean().sqrt()), 1e-30)
        mu = (sample_deviation / (schedule.remaining * level)) ** 2
        solution = conjugate_gradient(
            lambda x, mu=mu: normal(x) + mu * x,  # type: ignore[misc]
            target + mu * corrected,
            schedule.n_steps,
            image,
            _ENOUGH * schedule.remaining * _lengths_of(deviation, image),
            preconditioner(mu) if preconditioner else None,
        )
        image, correction, converged = solution.image, solution.correction, solution.converged
        change = _relative(corrected - previous, corrected) if previous is not None else 1.0
        if watch is not None or logger.isEnabledFor(logging.INFO):
            figures = {
                "residual": _relative(correction, image),
                "change": change,
                "level": level,
                "distance": _relative(image - corrected, image),
            }
            logger.info(
                "iteration %d: distance of the data step %.4f, change of the corrected image %.4f, "
                "noise level %.3g, distance from the prior %.4f",
                iteration + 1,
                *figures.values(),
            )
            if watch is not None:
                watch(figures)
        deviation = schedule.decay * deviation
        previous = corrected
        if change < schedule.tolerance:
            break
    return LoopSolution(image, deviation, correction, converged)


def _lengths_of(deviation: NoiseDeviation, image: SubspaceImage) -> torch.Tensor:
    """|x_i| of noise of this deviation in the real and the imaginary part, shape (rank,)."""
    lengths: torch.Tensor = deviation * (2 * image[0].numel()) ** 0.5
    return lengths


def _relative(difference: torch.Tensor, whole: torch.Tensor) -> float:
    return float((squared_length(difference) / squared_length(whole).clamp_min(1e-30)).sqrt())

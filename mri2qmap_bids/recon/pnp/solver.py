"""The plug-and-play iteration: a step to the data, a step to the prior, and again."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from tqdm import tqdm

from mri2qmap_bids.recon.arrays import SubspaceImage
from mri2qmap_bids.recon.pnp.least_squares import conjugate_gradient

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Correction:
    """What a prior makes of an image."""

    image: SubspaceImage
    """The corrected image z, shape (rank, *space)."""
    deviation: float
    """Standard deviation that z is still believed to have, in the image's unit."""


@runtime_checkable
class Corrector(Protocol):
    """All that the iteration needs of a prior."""

    def correct(self, image: SubspaceImage) -> Correction:
        """An image that the prior likes better, and how sure it is of it."""


def plug_and_play(
    normal: Callable[[SubspaceImage], SubspaceImage],
    target: SubspaceImage,
    prior: Corrector,
    start: SubspaceImage,
    n_iterations: int,
    pull: float,
    n_steps: int,
    tolerance: float = 1e-3,
) -> SubspaceImage:
    """Half-quadratic splitting with a prior that is known only through what it does.

    Repeat z = correct(x); x = argmin 1/2 |A x - y|^2 + mu/2 |x - z|^2 by a few
    conjugate-gradient steps from the last x, with mu = pull / deviation(z)^2: as the prior
    grows surer, its pull grows with the inverse square of what it is unsure of. Ends early
    when x no longer changes.

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
    n_iterations
        Most iterations.
    pull
        Variance of the samples' noise, times how much the prior is trusted (1: as the two
        deviations say).
    n_steps
        Conjugate-gradient steps in each.
    tolerance
        Relative change of x to stop at.

    References
    ----------
    Venkatakrishnan et al., Plug-and-play priors (2013), doi:10.1109/GlobalSIP.2013.6737048.
    Zhang et al., Plug-and-play image restoration with deep denoiser prior (2021),
    doi:10.1109/TPAMI.2021.3088914.
    """
    image = start
    for iteration in tqdm(range(n_iterations), desc="plug and play", leave=False, mininterval=2):
        corrected = prior.correct(image)
        mu = pull / max(corrected.deviation, 1e-30) ** 2
        previous = image
        image = conjugate_gradient(
            lambda x, mu=mu: normal(x) + mu * x,  # type: ignore[misc]
            target + mu * corrected.image,
            n_steps,
            start=image,
        )
        change = float((image - previous).norm() / image.norm().clamp_min(1e-30))
        away = float((image - corrected.image).norm() / image.norm().clamp_min(1e-30))
        logger.info(
            "iteration %d: change %.4f, from the prior %.4f, noise of the prior %.3g",
            iteration + 1,
            change,
            away,
            corrected.deviation,
        )
        if change < tolerance:
            break
    return image


def root_mean_square(levels: torch.Tensor) -> float:
    """One deviation for several."""
    return float(levels.square().mean().sqrt())

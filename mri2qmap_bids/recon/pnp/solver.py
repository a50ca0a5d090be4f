"""The plug-and-play iteration: a step to the data, a step to the prior, and again."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from tqdm import tqdm

from mri2qmap_bids.recon.arrays import SubspaceImage
from mri2qmap_bids.recon.pnp.least_squares import conjugate_gradient

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Correction:
    """What the prior makes of an image."""

    image: SubspaceImage
    """The corrected image z, shape (rank, *space)."""
    deviation: float
    """Standard deviation that z is still believed to have, in the image's unit."""
    summary: str
    """For the log."""


def plug_and_play(
    normal: Callable[[SubspaceImage], SubspaceImage],
    target: SubspaceImage,
    correct: Callable[[SubspaceImage], Correction],
    start: SubspaceImage,
    n_iterations: int,
    n_steps: int,
    strength: float,
    tolerance: float = 1e-3,
) -> Iterator[SubspaceImage]:
    """Half-quadratic splitting with a prior that is known only through what it does.

    Repeat z = correct(x); x = argmin 1/2 |A x - y|^2 + mu/2 |x - z|^2 by a few
    conjugate-gradient steps from the last x, with mu = strength / deviation(z)^2: as the
    prior grows surer, its pull grows with the inverse square of what it is unsure of. The
    data's noise must be white with unit variance. Ends early when x no longer changes.

    Parameters
    ----------
    normal
        A^H A.
    target
        A^H y, shape (rank, *space).
    correct
        The prior.
    start
        First x.
    n_iterations
        Most iterations.
    n_steps
        Conjugate-gradient steps in each.
    strength
        How much more than its believed deviation the prior is trusted; 1: exactly.
    tolerance
        Relative change of x to stop at.

    Yields
    ------
    x after every iteration.

    References
    ----------
    Venkatakrishnan et al., Plug-and-play priors (2013), doi:10.1109/GlobalSIP.2013.6737048.
    Zhang et al., Plug-and-play image restoration with deep denoiser prior (2021),
    doi:10.1109/TPAMI.2021.3088914.
    """
    image = start
    for iteration in tqdm(range(n_iterations), desc="plug and play", leave=False, mininterval=2):
        corrected = correct(image)
        mu = strength / max(corrected.deviation, 1e-30) ** 2

        def pulled(x: SubspaceImage, mu: float = mu) -> SubspaceImage:
            return normal(x) + mu * x

        previous = image
        image = conjugate_gradient(pulled, target + mu * corrected.image, n_steps, start=image)
        change = float((image - previous).norm() / image.norm().clamp_min(1e-30))
        logger.info("iteration %d: change %.4f, %s", iteration + 1, change, corrected.summary)
        yield image
        if change < tolerance:
            break


def sure_deviation(levels: torch.Tensor) -> float:
    """One deviation for components of several: their root mean square."""
    return float(levels.square().mean().sqrt())

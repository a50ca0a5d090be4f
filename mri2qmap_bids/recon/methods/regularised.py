"""Least squares with a regulariser instead of the smoothness term, shared by lrtv and llr."""

import logging
from collections.abc import Callable
from dataclasses import replace

import torch

from mri2qmap_bids.recon.methods.least_squares import PenalisedImage
from mri2qmap_bids.recon.record import Record
from mri2qmap_bids.recon.solvers.alternating_directions import SplitTerm, alternating_directions

logger = logging.getLogger(__name__)

Splitting = tuple[SplitTerm, torch.Tensor]
"""A term, and K^H K of its analysis operator by frequency, shape (*space) or ()."""


def regularised(
    start: PenalisedImage,
    splitting: Callable[[PenalisedImage, float], Splitting],
    weight: float,
    n_steps: int,
    tolerance: float,
    name: str,
    record: Record | None = None,
) -> PenalisedImage:
    """Minimise 1/2 |A x - y|_W^2 + weight noise R(x), starting from the least-squares image.

    ``noise`` is the standard deviation of the noise in A^H y away from the centre of k-space.
    Relative to it, the same weight suits data of any unit, noise level, size and number of samples.

    Parameters
    ----------
    start
        From :func:`least_squares`.
    splitting
        Returns R and its splitting, for an image and weight times noise.
    weight
        At least 0; 0 returns the start.
    n_steps
        Maximum number of ADMM steps.
    tolerance
        Stopping criterion; see :func:`alternating_directions`.
    name
        Of the method, for the record.
    record
        Records time and steps.
    """
    if weight == 0:
        return start
    record = record or Record()
    with record.stage(name):
        problem = start.problem
        term, spectrum = splitting(start, weight * start.noise * problem.circulant.level**0.5)
        shaped = term.penalty.view(-1, *[1] * (start.image.ndim - 1)) * spectrum
        solution = alternating_directions(
            problem.normal,
            problem.projection,
            term,
            problem.preconditioner(shaped),
            start.image,
            n_steps,
            tolerance=tolerance,
            watch=record.watch(name),
        )
    logger.info(
        "%s: %d steps%s",
        name,
        solution.n_steps,
        "" if solution.converged else ", the maximum; not converged",
    )
    return replace(
        start,
        image=solution.image,
        correction=solution.correction,
        converged=solution.converged,
    )

"""Convergence, resolution and uncertainty of a solution."""

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.recon.acquisition.geometry import Geometry
from mri2qmap_bids.recon.arrays import QuantityMap
from mri2qmap_bids.recon.diagnostics.consistency import consistency_of
from mri2qmap_bids.recon.diagnostics.convergence import convergence_of
from mri2qmap_bids.recon.diagnostics.figures import (
    acceleration,
    condition,
    mean_misfit,
    signal_to_noise,
)
from mri2qmap_bids.recon.diagnostics.model import (
    Convergence,
    Figures,
    SliceQuality,
    slices_with_signal,
)
from mri2qmap_bids.recon.encoding.forward import strongest_coil
from mri2qmap_bids.recon.encoding.resolution import point_spread_widths
from mri2qmap_bids.recon.grid import centre
from mri2qmap_bids.recon.methods.base import Solution
from mri2qmap_bids.recon.physics.dictionary import Dictionary
from mri2qmap_bids.recon.physics.uncertainty import time_deviations
from mri2qmap_bids.recon.problem import InverseProblem

logger = logging.getLogger(__name__)
# Residual share of the energy of a shell above which a warning is logged.
_ENERGY_LEFT = 0.1
# Displacement from which a warning is logged [voxel].
_MOVED = 0.5


def convergence_in(solution: Solution) -> Convergence | None:
    """How far the last linear solve of a solution was from its minimiser; None for gridding."""
    start, correction = solution.least_squares, solution.correction
    if start is None or correction is None:
        return None
    return convergence_of(solution.image, correction, start.deviation, solution.converged)


def resolution_of(solution: Solution, geometry: Geometry) -> NDArray[np.float64] | None:
    """Full width at half maximum of the least-squares image's point spread [m]; None for gridding.

    Parameters
    ----------
    solution
        Of a method.
    geometry
        The grid.
    """
    if solution.least_squares is None:
        return None
    widths = np.array(point_spread_widths(solution.least_squares.response))
    sizes = np.array(geometry.voxel_size[-len(widths) :])
    return np.asarray(widths * sizes, np.float64)


def figures_of(
    solution: Solution,
    problem: InverseProblem,
    dictionary: Dictionary,
    explains_samples: bool = True,
) -> Figures:
    """Signal-to-noise ratio, acceleration, condition, consistency and misfit of a solved slice or volume.

    Parameters
    ----------
    solution
        Of a method.
    problem
        What it has solved.
    dictionary
        The fingerprints.
    explains_samples
        Whether A x is close to the samples; if not, nothing is said of motion and delay.
    """
    start, encoding = solution.least_squares, problem.encoding
    number, consistency = None, None
    if start is not None:
        penalty = start.problem.support.cpu() + start.smoothness.cpu()
        number = condition(start.problem.circulant, penalty)
    if start is not None and explains_samples:
        # The image without a learned prior, whose error would pass for one of the samples.
        one, samples = strongest_coil(encoding, problem.kspace)
        consistency = consistency_of(one, start.image, samples)
    return Figures(
        snr=signal_to_noise(solution.image, solution.deviation),
        acceleration=acceleration(encoding),
        condition=number,
        displacement=None if consistency is None else consistency.moved,
        delay=None if consistency is None else consistency.delay,
        misfit=mean_misfit(
            centre(solution.image, tuple(solution.maps.t1.shape)), solution.maps, dictionary
        ),
    )


def warn_of_motion(slices: Sequence[SliceQuality]) -> None:
    """Warn if the object moved, of the slice in which it moved most.

    Parameters
    ----------
    slices
        All slices in their order, or the volume.
    """
    moved = {i: slices[i].figures.displacement or 0.0 for i in slices_with_signal(slices)}
    worst = max(moved, key=moved.__getitem__)
    if moved[worst] >= _MOVED:
        logger.warning(
            "The samples look as if the object had moved by about %.1f voxels during the scan%s",
            moved[worst],
            f" (slice {worst + 1} of {len(slices)})" if len(slices) > 1 else "",
        )


def warn_of_energy_left(convergence: Convergence) -> None:
    """Warn if a part of k-space is not fitted."""
    if not np.isfinite(convergence.worst):
        logger.warning("The solver has diverged: its image has values that are not finite")
        return
    if convergence.worst < _ENERGY_LEFT:
        return
    shell = int(np.argmax(convergence.energy_left[0]))
    part = "outer" if shell >= convergence.energy_left.shape[1] // 2 else "inner"
    logger.warning(
        "%s k-space is not fitted: %.0f %% of the energy remains in the residual at %.0f %% of the extent of "
        "k-space; try the method subspace with more iterations (those of mri2qmap do not lengthen its solvers)",
        part.capitalize(),
        100 * convergence.worst,
        100 * (shell + 0.5) / convergence.energy_left.shape[1],
    )


def uncertainty(solution: Solution, dictionary: Dictionary) -> tuple[QuantityMap, QuantityMap]:
    """Standard deviations of the errors of T1 and T2 [s].

    The Cramer-Rao bound for the error of the least-squares image (``noise``). A prior reduces
    noise, but has an error of its own (``error``):

        1/std^2 = 1/noise^2 + 1/error^2,

    and both are blurred at edges, which adds (``blur``).

    Parameters
    ----------
    solution
        From a method.
    dictionary
        Fingerprints.
    """
    t1, t2 = time_deviations(solution.maps, dictionary, solution.deviation)
    if solution.prior_error is not None:
        t1, t2 = (
            std / (1 + (std / error).square()).sqrt()
            for std, error in zip((t1, t2), solution.prior_error, strict=True)
        )
    if solution.blur_error is not None:
        t1, t2 = (
            (std.square() + blur.square()).sqrt()
            for std, blur in zip((t1, t2), solution.blur_error, strict=True)
        )
    return t1, t2

"""Regularised least squares by accelerated proximal gradients."""

import logging
from collections.abc import Callable

import torch

from mri2qmap_bids.recon.arrays import SubspaceImage
from mri2qmap_bids.recon.pnp.least_squares import squared_length
from mri2qmap_bids.recon.record import Watch

logger = logging.getLogger(__name__)


def fista(
    normal: Callable[[SubspaceImage], SubspaceImage],
    target: SubspaceImage,
    prox: Callable[[SubspaceImage], SubspaceImage],
    lipschitz: float,
    n_iterations: int,
    start: SubspaceImage | None = None,
    tolerance: float = 1e-4,
    watch: Watch | None = None,
) -> SubspaceImage:
    """Minimise 1/2 |A x - y|^2 + g(x) for a convex g.

    With N = A^H A and b = A^H y,

        x_k+1 = prox(z_k - (N z_k - b) / L),
        z_k+1 = x_k+1 + (t_k - 1) / t_k+1 (x_k+1 - x_k),  t_k+1 = (1 + sqrt(1 + 4 t_k^2)) / 2.

    The momentum starts anew (t = 1) whenever it points uphill, that is when
    Re <z_k - x_k+1, x_k+1 - x_k> > 0. Ends before ``n_iterations`` when
    |x_k+1 - z_k| < tolerance |x_k+1|.

    Parameters
    ----------
    normal
        N as a function of an image.
    target
        b, shape (rank, *space).
    prox
        u to argmin over x of 1/2 |x - u|^2 + g(x) / L.
    lipschitz
        L, at least N's largest eigenvalue; see :func:`largest_eigenvalue`.
    n_iterations
        Most steps to take.
    start
        First x; None is 0.
    tolerance
        Relative length of a step, momentum aside, to stop at.
    watch
        Told the relative length of every ``step``.

    References
    ----------
    Beck and Teboulle, A fast iterative shrinkage-thresholding algorithm (2009),
    doi:10.1137/080716542. O'Donoghue and Candes, Adaptive restart for accelerated gradient
    schemes (2015), doi:10.1007/s10208-013-9150-3.
    """
    solution = torch.zeros_like(target) if start is None else start
    point, momentum = solution, 1.0
    for iteration in range(n_iterations):
        previous = solution
        solution = prox(point - (normal(point) - target) / lipschitz)
        move, travelled = solution - point, solution - previous
        length = float(squared_length(move).sqrt())
        whole = float(squared_length(solution).sqrt())
        logger.debug("Iteration %d: step %.3e", iteration + 1, length)
        if watch is not None:
            watch({"step": length / max(whole, 1e-30)})
        if length <= tolerance * whole:
            break
        uphill = float(torch.vdot(move.flatten(), travelled.flatten()).real) < 0
        following = 1.0 if uphill else (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        carried = 0.0 if uphill else (momentum - 1) / following
        point, momentum = solution + carried * travelled, following
    return solution


def largest_eigenvalue(
    normal: Callable[[SubspaceImage], SubspaceImage],
    like: SubspaceImage,
    n_iterations: int = 10,
    seed: int = 0,
) -> float:
    """Largest eigenvalue of a Hermitian positive operator N by power iteration.

    v_k+1 = N v_k / |N v_k| from random numbers; |N v_k| rises towards the eigenvalue
    from below, so that a step of 1 / L wants a margin of a few per cent.

    Parameters
    ----------
    normal
        N as a function of an image.
    like
        Image whose shape, type and device N takes.
    n_iterations
        Number of times to apply N.
    seed
        Of the random numbers, the same on every device.
    """
    generator = torch.Generator().manual_seed(seed)
    vector = torch.randn(like.shape, dtype=like.dtype, generator=generator).to(like.device)
    value = squared_length(vector).sqrt()
    for _ in range(n_iterations):
        vector = normal(vector / value)
        value = squared_length(vector).sqrt()
    return float(value)

"""Regularised least squares by the alternating direction method of multipliers (ADMM)."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Protocol, runtime_checkable

import torch

from mri2qmap_bids.recon.arrays import Proximal, SubspaceImage
from mri2qmap_bids.recon.record import Watch
from mri2qmap_bids.recon.solvers.conjugate_gradient import Iterate, squared_length

logger = logging.getLogger(__name__)
# Over-relaxation (Boyd et al. 2011, section 3.4.3).
_RELAXATION = 1.7


@runtime_checkable
class Regulariser(Protocol):
    """g(w K x) with a linear K and a norm g whose proximal map is known; w has a weight for every component."""

    def parts(self, rank: int) -> list[slice]:
        """Groups of components that are processed one after the other."""

    def analysis(self, image: SubspaceImage) -> torch.Tensor:
        """K x of a group."""

    def synthesis(self, split: torch.Tensor) -> SubspaceImage:
        """K^H z of a group, shape (rank, *space)."""

    def proximal(self, split: torch.Tensor, threshold: torch.Tensor) -> Proximal:
        """argmin over z of sum_i rho_i / 2 |z_i - v_i|^2 + g(w z), with the thresholds w_i / rho_i.

        Parameters
        ----------
        split
            v of all components.
        threshold
            Of every component, shape (rank,).
        """


@dataclass(frozen=True, eq=False)
class SplitTerm:
    """g(w K x), with the parameters of the splitting z = K x."""

    regulariser: Regulariser
    """g and K."""
    weight: torch.Tensor
    """w of every component, at least 0, shape (rank,)."""
    penalty: torch.Tensor
    """rho of every component, positive, shape (rank,). It changes the convergence, not the minimiser."""


def alternating_directions(
    normal: Callable[[SubspaceImage], SubspaceImage],
    target: SubspaceImage,
    term: SplitTerm,
    preconditioner: Callable[[SubspaceImage], SubspaceImage],
    start: SubspaceImage,
    n_iterations: int,
    tolerance: float = 3e-3,
    watch: Watch | None = None,
) -> Iterate:
    """Minimise 1/2 x^H N x - Re b^H x + g(w K x).

    With the split variable z = K x, a penalty rho of every component and scaled dual variables u,

        x <- x + s M r,  r = b + K^H rho (z - u) - (N + K^H rho K) x,
        z <- prox(K x + u),  u <- u + K x - z,

    with the step s that minimises the quadratic along M r; K x is over-relaxed. One such step per
    iteration is enough since M is close to the inverse and x changes little. Applies N once per step. Stops when
    |K x - z| and the change of K x are both below the tolerance relative to |K x|.

    Parameters
    ----------
    normal
        N as a function of an image, which returns a new array.
    target
        b, shape (rank, *space).
    term
        g, K, w and rho.
    preconditioner
        M, an approximation of (N + K^H rho K)^-1.
    start
        First x.
    n_iterations
        Maximum number of steps.
    tolerance
        Of the stopping criterion.
    watch
        Called with the relative ``step`` of x at every step.

    References
    ----------
    Boyd et al., Distributed optimization and statistical learning via the alternating direction
    method of multipliers (2011), doi:10.1561/2200000016.
    """
    regulariser, penalty = term.regulariser, term.penalty
    threshold = term.weight / penalty
    image = start.clone()
    parts = regulariser.parts(len(start))
    # Only v = z + u is stored, of which z is the proximal map.
    summed = torch.cat([regulariser.analysis(image[part]) for part in parts], 1)
    proximal = regulariser.proximal(summed, threshold)
    product = normal(image)
    n_steps, change_square = 0, 0.0
    while True:
        residual = target - product
        # Read once for all parts: every number read makes a GPU wait.
        squares = torch.zeros(2, dtype=torch.double, device=image.device)
        for part in parts:
            analysed, split = regulariser.analysis(image[part]), proximal(part)
            apart = split - analysed
            squares += torch.stack([squared_length(analysed), squared_length(apart)])
            apart += split - summed[:, part]
            residual[part] += _scaled(penalty[part], regulariser.synthesis(apart))
        correction = preconditioner(residual)
        whole_square, apart_square = squares.tolist()
        close = max(apart_square, change_square) <= tolerance**2 * whole_square
        converged = n_steps > 0 and close
        if converged or n_steps == n_iterations:
            return Iterate(image, correction, n_steps, converged)
        applied = normal(correction)
        curvature = torch.vdot(correction.flatten(), applied.flatten()).real
        moved_square = torch.zeros_like(curvature)
        for part in parts:
            squares = _squares(regulariser.analysis(correction[part]))
            curvature = curvature + (squares * penalty[part]).sum()
            moved_square = moved_square + squares.sum()
        gain = torch.vdot(correction.flatten(), residual.flatten()).real
        length = gain / curvature.clamp_min(torch.finfo(torch.float32).tiny)
        step, change_square = torch.stack([length, length.square() * moved_square]).tolist()
        image.add_(correction, alpha=step)
        product.add_(applied, alpha=step)
        for part in parts:
            analysed = regulariser.analysis(image[part])
            summed[:, part] += _RELAXATION * (analysed - proximal(part))
        proximal = regulariser.proximal(summed, threshold)
        n_steps += 1
        length = step * sqrt(
            float(squared_length(correction)) / max(float(squared_length(image)), 1e-60)
        )
        logger.debug("Step %d: step length %.3e relative to the image", n_steps, length)
        if watch is not None:
            watch({"step": length})


def _scaled(penalty: torch.Tensor, image: SubspaceImage) -> SubspaceImage:
    """rho_i x_i."""
    return penalty.view(-1, *[1] * (image.ndim - 1)) * image


def _squares(split: torch.Tensor) -> torch.Tensor:
    """|z_i|^2 of every component, shape (rank,); the rank axis is the second, behind that of directions."""
    return torch.stack([squared_length(part) for part in split.unbind(1)])

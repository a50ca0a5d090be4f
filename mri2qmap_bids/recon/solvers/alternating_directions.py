"""Regularised least squares by the alternating direction method of multipliers (ADMM)."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Protocol, runtime_checkable

import torch

from mri2qmap_bids.recon.arrays import SubspaceImage
from mri2qmap_bids.recon.record import Watch
from mri2qmap_bids.recon.solvers.conjugate_gradient import Iterate, squared_length

logger = logging.getLogger(__name__)
# Over-relaxation (Boyd et al. 2011, section 3.4.3).
_RELAXATION = 1.7


@runtime_checkable
class Regulariser(Protocol):
    """g(K x) with a linear K and a g whose proximal map is known."""

    def parts(self, rank: int) -> list[slice]:
        """Independent groups of components, which are processed one after the other."""

    def analysis(self, image: SubspaceImage) -> torch.Tensor:
        """K x."""

    def synthesis(self, split: torch.Tensor) -> SubspaceImage:
        """K^H z, shape (rank, *space)."""

    def prox(self, split: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
        """argmin over z of sum_i 1/2 |z_i - v_i|^2 + threshold_i g(z_i)."""


@dataclass(frozen=True, eq=False)
class SplitTerm:
    """sum_i weight_i g(K x_i), with the parameters of the splitting z = K x."""

    regulariser: Regulariser
    """g and K."""
    weight: torch.Tensor
    """Weight of every component, at least 0, shape (rank,)."""
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
    """Minimise 1/2 x^H N x - Re b^H x + sum_i weight_i g(K x_i).

    With the split variable z = K x, a penalty rho of every component and scaled dual variables u,

        x <- x + s M r,  r = b + K^H rho (z - u) - (N + K^H rho K) x,
        z <- prox(K x + u, weight / rho),  u <- u + K x - z,

    with the step s that minimises the quadratic along M r; K x is over-relaxed. One such step per
    iteration is enough since M is close to the inverse and x changes little. Applies N once per step. Stops when
    |K x - z| and the change of z are both below the tolerance relative to |K x|.

    Parameters
    ----------
    normal
        N as a function of an image, which returns a new array.
    target
        b, shape (rank, *space).
    term
        g, K, the weight and rho.
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
    image = start.clone()
    parts = regulariser.parts(len(start))
    # Only v = z + u is stored: z = prox(v) is cheap if there are many parts.
    summed = torch.cat([regulariser.analysis(image[part]) for part in parts], 1)
    cached_split: torch.Tensor | None = None

    def split_of(part: slice) -> torch.Tensor:
        if cached_split is not None:
            return cached_split
        return regulariser.prox(summed[:, part], term.weight[part] / penalty[part])

    def residual_of() -> SubspaceImage:
        nonlocal cached_split
        residual = target - product
        for part in parts:
            split = split_of(part)
            apart = 2 * split - summed[:, part] - regulariser.analysis(image[part])
            residual[part] += _scaled(penalty[part], regulariser.synthesis(apart))
            cached_split = split if len(parts) == 1 else None
        return residual

    product = normal(image)
    n_steps, converged = 0, False
    while n_steps < n_iterations and not converged:
        residual = residual_of()
        correction = preconditioner(residual)
        applied = normal(correction)
        curvature = torch.vdot(correction.flatten(), applied.flatten()).real
        for part in parts:
            moved = regulariser.analysis(correction[part])
            curvature = curvature + _weighed_square(moved, penalty[part])
        gain = torch.vdot(correction.flatten(), residual.flatten()).real
        step = float(gain / curvature.clamp_min(torch.finfo(torch.float32).tiny))
        image.add_(correction, alpha=step)
        product.add_(applied, alpha=step)
        whole = apart_square = change_square = 0.0
        for part in parts:
            analysed = regulariser.analysis(image[part])
            previous = split_of(part)
            relaxed = _RELAXATION * analysed + (1 - _RELAXATION) * previous
            summed[:, part] = relaxed + summed[:, part] - previous
            cached_split = None
            following = split_of(part)
            whole += float(squared_length(analysed))
            apart_square += float(squared_length(analysed - following))
            change_square += float(squared_length(following - previous))
            cached_split = following if len(parts) == 1 else None
        n_steps += 1
        length = step * sqrt(
            float(squared_length(correction)) / max(float(squared_length(image)), 1e-60)
        )
        logger.debug("Step %d: step length %.3e relative to the image", n_steps, length)
        if watch is not None:
            watch({"step": length})
        converged = max(apart_square, change_square) <= tolerance**2 * whole
    return Iterate(image, preconditioner(residual_of()), n_steps, converged)


def _scaled(penalty: torch.Tensor, image: SubspaceImage) -> SubspaceImage:
    """rho_i x_i."""
    return penalty.view(-1, *[1] * (image.ndim - 1)) * image


def _weighed_square(split: torch.Tensor, penalty: torch.Tensor) -> torch.Tensor:
    """sum_i rho_i |z_i|^2; the rank axis is the second, behind that of directions."""
    parts = [squared_length(split[:, i]) for i in range(len(penalty))]
    return (torch.stack(parts) * penalty).sum()

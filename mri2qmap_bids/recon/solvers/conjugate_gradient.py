"""Linear least squares by preconditioned conjugate gradients."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch

from mri2qmap_bids.recon.arrays import SubspaceImage
from mri2qmap_bids.recon.record import Watch

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Iterate:
    """Result of a solver."""

    image: SubspaceImage
    """x."""
    correction: SubspaceImage
    """Preconditioned residual of the last linear problem, M (b - N x): approximates the difference to
    its minimiser."""
    n_steps: int
    """Steps taken."""
    converged: bool
    """Whether the criterion was met before the maximum number of steps."""


def conjugate_gradient(
    normal: Callable[[SubspaceImage], SubspaceImage],
    target: SubspaceImage,
    n_iterations: int,
    start: SubspaceImage | None = None,
    tolerance: float | torch.Tensor = 1e-5,
    preconditioner: Callable[[SubspaceImage], SubspaceImage] | None = None,
    watch: Watch | None = None,
) -> Iterate:
    """Solve N x = b for a Hermitian positive operator N.

    With N = A^H W A + penalty and b = A^H W y, the minimiser of |A x - y|^2_W + x^H penalty x. Stops
    when the norm of M (b - N x), an estimate of the distance to it, is small enough in every component.

    Parameters
    ----------
    normal
        N as a function of an image.
    target
        b, shape (rank, *space).
    n_iterations
        Maximum number of steps.
    start
        First x; None is 0.
    tolerance
        Norm of M (b - N x) to stop at: relative to |M b| if it is a number, else in the
        unit of the image, one value per component, shape (rank,).
    preconditioner
        M, Hermitian and positive, an approximation of N^-1; None: the identity.
    watch
        Called with the ``residual`` of every step, |M (b - N x)| relative to |M b|.

    References
    ----------
    Hestenes and Stiefel, Methods of conjugate gradients (1952), doi:10.6028/jres.049.044.
    """
    precondition = preconditioner or _same
    whole = float(squared_length(precondition(target)).sqrt())
    image = torch.zeros_like(target) if start is None else start.clone()
    residual = target.clone() if start is None else target - normal(start)
    corrected = precondition(residual)
    direction = corrected.clone()
    energy = torch.vdot(residual.flatten(), corrected.flatten()).real
    n_steps = 0
    converged = _is_short(corrected, tolerance, whole)
    while not converged and n_steps < n_iterations:
        applied = normal(direction)
        step = energy / torch.vdot(direction.flatten(), applied.flatten()).real
        image += step * direction
        residual -= step * applied
        corrected = precondition(residual)
        previous = energy
        energy = torch.vdot(residual.flatten(), corrected.flatten()).real
        direction = corrected + (energy / previous) * direction
        n_steps += 1
        distance = float(squared_length(corrected).sqrt()) / max(whole, 1e-30)
        logger.debug("Step %d: preconditioned residual %.3e", n_steps, distance)
        if watch is not None:
            watch({"residual": distance})
        converged = _is_short(corrected, tolerance, whole)
    return Iterate(image, corrected, n_steps, converged)


def component_lengths(image: torch.Tensor) -> torch.Tensor:
    """|x_i| of every component, shape (rank,)."""
    return torch.stack([squared_length(component).sqrt() for component in image])


def squared_length(image: torch.Tensor) -> torch.Tensor:
    """|x|^2; for complex images 50 times as fast as the norm in torch."""
    return torch.vdot(image.flatten(), image.flatten()).real


def _same(image: SubspaceImage) -> SubspaceImage:
    return image


def _is_short(correction: torch.Tensor, tolerance: float | torch.Tensor, whole: float) -> bool:
    if isinstance(tolerance, torch.Tensor):
        return bool((component_lengths(correction) <= tolerance).all())
    return float(squared_length(correction).sqrt()) <= tolerance * whole

"""Linear least squares by preconditioned conjugate gradients."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch

from mri2qmap_bids.recon.arrays import SubspaceImage
from mri2qmap_bids.recon.record import Watch

logger = logging.getLogger(__name__)

# Largest ratio of two successive changes from which a distance is extrapolated.
_SLOWEST = 0.95
# Relative residual below which there is nothing to gain in single precision.
_PRECISION = 1e-7


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
    window: int = 0,
) -> Iterate:
    """Solve N x = b for a Hermitian positive operator N.

    With N = A^H W A + penalty and b = A^H W y, the minimiser of |A x - y|^2_W + x^H penalty x. Stops
    when the norm of M (b - N x), an estimate of the distance to it, is small enough in every component.
    Where M N has small eigenvalues this estimate is too small. With a ``window`` of d steps the
    distance that follows from the progress itself must be small enough, too: with the changes
    c = |x_k - x_(k-d)| and c' = |x_(k-d) - x_(k-2d)|, and q = c / c', it is c q / (1 - q).

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
    window
        d; 0: M (b - N x) alone.

    References
    ----------
    Hestenes and Stiefel, Methods of conjugate gradients (1952), doi:10.6028/jres.049.044.
    Aitken, On Bernoulli's numerical solution of algebraic equations (1926), doi:10.1017/S0370164600022070.
    """
    precondition = preconditioner or _same
    whole = float(squared_length(precondition(target)).sqrt())
    image = torch.zeros_like(target) if start is None else start.clone()
    residual = target.clone() if start is None else target - normal(start)
    corrected = precondition(residual)
    direction = corrected.clone()
    energy = torch.vdot(residual.flatten(), corrected.flatten()).real
    n_steps = 0
    progress = _Progress(image, window) if window else None
    lengths = component_lengths(corrected)
    # Without steps there is no progress to judge by; no smaller residual can be had in single precision.
    converged = _are_short(lengths, _PRECISION if progress else tolerance, whole)
    while not converged and n_steps < n_iterations:
        applied = normal(direction)
        step = float(energy / torch.vdot(direction.flatten(), applied.flatten()).real)
        image.add_(direction, alpha=step)
        residual.sub_(applied, alpha=step)
        corrected = precondition(residual)
        previous = energy
        energy = torch.vdot(residual.flatten(), corrected.flatten()).real
        direction.mul_(energy / previous).add_(corrected)
        n_steps += 1
        lengths = component_lengths(corrected)
        distance = float(lengths.norm()) / max(whole, 1e-30)
        logger.debug("Step %d: preconditioned residual %.3e", n_steps, distance)
        if watch is not None:
            watch({"residual": distance})
        if progress is not None:
            lengths = torch.maximum(lengths, progress.distance(image, n_steps))
        converged = _are_short(lengths, tolerance, whole) or (
            progress is not None and distance <= _PRECISION
        )
    return Iterate(image, corrected, n_steps, converged)


def component_lengths(image: torch.Tensor) -> torch.Tensor:
    """|x_i| of every component, shape (rank,)."""
    return torch.stack([squared_length(component).sqrt() for component in image])


def squared_length(image: torch.Tensor) -> torch.Tensor:
    """|x|^2; for complex images 50 times as fast as the norm in torch."""
    return torch.vdot(image.flatten(), image.flatten()).real


def _same(image: SubspaceImage) -> SubspaceImage:
    return image


def _are_short(lengths: torch.Tensor, tolerance: float | torch.Tensor, whole: float) -> bool:
    if isinstance(tolerance, torch.Tensor):
        return bool((lengths <= tolerance).all())
    return float(lengths.norm()) <= tolerance * whole


class _Progress:
    """Distance to the minimiser from the changes in the last two windows of d steps."""

    def __init__(self, image: torch.Tensor, window: int) -> None:
        self.window = window
        self.image = image.clone()
        self.change: torch.Tensor | None = None
        self.estimate = torch.full((len(image),), torch.inf, device=image.device)

    def distance(self, image: torch.Tensor, n_steps: int) -> torch.Tensor:
        """Of every component after a number of steps; infinite before the second window ends."""
        if n_steps % self.window == 0:
            change = component_lengths(image - self.image)
            if self.change is not None:
                ratio = (change / self.change.clamp_min(1e-30)).clamp_max(_SLOWEST)
                self.estimate = change * ratio / (1 - ratio)
            self.change = change
            self.image.copy_(image)
        return self.estimate

"""Laws that operators keep."""

from collections.abc import Callable

import torch


def assert_adjoint(
    forward: Callable[[torch.Tensor], torch.Tensor],
    adjoint: Callable[[torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    y: torch.Tensor,
    tolerance: float,
) -> None:
    """<A x, y> = <x, A^H y>, relative to |A x| |y|."""
    image = forward(x)
    in_samples = torch.vdot(y.flatten(), image.flatten())
    in_image = torch.vdot(adjoint(y).flatten(), x.flatten())
    assert (in_samples - in_image).abs() <= tolerance * image.norm() * y.norm()


def assert_linear(
    operator: Callable[[torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    z: torch.Tensor,
    tolerance: float,
) -> None:
    """A (a x + b z) = a A x + b A z."""
    a, b = 0.7 - 1.1j, -0.4 + 0.2j
    expected = a * operator(x) + b * operator(z)
    assert relative_error(operator(a * x + b * z), expected) <= tolerance


def relative_error(value: torch.Tensor, reference: torch.Tensor) -> float:
    """|value - reference| / |reference|."""
    return float((value - reference).norm() / reference.norm())

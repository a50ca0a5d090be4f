"""Images that are piecewise constant: the proximal map of the total variation."""

from collections.abc import Callable

import torch

from mri2qmap_bids.recon.arrays import SubspaceImage


def warm_total_variation(
    weight: float, n_inner: int = 3
) -> Callable[[SubspaceImage], SubspaceImage]:
    """:func:`total_variation_prox` that starts each call where the last one ended.

    The images of an iteration differ little, so that a few steps a call are enough.

    Parameters
    ----------
    weight
        In the unit of the image, at least 0.
    n_inner
        Steps on the dual per call.
    """
    dual: torch.Tensor | None = None

    def prox(image: SubspaceImage) -> SubspaceImage:
        nonlocal dual
        image, dual = total_variation_prox(image, weight, n_inner, dual)
        return image

    return prox


def total_variation_prox(
    image: SubspaceImage,
    weight: float,
    n_inner: int,
    dual: torch.Tensor | None = None,
) -> tuple[SubspaceImage, torch.Tensor]:
    """argmin over x of 1/2 |x - u|^2 + weight TV(x), by fast projected gradients on the dual.

    TV(x) = sum over rank r and voxels p of sqrt(sum_d |x_r(p + e_d) - x_r(p)|^2), every
    component on its own; differences across the boundary are 0. With D the differences and
    n_d spatial axes,

        x = u - weight D^H q,  q <- P(q + D x / (4 n_d weight)),

    where P shortens every voxel's vector to a length of at most 1, and FISTA's momentum
    speeds up q.

    Parameters
    ----------
    image
        u, shape (rank, *space).
    weight
        In the unit of u, at least 0.
    n_inner
        Steps on the dual.
    dual
        First q, e.g. that of a similar image, shape (axis, rank, *space); None is 0.

    Returns
    -------
    x, and the last q to start the next call from.

    References
    ----------
    Beck and Teboulle, Fast gradient-based algorithms for constrained total variation image
    denoising and deblurring problems (2009), doi:10.1109/TIP.2009.2028250. Chambolle, An
    algorithm for total variation minimization (2004), doi:10.1023/B:JMIV.0000011325.36760.1e.
    """
    if dual is None:
        dual = torch.zeros((image.ndim - 1, *image.shape), dtype=image.dtype, device=image.device)
    if weight == 0:
        return image, dual
    # One component after the other: they do not know of each other, and less is held at once.
    found = [components_prox(image[[r]], weight, n_inner, dual[:, [r]]) for r in range(len(image))]
    solutions, duals = zip(*found, strict=True)
    return torch.cat(solutions), torch.cat(duals, dim=1)


def components_prox(
    image: torch.Tensor, weight: float, n_inner: int, dual: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """:func:`total_variation_prox` of all components at once, from a first q on."""
    step = 1 / (4 * (image.ndim - 1) * weight)
    point, momentum = dual, 1.0
    for _ in range(n_inner):
        previous = dual
        solution = image - weight * _differences_adjoint(point)
        dual = _shortened(point + step * _differences(solution))
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        point = dual + (momentum - 1) / following * (dual - previous)
        momentum = following
    return image - weight * _differences_adjoint(dual), dual


def total_variation(image: SubspaceImage) -> float:
    """TV(x) of :func:`total_variation_prox`."""
    return float(_lengths(_differences(image)).sum())


def _differences(image: torch.Tensor) -> torch.Tensor:
    """D x: x(p + e_d) - x(p) along every axis, 0 at its end, shape (axis, rank, *space)."""
    result = image.new_zeros((image.ndim - 1, *image.shape))
    for axis in range(1, image.ndim):
        n = image.shape[axis] - 1
        result[axis - 1].narrow(axis, 0, n).copy_(
            image.narrow(axis, 1, n) - image.narrow(axis, 0, n)
        )
    return result


def _differences_adjoint(dual: torch.Tensor) -> torch.Tensor:
    """D^H q, minus the divergence, shape (rank, *space)."""
    result = torch.zeros_like(dual[0])
    for axis in range(1, result.ndim):
        n = result.shape[axis] - 1
        inner = dual[axis - 1].narrow(axis, 0, n)
        result.narrow(axis, 1, n).add_(inner)
        result.narrow(axis, 0, n).sub_(inner)
    return result


def _shortened(dual: torch.Tensor) -> torch.Tensor:
    return dual / _lengths(dual).clamp_min(1)


def _lengths(dual: torch.Tensor) -> torch.Tensor:
    """Length of every voxel's vector of differences, shape (rank, *space)."""
    # Term by term: a norm along the first axis (torch.linalg.vector_norm) takes 30 times as long.
    parts = [dual.real, dual.imag] if dual.is_complex() else [dual]
    square = torch.zeros_like(parts[0][0])
    for part in parts:
        for values in part:
            square.addcmul_(values, values)
    return square.sqrt_()

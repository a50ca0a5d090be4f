"""The form of one arm of a trajectory, in cycles per field of view."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TURNS_PER_ARM = 8.0
"""Revolutions of one uniform-density spiral arm unless the number of arms is given."""
CENTRE_SPACING = 0.6
"""Distance between uniform spiral turns at the centre [cycles per field of view]; 1 at the rim."""
SAMPLE_SPACING = 0.75
"""Distance between samples along a spiral arm [cycles per field of view]."""
EDGE = 1.0 - 1e-6


@dataclass(frozen=True)
class SpiralDensity:
    """A variable-density spiral: radius rho(s) = a s + (1 - a) s^p of the turns s in 0..1.

    rho is relative to the edge of k-space. With a = 1 or p = 1 the turns are equally far apart
    (Archimedean); the smaller a and the larger p, the denser is the centre.
    """

    linear: float = 0.5
    """a, 0..1."""
    power: float = 2.0
    """p, 1..10."""
    turns: float = 4.0
    """Revolutions from the centre to the edge."""


def spiral_arm(n: int, n_arms: int, sample_spacing: float = SAMPLE_SPACING) -> NDArray[np.float64]:
    """One spiral arm from the centre to radius n / 2, its turns opening outward.

    The turns of all arms together lie g(r) apart, which grows linearly from
    ``CENTRE_SPACING`` at the centre to 1 cycle per field of view at the rim:
    theta(r) = 2 pi / n_arms * integral of dr / g(r). Samples are equally
    spaced along the arm.

    Parameters
    ----------
    n
        Matrix size.
    n_arms
        Interleaves of the fully sampled plane.
    sample_spacing
        Distance between samples [cycles per field of view].

    Returns
    -------
    Positions [cycles per field of view], shape (sample, 2).

    References
    ----------
    Kim, Adalsteinsson, Spielman, Simple analytic variable density spiral
    design (2003), doi:10.1002/mrm.10493.
    """
    radius = np.linspace(0.0, n / 2 * EDGE, 4096 + 64 * n)
    gap = CENTRE_SPACING + (1.0 - CENTRE_SPACING) * radius / (n / 2)
    step = np.diff(radius)
    middle = 2.0 * np.pi / n_arms * 2.0 / (gap[1:] + gap[:-1])
    angle = np.concatenate([[0.0], np.cumsum(middle * step)])
    mean_radius = (radius[1:] + radius[:-1]) / 2
    path = np.concatenate([[0.0], np.cumsum(step * np.hypot(1.0, mean_radius * middle))])
    at = np.linspace(0.0, path[-1], int(np.ceil(path[-1] / sample_spacing)) + 1)
    r, theta = np.interp(at, path, radius), np.interp(at, path, angle)
    return np.stack([r * np.cos(theta), r * np.sin(theta)], axis=1)


def variable_density_arm(
    n: int, density: SpiralDensity, sample_spacing: float = SAMPLE_SPACING
) -> NDArray[np.float64]:
    """One arm of radius n / 2 rho(s) and angle 2 pi turns s, s from 0 to 1.

    Samples are equally spaced in s, at constant angular velocity: where the gradients' slew rate
    is the limit, as it is at the centre, a scanner reads about so. The centre is therefore denser
    than the distance of the turns alone makes it.

    Parameters
    ----------
    n
        Matrix size.
    density
        rho and the number of turns.
    sample_spacing
        Distance between samples at the edge [cycles per field of view].

    Returns
    -------
    Positions [cycles per field of view], shape (sample, 2).
    """
    n_samples = int(np.ceil(np.pi * n * density.turns / sample_spacing)) + 1
    s = np.linspace(0.0, 1.0, n_samples)
    rho = density.linear * s + (1.0 - density.linear) * s**density.power
    angle = 2.0 * np.pi * density.turns * s
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    arm: NDArray[np.float64] = n / 2 * EDGE * rho[:, None] * direction
    return arm


def spiral_interleaves(n: int, density: SpiralDensity | None = None) -> int:
    """Interleaves that sample an n x n plane fully.

    Parameters
    ----------
    n
        Matrix size.
    density
        Of the spiral: as many as put neighbouring turns 1 cycle per field of view apart at the
        rim. None: nearly uniform, with about ``TURNS_PER_ARM`` revolutions each.
    """
    if density is None:
        total = n / 2 * np.log(1.0 / CENTRE_SPACING) / (1.0 - CENTRE_SPACING)
        return max(1, int(np.ceil(total / TURNS_PER_ARM)))
    slope = density.linear + (1.0 - density.linear) * density.power
    return max(1, int(np.ceil(n / 2 * slope / density.turns)))


def spoke(n: int) -> NDArray[np.float64]:
    """A spoke through the centre with two-fold oversampling, shape (sample, 2)."""
    x = (np.arange(2 * n) - n) / 2.0 * EDGE
    return np.stack([x, np.zeros_like(x)], axis=1)

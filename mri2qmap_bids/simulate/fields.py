"""Smooth random fields in space, defined everywhere, the same on any voxel grid."""

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.recon.acquisition.geometry import Geometry, affine

_N_WAVES = 48
_HEAD_RADIUS = 90e-3
_SINUS, _SINUS_WIDTH = np.array([0.0, 55e-3, -25e-3]), 40e-3


def smooth_field(
    points: NDArray[np.float64], length: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """One draw of a smooth Gaussian random field of mean 0 and variance 1.

    f(r) = sqrt(2 / J) sum_j cos(w_j . r + phi_j) with w_j normal of standard
    deviation 1 / length and phi_j uniform: its covariance tends to
    exp(-|r - r'|^2 / (2 length^2)).

    Parameters
    ----------
    points
        Where to evaluate it [m], shape (point, 3).
    length
        Distance over which the field changes [m].
    rng
        The source of randomness; the same state gives the same field.

    Returns
    -------
    Values, shape (point,).

    References
    ----------
    Rahimi and Recht, Random features for large-scale kernel machines (2007).
    """
    wave_vectors, phases = _waves(length, rng)
    values = np.zeros(len(points))
    for wave_vector, phase in zip(wave_vectors, phases, strict=True):
        values += np.cos(points @ wave_vector + phase)
    values *= np.sqrt(2.0 / _N_WAVES)
    return values


def smooth_field_on(
    geometry: Geometry, length: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """:func:`smooth_field` at the voxel centres of a grid, by one product of matrices.

    w_j . r is linear in a voxel's indices, so exp(i (w_j . r + phi_j)) is a product of one
    factor along each axis: three short vectors of cosines instead of a cosine for every voxel.

    Parameters
    ----------
    geometry
        The grid.
    length
        Distance over which the field changes [m].
    rng
        The source of randomness; the same state gives the same field as :func:`smooth_field`.

    Returns
    -------
    Values, shape (z, y, x).
    """
    wave_vectors, phases = _waves(length, rng)
    to_world = affine(geometry)
    steps = wave_vectors @ to_world[:3, :3]
    nz, ny, nx = geometry.matrix
    x, y, z = (
        np.exp(1j * np.outer(step, np.arange(n)))
        for step, n in zip(steps.T, (nx, ny, nz), strict=True)
    )
    x *= np.sqrt(2.0 / _N_WAVES) * np.exp(1j * (wave_vectors @ to_world[:3, 3] + phases))[:, None]
    rows = (z[:, :, None] * y[:, None, :]).reshape(_N_WAVES, -1)
    # The real part of the complex product, as one real product.
    values: NDArray[np.float64] = np.concatenate([rows.real, -rows.imag]).T @ np.concatenate(
        [x.real, x.imag]
    )
    return values.reshape(geometry.matrix)


def _waves(
    length: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wave vectors w_j [rad/m], shape (wave, 3), and phases phi_j [rad]."""
    wave_vectors = rng.normal(scale=1.0 / length, size=(_N_WAVES, 3))
    return wave_vectors, rng.uniform(0.0, 2.0 * np.pi, size=_N_WAVES)


def transmit_field(
    points: NDArray[np.float64], centre: NDArray[np.float64], amount: float
) -> NDArray[np.float64]:
    """A transmit field that is strong in the middle of the head and weak at its surface.

    b1(r) = 1 + amount cos(pi |r - c| / R), R = 90 mm, as of a head in a body coil at 3 T;
    1 - amount beyond R.

    Parameters
    ----------
    points
        Where to evaluate it [m], shape (point, 3).
    centre
        c, the middle of the head [m].
    amount
        Largest deviation from nominal, 0..1.

    Returns
    -------
    Relative to nominal, shape (point,).
    """
    radius = np.linalg.norm(points - centre, axis=1).clip(max=_HEAD_RADIUS)
    field: NDArray[np.float64] = 1 + amount * np.cos(np.pi * radius / _HEAD_RADIUS)
    return field


def static_field(
    points: NDArray[np.float64], centre: NDArray[np.float64], amount: float
) -> NDArray[np.float64]:
    """Off-resonance of a head that is shimmed but for a second-order field and air in front and below.

    f(r) = a (1.6 exp(-|r - r_s|^2 / 2 s^2) - 0.8 + 0.5 (x^2 - y^2) / R^2), clipped to -a..a, with r_s 55 mm in
    front of the centre and 25 mm below it, s = 40 mm and R = 90 mm.

    Parameters
    ----------
    points
        Where to evaluate it [m], RAS+, shape (point, 3).
    centre
        The middle of the head [m].
    amount
        a, the largest frequency [Hz].

    Returns
    -------
    Frequency [Hz], shape (point,).
    """
    relative = points - centre
    air = np.exp(-0.5 * ((relative - _SINUS) ** 2).sum(1) / _SINUS_WIDTH**2)
    x, y = relative[:, 0] / _HEAD_RADIUS, relative[:, 1] / _HEAD_RADIUS
    field: NDArray[np.float64] = amount * (1.6 * air - 0.8 + 0.5 * (x**2 - y**2)).clip(-1, 1)
    return field


def generator(seed: int, *purpose: int | str) -> np.random.Generator:
    """A random generator of its own for each purpose under one seed.

    Parameters
    ----------
    seed
        The seed of the whole simulation, at least 0.
    purpose
        Words or numbers naming what the randomness is for.

    Returns
    -------
    The generator; independent of those of other purposes.
    """
    words = [seed]
    for part in purpose:
        words += list(part.encode()) if isinstance(part, str) else [part]
        words.append(256)
    return np.random.default_rng(words)

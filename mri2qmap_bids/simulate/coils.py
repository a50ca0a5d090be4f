"""Receive coils of a birdcage around the head."""

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.sigpy_loader import sigpy_module
from mri2qmap_bids.simulate.fields import generator

COIL_RADIUS = 1.25
"""Distance of the coils from the axis in units of half the field of view."""


def coil_maps(
    matrix: tuple[int, int, int],
    is_3d: bool,
    n_coils: int,
    seed: int,
    radius: float = COIL_RADIUS,
) -> NDArray[np.complex64]:
    """Sensitivities of loops on a cylinder around the field of view.

    Each is smooth in magnitude and phase; the root sum of squares is one everywhere.
    Slices of a 2D scan all see the middle of the cylinder.

    Parameters
    ----------
    matrix
        Voxels along (z, y, x).
    is_3d
        Whether the scan is one volume.
    n_coils
        Number of coils; in 3D in rings of eight.
    seed
        Of the phase of each coil's receiver.
    radius
        Of the cylinder, in units of half the field of view: sensitivities overlap the more the
        larger it is.

    Returns
    -------
    Complex maps, shape (coil, z, y, x).
    """
    space = matrix if is_3d else matrix[1:]
    maps = sigpy_module("sigpy.mri").birdcage_maps((n_coils, *space), r=radius)
    phases = np.exp(2j * np.pi * generator(seed, "coils").uniform(size=n_coils))
    maps = maps * phases.reshape(-1, *[1] * len(space))
    if not is_3d:
        maps = np.repeat(maps[:, None], matrix[0], axis=1)
    return np.ascontiguousarray(maps, np.complex64)

"""Mask of the brain, from the maps of a head."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mri2qmap_bids.dataset.tissue import t1_limits

# Shares of the median T2 of white matter and of the mean M0 nearby, below which a voxel is no brain.
_LEAST_T2, _LEAST_M0 = 0.8, 0.75
# Standard deviations of the Gaussians of the majority of neighbours and of the mean M0 [m].
_MAJORITY, _NEARBY = 1.5e-3, 12e-3
# Largest hole that is filled before the erosion [m^3]: a vessel, not the skull.
_HOLE = 5e-7
# Radii [m]: bridges from the brain to the scalp are narrower than twice the first.
_EROSION, _CLOSING = 10e-3, 3e-3
BRAIN_METHOD = (
    f"Voxels with the T1 of brain or fluid, a T2 above {_LEAST_T2:.0%} of white matter's median and an M0 above "
    f"{_LEAST_M0:.0%} of that around them; eroded by {1e3 * _EROSION:g} mm, the largest component, dilated back, "
    f"closed by {1e3 * _CLOSING:g} mm, holes filled"
)
"""How the mask is made, for its sidecar."""


def brain_mask(
    t1: NDArray[np.floating],
    t2: NDArray[np.floating],
    m0: NDArray[np.floating],
    head: NDArray[np.bool_],
    voxel_size: tuple[float, float, float],
    field_strength: float,
) -> NDArray[np.bool_]:
    """Brain with its ventricles and the fluid around it, without skull and scalp.

    Fat and marrow have a shorter T1 than white matter, muscle and skin a shorter T2, the skull hardly
    any M0. What is left outside the brain hangs on it by thin bridges, which an erosion cuts.

    Parameters
    ----------
    t1, t2
        [s], shape (z, y, x).
    m0
        Magnitude, any unit.
    head
        Where there are maps.
    voxel_size
        Along (z, y, x) [m].
    field_strength
        B0 [T].

    Returns
    -------
    Empty, if nothing in the head is like a brain.
    """
    shortest, longest = t1_limits(field_strength)["WM"]
    white = head & (t1 >= shortest) & (t1 < longest)
    if not white.any():
        return np.zeros(head.shape, bool)
    alike = head & (t1 >= shortest) & (t2 > _LEAST_T2 * np.median(t2[white]))
    # Most neighbours decide, so that noise makes no holes.
    alike = _smooth(alike, _MAJORITY, voxel_size) > 0.5
    alike &= m0 > _LEAST_M0 * _mean_within(m0, alike, voxel_size)
    alike = _without_holes(alike, _HOLE, voxel_size)
    core = _largest(_eroded(alike, _EROSION, voxel_size))
    if not core.any():
        return core
    brain = _dilated(core, _EROSION, voxel_size) & alike
    brain &= m0 > _LEAST_M0 * _mean_within(m0, core, voxel_size)
    brain = _eroded(_dilated(brain, _CLOSING, voxel_size), _CLOSING, voxel_size) & head
    return np.array([ndimage.binary_fill_holes(plane) for plane in brain], bool)


def _smooth(
    values: NDArray[np.generic], deviation: float, voxel_size: tuple[float, float, float]
) -> NDArray[np.float32]:
    widths = [deviation / size for size in voxel_size]
    return np.asarray(ndimage.gaussian_filter(values.astype(np.float32), widths))


def _mean_within(
    values: NDArray[np.floating],
    mask: NDArray[np.bool_],
    voxel_size: tuple[float, float, float],
) -> NDArray[np.float32]:
    """Mean of the values near each voxel, of those inside the mask."""
    weight = np.maximum(_smooth(mask, _NEARBY, voxel_size), 1e-6)
    return np.asarray(_smooth(np.where(mask, values, 0), _NEARBY, voxel_size) / weight, np.float32)


def _eroded(
    mask: NDArray[np.bool_], radius: float, voxel_size: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """Voxels farther than the radius from all that is outside; beyond the volume, values are those at its edge."""
    margin = [int(np.ceil(radius / size)) for size in voxel_size]
    padded = np.pad(mask, [(n, n) for n in margin], mode="edge")
    if padded.all():
        return mask
    distance = ndimage.distance_transform_edt(padded, voxel_size)
    inside = tuple(slice(n, n + size) for n, size in zip(margin, mask.shape, strict=True))
    return np.asarray(distance[inside] > radius)


def _dilated(
    mask: NDArray[np.bool_], radius: float, voxel_size: tuple[float, float, float]
) -> NDArray[np.bool_]:
    return np.asarray(ndimage.distance_transform_edt(~mask, voxel_size) <= radius) & (mask.any())


def _without_holes(
    mask: NDArray[np.bool_], largest: float, voxel_size: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """The mask with the holes filled that are no larger than a volume [m^3]."""
    components, _ = ndimage.label(~mask)
    small = np.bincount(components.ravel()) * np.prod(voxel_size) <= largest
    small[0] = False
    return np.asarray(mask | small[components])


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    components, n_components = ndimage.label(mask)
    if n_components < 2:
        return mask
    return np.asarray(components == 1 + np.argmax(np.bincount(components.ravel())[1:]))

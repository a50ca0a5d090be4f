"""Mask of the head."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

# Radius of the opening that removes specks [m].
_BRIDGE = 1.5e-3
# Components smaller than this fraction of the largest are discarded as noise.
_SPECK = 0.01


def head_mask(m0: torch.Tensor, voxel_size: tuple[float, float, float]) -> NDArray[np.bool_]:
    """Mask of voxels with strong signal: the head, or a skull-stripped brain.

    |m0| is smoothed, thresholded by Otsu's method and opened with a ball to remove specks.
    Components of at least a hundredth of the largest are kept (including scalp that is separated
    from the brain by a dark skull), dilated back, and their holes filled slice by slice.

    Parameters
    ----------
    m0
        Complex or magnitude scale map, shape (z, y, x).
    voxel_size
        Along (z, y, x) [m].

    References
    ----------
    Otsu, A threshold selection method (1979), doi:10.1109/TSMC.1979.4310076.
    """
    magnitude = m0.abs().cpu().numpy().astype(np.float32)
    # Voxels matched to an atom of almost no signal can get a huge m0; they must not set the scale.
    magnitude = np.minimum(magnitude, np.quantile(magnitude, 0.98))
    smooth = ndimage.gaussian_filter(magnitude, [0.8e-3 / size for size in voxel_size])
    if np.ptp(smooth) == 0:
        return np.ones(magnitude.shape, bool)
    strong = smooth > 0.7 * threshold_otsu(smooth)
    ball = _ball(_BRIDGE, voxel_size)
    opened = ndimage.binary_opening(strong, ball)
    components, n_components = ndimage.label(opened)
    if n_components == 0:
        return np.asarray(strong, bool)
    sizes = ndimage.sum_labels(opened, components, range(1, n_components + 1))
    large = np.isin(components, 1 + np.flatnonzero(sizes >= _SPECK * sizes.max()))
    mask = ndimage.binary_dilation(large, ball) & strong
    return np.array([ndimage.binary_fill_holes(plane) for plane in mask], bool)


def _ball(radius: float, voxel_size: tuple[float, float, float]) -> NDArray[np.bool_]:
    """A ball on the voxel grid; flat along axes with voxels larger than its radius."""
    reach = [int(radius / size) for size in voxel_size]
    axes = np.meshgrid(*[np.arange(-n, n + 1) for n in reach], indexing="ij")
    distance = sum((axis * size) ** 2 for axis, size in zip(axes, voxel_size, strict=True))
    return np.asarray(distance <= radius**2)

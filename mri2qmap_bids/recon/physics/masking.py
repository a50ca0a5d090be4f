"""Where there is tissue."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

# Radius of the opening that cuts thin bridges between brain and scalp [m].
_BRIDGE = 2.5e-3


def brain_mask(m0: torch.Tensor, voxel_size: tuple[float, float, float]) -> NDArray[np.bool_]:
    """Largest connected region of strong signal, without holes.

    |m0| is smoothed, split in two by Otsu's threshold, opened by a ball to cut thin
    bridges, and the largest component is kept, grown back and filled slice by slice.

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
    # A few voxels with a nearly dark matched atom get a huge m0; they must not set the scale.
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
    largest = components == 1 + int(np.argmax(sizes))
    mask = ndimage.binary_dilation(largest, ball) & strong
    return np.array([ndimage.binary_fill_holes(plane) for plane in mask], bool)


def _ball(radius: float, voxel_size: tuple[float, float, float]) -> NDArray[np.bool_]:
    """A ball on the voxel grid; flat along axes whose voxels are larger than it."""
    reach = [int(radius / size) for size in voxel_size]
    axes = np.meshgrid(*[np.arange(-n, n + 1) for n in reach], indexing="ij")
    distance = sum((axis * size) ** 2 for axis, size in zip(axes, voxel_size, strict=True))
    return np.asarray(distance <= radius**2)

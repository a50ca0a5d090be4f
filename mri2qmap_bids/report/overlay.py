"""Two images of one head in the squares of a checkerboard."""

import numpy as np
from numpy.typing import NDArray

_SQUARE = 20.0  # edge of a square [mm]


def checkerboard(
    first: NDArray[np.floating],
    second: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    voxel_size: tuple[float, float, float],
) -> NDArray[np.float32]:
    """Both images in alternate cubes, whose sections are squares in every plane.

    Parameters
    ----------
    first
        An image; its 1st to 99th percentile in the mask become 0 to 1.
    second
        Another one in grey levels, 255 becomes 1.
    mask
        Where the first image shows something, all of axes (z, y, x).
    voxel_size
        Along (z, y, x) [mm].
    """
    if not mask.any():
        return np.zeros(mask.shape, np.float32)
    low, high = np.percentile(first[mask], (1, 99))
    grey = np.clip((first - low) / max(high - low, 1e-9), 0, 1)
    cubes = [
        np.floor(np.arange(n) * v / _SQUARE) for n, v in zip(mask.shape, voxel_size, strict=True)
    ]
    is_first = sum(np.meshgrid(*cubes, indexing="ij")) % 2 == 0
    return np.where(is_first, grey, second / 255).astype(np.float32)

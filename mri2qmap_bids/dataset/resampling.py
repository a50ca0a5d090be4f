"""Images on one another's grids, by their places in the world.

By nibabel: ``nilearn.image.resample_to_img`` gives the same values for finite images, but fills other voxels
before it interpolates, and its import is slower. nilearn's masking works on images on disk; maps here are arrays.
"""

from typing import Any

import numpy as np
from nibabel.processing import resample_from_to
from numpy.typing import NDArray


def on_grid(image: Any, reference: Any, order: int) -> NDArray[np.float64]:
    """An image's values at the reference's voxel centres in the world; 0 outside the image.

    Parameters
    ----------
    image, reference
        NIfTI images.
    order
        Of the interpolating spline: 0 takes the nearest voxel.

    Returns
    -------
    Axes as in the reference's file.
    """
    same = image.shape == reference.shape and np.allclose(image.affine, reference.affine, atol=1e-3)
    resampled = image if same else resample_from_to(image, reference, order=order)
    return np.asarray(resampled.dataobj, np.float64)

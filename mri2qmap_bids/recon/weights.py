"""Choice of the weights of a method's denoiser for a grid."""

import logging
from dataclasses import replace
from pathlib import Path

from mri2qmap_bids.recon.denoisers.base import dimensions, fits
from mri2qmap_bids.recon.denoisers.registry import denoiser_shape
from mri2qmap_bids.recon.methods.registry import weights_file
from mri2qmap_bids.recon.options import ReconOptions

logger = logging.getLogger(__name__)


def fitting_weights(
    options: ReconOptions, shape: tuple[int, ...], voxel_size: tuple[float, ...]
) -> Path | None:
    """Weights of the method's denoiser for images of this grid.

    Those of the options, unless they are of a network of volumes and the grid is a slice, a thin
    volume or one of elongated voxels: then the package's own, and a warning is logged.

    Parameters
    ----------
    options
        Method and denoiser.
    shape
        Voxels along (z,) y, x.
    voxel_size
        Along the same axes [m].

    Returns
    -------
    None if the method has no denoiser.

    Raises
    ------
    WeightsError
        If the card of the weights is missing or damaged.
    """
    weights = weights_file(options)
    if weights is None:
        return None
    network = denoiser_shape(weights)
    if fits(network, shape, voxel_size):
        return weights
    logger.warning(
        "The denoiser %s is of %d dimensions and needs about isotropic voxels, at least %d along every "
        "axis; got %s voxels of %s mm: the weights of the package are used instead",
        weights.name,
        dimensions(network),
        2 * network.multiple,
        "x".join(map(str, shape)),
        "x".join(f"{1e3 * size:.3g}" for size in voxel_size),
    )
    return weights_file(replace(options, denoiser=None))

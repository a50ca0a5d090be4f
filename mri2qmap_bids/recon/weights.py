"""The denoiser of the options, if it fits a grid."""

import logging
from dataclasses import replace

from mri2qmap_bids.recon.denoisers.base import dimensions, fits
from mri2qmap_bids.recon.denoisers.registry import denoiser_shape
from mri2qmap_bids.recon.methods.registry import weights_file
from mri2qmap_bids.recon.options import ReconOptions

logger = logging.getLogger(__name__)


def fitting_options(
    options: ReconOptions, shape: tuple[int, ...], voxel_size: tuple[float, ...]
) -> ReconOptions:
    """Options whose denoiser can be used for images of this grid.

    The same, unless its weights are of a network of volumes and the grid is a slice, a thin volume or one of
    elongated voxels: then those with the package's weights.

    Parameters
    ----------
    options
        Method and denoiser.
    shape
        Voxels along (z,) y, x.
    voxel_size
        Along the same axes [m].

    Raises
    ------
    WeightsError
        If the card of the weights is missing or damaged.
    """
    weights = weights_file(options)
    if options.denoiser is None or weights is None:
        return options
    if fits(denoiser_shape(weights), shape, voxel_size):
        return options
    return replace(options, denoiser=None)


def fitting_options_with_warning(
    options: ReconOptions, shape: tuple[int, ...], voxel_size: tuple[float, ...]
) -> ReconOptions:
    """:func:`fitting_options`; a warning is logged if the denoiser is another."""
    fitting = fitting_options(options, shape, voxel_size)
    weights = weights_file(options)
    if weights is not None and fitting.denoiser != options.denoiser:
        network = denoiser_shape(weights)
        logger.warning(
            "The denoiser %s is of %d dimensions and needs about isotropic voxels, at least %d along every "
            "axis; got %s voxels of %s mm: the weights of the package are used instead",
            weights.name,
            dimensions(network),
            2 * network.multiple,
            "x".join(map(str, shape)),
            "x".join(f"{1e3 * size:.3g}" for size in voxel_size),
        )
    return fitting

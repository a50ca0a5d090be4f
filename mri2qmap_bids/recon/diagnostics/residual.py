"""What the maps do not explain of the data."""

import numpy as np
import torch
from numpy.typing import NDArray

from mri2qmap_bids.recon.arrays import QuantityMap, SubspaceImage, VirtualKSpace
from mri2qmap_bids.recon.diagnostics.model import Residual
from mri2qmap_bids.recon.encoding.forward import (
    Encoding,
    forward_by_coil,
    nufft_of,
    strongest_coil,
)
from mri2qmap_bids.recon.grid import centre
from mri2qmap_bids.recon.physics.dictionary import Dictionary
from mri2qmap_bids.recon.physics.matching import TissueMaps, signal_of

_N_RADII = 32


def residual_samples(
    encoding: Encoding,
    kspace: VirtualKSpace,
    image: SubspaceImage,
    maps: TissueMaps,
    dictionary: Dictionary,
) -> torch.Tensor:
    """A z - y of the coil with the strongest signal, z the image predicted from the maps.

    Outside the reconstructed field of view, where there are no maps, z is the image itself.

    Parameters
    ----------
    encoding
        A.
    kspace
        y, samples of the virtual coils.
    image
        Subspace image on the encoded grid, shape (rank, *space).
    maps
        On the centre of that grid.
    dictionary
        The fingerprints.
    """
    predicted = image.clone()
    centre(predicted, tuple(maps.t1.shape)).copy_(signal_of(maps, dictionary))
    alone, samples = strongest_coil(encoding, kspace)
    return next(forward_by_coil(alone, predicted)) - samples


def noise_of(rest: torch.Tensor) -> float:
    """Standard deviation of a complex sample, from the median of |n|^2, sigma^2 ln 2 for Gaussian noise.

    Parameters
    ----------
    rest
        Residual of one coil, shape (sample,).
    """
    return float((rest.abs().square().median() / np.log(2)).sqrt())


def residual_of(encoding: Encoding, rest: torch.Tensor) -> Residual:
    """Residual statistics.

    Parameters
    ----------
    encoding
        A.
    rest
        Residual of one coil, shape (sample,).
    """
    power = rest.abs().square()
    radius = torch.linalg.vector_norm(encoding.omega, dim=1) / torch.pi
    shell = (radius * _N_RADII).long().clamp_max(_N_RADII - 1)
    return Residual(
        noise=noise_of(rest),
        frames=_means(power, encoding.frame, len(encoding.basis)),
        radii=_means(power, shell, _N_RADII),
    )


def residual_image(encoding: Encoding, rest: torch.Tensor, noise: float) -> QuantityMap:
    """|F^H W rest| relative to the value for noise alone, sigma sqrt(sum w^2).

    W is the distance from the centre of k-space (squared in 3D), which compensates the density
    of spirals and spokes.

    Parameters
    ----------
    encoding
        A.
    rest
        Residual of one coil, shape (sample,).
    noise
        sigma.
    """
    weights = torch.linalg.vector_norm(encoding.omega, dim=1) ** (encoding.omega.shape[1] - 1)
    image = nufft_of(encoding).adjoint(weights * rest)
    expected = max(noise, 1e-30) * float(weights.square().sum().sqrt())
    relative: torch.Tensor = image.abs() / max(expected, 1e-30)
    return relative


def _means(power: torch.Tensor, group: torch.Tensor, n_groups: int) -> NDArray[np.float32]:
    """Root mean square in each group; NaN where there is none."""
    total = torch.bincount(group, power.double(), n_groups)
    number = torch.bincount(group, minlength=n_groups)
    return (total / number).sqrt().float().cpu().numpy()

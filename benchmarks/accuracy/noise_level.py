"""How much noise an image holds, told from the image alone."""

import torch

from mri2qmap_bids.recon.arrays import QuantityMap

# Median absolute value of a standard normal variable, inverted.
_MAD = 1.4826


def noise_level(images: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Standard deviation of the noise in each image.

    Over every 2 x 2 square inside the mask, (a - b - c + d) / 2 has the noise's standard
    deviation and none of the image where that is locally flat or a plane; the median of
    its size is robust against edges. Noise smoother than a pixel is underestimated.

    Parameters
    ----------
    images
        Real, shape (image, *space); the last two axes are looked at.
    mask
        Where to look, shape (*space).

    Returns
    -------
    Shape (image,); 0 where the mask holds no whole square.

    References
    ----------
    Donoho and Johnstone, Ideal spatial adaptation by wavelet shrinkage (1994),
    doi:10.1093/biomet/81.3.425.
    """
    squares = _corners(images)
    detail = (squares[0] - squares[1] - squares[2] + squares[3]) / 2
    inside = torch.stack(_corners(mask[None])).all(0)[0]
    if not inside.any():
        return torch.zeros(len(images), device=images.device)
    return torch.stack([_MAD * image[inside].abs().median() for image in detail])


def strong_signal(magnitude: QuantityMap) -> torch.Tensor:
    """Where there is clearly tissue: above a fifth of the bright voxels, boolean."""
    values = magnitude.flatten()
    bright = torch.quantile(values[:: values.numel() // 1_000_000 + 1], 0.95)
    return magnitude > 0.2 * bright


def _corners(images: torch.Tensor) -> list[torch.Tensor]:
    """The four corners of every 2 x 2 square that the last two axes hold whole."""
    ny, nx = (size // 2 * 2 for size in images.shape[-2:])
    return [images[..., y:ny:2, x:nx:2] for y in (0, 1) for x in (0, 1)]

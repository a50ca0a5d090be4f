"""The circulant operator, applied to an image."""

import torch

from mri2qmap_bids.recon.encoding.frequency_matrices import multiply


def apply_circulant(circulant, image):
    """F^H C F x with the matrices C of every frequency; image of shape (rank, *space)."""
    axes = tuple(range(2, image.ndim + 1))
    spectrum = multiply(circulant.upper, torch.fft.fftn(image[None], dim=axes))
    return torch.fft.ifftn(spectrum, dim=axes)[0]

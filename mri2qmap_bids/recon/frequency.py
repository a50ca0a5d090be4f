"""Frequencies of an image's discrete Fourier transform, axis by axis."""

import torch


def frequency_axes(shape: tuple[int, ...], device: torch.device) -> list[torch.Tensor]:
    """Frequency along each axis [cycles per voxel], in the transform's order.

    Each is shaped to be broadcast with the others to the image's shape.

    Parameters
    ----------
    shape
        Of the image.
    device
        Where to keep them.
    """
    axes = []
    for axis, n in enumerate(shape):
        view = [1] * len(shape)
        view[axis] = n
        axes.append(torch.fft.fftfreq(n, device=device).view(view))
    return axes

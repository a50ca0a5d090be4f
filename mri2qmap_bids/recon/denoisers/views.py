"""Denoise a slice or a volume in several orientations and average the results."""

import torch

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.denoisers.base import Denoiser, dimensions

# Largest intensity and noise level in the training of the networks.
_LARGEST, _NOISIEST = 4.0, 2.0


def denoise(
    denoiser: Denoiser,
    images: torch.Tensor,
    sigma: torch.Tensor,
    slices_at_once: int = 8,
) -> torch.Tensor:
    """Denoised contrasts of a slice or a volume.

    A slice is denoised in its eight flips and rotations, and the results
    are averaged, so that D(flip w) = flip D(w). A volume is denoised slice by slice in all three
    orientations, and the results are averaged, or along z alone where an axis has fewer than twice the
    ``multiple`` voxels of the network; by a denoiser of volumes as a whole.

    Parameters
    ----------
    denoiser
        From :func:`load_denoiser`, or any other.
    images
        Shape (contrast, *space), real; the brightest tissue about 1, as in training.
    sigma
        Noise level of every voxel in the images' unit, shape of ``images``.
    slices_at_once
        Slices denoised together; more need more memory.

    Returns
    -------
    Shape of ``images``, at least 0.

    Raises
    ------
    ArgumentError
        If the denoiser is one of volumes, and the images are none.
    """
    if dimensions(denoiser) == 3 and images.ndim != 4:
        raise ArgumentError(f"a denoiser of volumes needs 3 axes in space, got {images.ndim - 1}")
    # Values outside the training range are clipped, so that outliers do not affect their neighbours.
    images, sigma = images.clamp(-_LARGEST, _LARGEST), sigma.clamp(0, _NOISIEST)
    if dimensions(denoiser) == 3:
        clean = _volume(denoiser, images, sigma)
    elif images.ndim == 3:
        clean = _in_all_views(denoiser, images[:, None], sigma[:, None])[:, 0]
    elif min(images.shape[1:]) < 2 * denoiser.multiple:
        clean = _slices(denoiser, images, sigma, slices_at_once)
    else:
        clean = torch.zeros_like(images)
        for axis in (1, 2, 3):
            turned, levels = images.movedim(axis, 1), sigma.movedim(axis, 1)
            clean += _slices(denoiser, turned, levels, slices_at_once).movedim(1, axis) / 3
    return clean.clamp_min(0)


@torch.no_grad()
def _volume(denoiser: Denoiser, images: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Denoise (contrast, z, y, x) as a whole."""
    nz, ny, nx = images.shape[1:]
    padding = [edge for n in (nx, ny, nz) for edge in (0, -n % denoiser.multiple)]
    part, levels = (torch.nn.functional.pad(values, padding)[None] for values in (images, sigma))
    contiguous = part.contiguous(memory_format=torch.channels_last_3d)
    return denoiser.forward(contiguous, levels)[0, :, :nz, :ny, :nx]


def _in_all_views(denoiser: Denoiser, stack: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Mean over the eight symmetries of the square."""
    clean = torch.zeros_like(stack)
    for turns in range(4):
        for flipped in (False, True):
            view, levels = (torch.rot90(part, turns, (2, 3)) for part in (stack, sigma))
            if flipped:
                view, levels = view.flip(3), levels.flip(3)
            view = _slices(denoiser, view, levels, 1)
            view = view.flip(3) if flipped else view
            clean += torch.rot90(view, -turns, (2, 3)) / 8
    return clean


@torch.no_grad()
def _slices(
    denoiser: Denoiser, stack: torch.Tensor, sigma: torch.Tensor, at_once: int
) -> torch.Tensor:
    """Denoise (contrast, slice, y, x) in batches of slices."""
    multiple = denoiser.multiple
    ny, nx = stack.shape[2:]
    padding = (0, -nx % multiple, 0, -ny % multiple)
    clean = torch.empty_like(stack)
    for first in range(0, stack.shape[1], at_once):
        batch = slice(first, first + at_once)
        part, levels = (
            torch.nn.functional.pad(values[:, batch].movedim(1, 0), padding)
            for values in (stack, sigma)
        )
        contiguous = part.contiguous(memory_format=torch.channels_last)
        clean[:, batch] = denoiser.forward(contiguous, levels)[..., :ny, :nx].movedim(0, 1)
    return clean

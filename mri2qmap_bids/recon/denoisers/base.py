"""Interface of a denoiser."""

import math
from typing import Protocol, runtime_checkable

import torch

ANY_CONTRAST = ("any",)
"""Value of ``contrasts`` for a denoiser of single images of any contrast."""
# Assumed features per voxel at full resolution, and layers, of a denoiser without ``memory(shape)``.
_FEATURES, _LAYERS = 16, 6
_REAL = 4.0  # bytes
# Longest edge of a voxel, relative to its shortest, for a denoiser of volumes.
_LONGEST = 2.0


@runtime_checkable
class DenoiserShape(Protocol):
    """Properties of a denoiser that determine its cost."""

    @property
    def contrasts(self) -> tuple[str, ...]:
        """Names of the channels, in order, keys of ``DENOISED_CONTRASTS``; or ``ANY_CONTRAST``."""

    @property
    def multiple(self) -> int:
        """Image sizes must be multiples of this."""

    def operations(self, shape: tuple[int, ...]) -> float:
        """Multiplications for one image of this size: for all channels together, or for one."""


@runtime_checkable
class Denoiser(DenoiserShape, Protocol):
    """Denoises images, given the noise level of every voxel.

    Any object with these members can be used: a network of this package, or a wrapper around one of
    another library.
    """

    def forward(self, images: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """Denoised images.

        Parameters
        ----------
        images
            Shape (batch, channel, y, x), or (batch, channel, z, y, x) if the denoiser has
            ``n_dims`` 3; sizes are multiples of ``multiple``; the brightest tissue is about 1.
            A missing contrast is 0, and so is its sigma. Any number of channels if
            ``contrasts`` is ``ANY_CONTRAST``.
        sigma
            Standard deviation of the noise in each voxel, in the images' unit, shape of
            ``images``.
        """


def dimensions(denoiser: DenoiserShape) -> int:
    """2 for a denoiser of slices, 3 for one of volumes: its ``n_dims``, 2 if it has none."""
    return int(getattr(denoiser, "n_dims", 2))


def fits(denoiser: DenoiserShape, shape: tuple[int, ...], voxel_size: tuple[float, ...]) -> bool:
    """Whether a denoiser can be used for images of this grid.

    One of slices always can. One of volumes needs three axes, each of twice its ``multiple`` of voxels, and
    voxels that are at most twice as long as wide.

    Parameters
    ----------
    denoiser
        Network or its shape.
    shape
        Voxels along (z,) y, x.
    voxel_size
        Along the same axes, any unit.
    """
    if dimensions(denoiser) == 2:
        return True
    thick_enough = len(shape) == 3 and min(shape) >= 2 * denoiser.multiple
    return thick_enough and max(voxel_size) <= _LONGEST * min(voxel_size)


def is_separate(denoiser: DenoiserShape) -> bool:
    """Whether a denoiser processes one contrast at a time."""
    return denoiser.contrasts == ANY_CONTRAST


def working_memory(denoiser: DenoiserShape, shape: tuple[int, ...]) -> float:
    """Bytes that a denoiser needs for one image.

    Its own ``memory(shape)`` if it has one, otherwise that of 16 features in 6 layers.
    """
    own = getattr(denoiser, "memory", None)
    return float(own(shape)) if own else _FEATURES * _LAYERS * math.prod(shape) * _REAL

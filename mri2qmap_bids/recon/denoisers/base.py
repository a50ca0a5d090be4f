"""Interface of a denoiser."""

from typing import Protocol, runtime_checkable

import torch

ANY_CONTRAST = ("any",)
"""Value of ``contrasts`` for a denoiser of single images of any contrast."""
# Assumed features per voxel at full resolution, and layers, of a denoiser without ``memory(shape)``.
_FEATURES, _LAYERS = 16, 6
_REAL = 4.0  # bytes


@runtime_checkable
class DenoiserShape(Protocol):
    """Properties of a denoiser that determine its cost."""

    @property
    def contrasts(self) -> tuple[str, ...]:
        """Names of the channels, in order, keys of ``DENOISED_CONTRASTS``; or ``ANY_CONTRAST``."""

    @property
    def multiple(self) -> int:
        """Image sizes must be multiples of this."""

    def operations(self, shape: tuple[int, int]) -> float:
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
            Shape (batch, channel, y, x), y and x multiples of ``multiple``; the brightest tissue
            is about 1. A missing contrast is 0, and so is its sigma. Any number of
            channels if ``contrasts`` is ``ANY_CONTRAST``.
        sigma
            Standard deviation of the noise in each voxel, in the images' unit, shape of
            ``images``.
        """


def dimensions(denoiser: DenoiserShape) -> int:
    """2 for a denoiser of slices, 3 for one of volumes: its ``n_dims``, 2 if it has none."""
    return int(getattr(denoiser, "n_dims", 2))


def is_separate(denoiser: DenoiserShape) -> bool:
    """Whether a denoiser processes one contrast at a time."""
    return denoiser.contrasts == ANY_CONTRAST


def working_memory(denoiser: DenoiserShape, shape: tuple[int, int]) -> float:
    """Bytes that a denoiser needs for one image.

    Its own ``memory(shape)`` if it has one, otherwise that of 16 features in 6 layers.
    """
    own = getattr(denoiser, "memory", None)
    return float(own(shape)) if own else _FEATURES * _LAYERS * shape[0] * shape[1] * _REAL

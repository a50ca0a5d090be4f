"""What the reconstruction asks of a denoiser."""

from typing import Protocol, runtime_checkable

import torch

ANY_CONTRAST = ("any",)
"""Contrasts of a denoiser that sees one image at a time, whatever it shows."""
# Features of a voxel at full resolution that a denoiser holds, if it does not tell, and their layers.
_FEATURES, _LAYERS = 16, 6
_REAL = 4.0  # bytes


@runtime_checkable
class DenoiserShape(Protocol):
    """What the cost of a denoiser depends on."""

    @property
    def contrasts(self) -> tuple[str, ...]:
        """Names of the channels, in order, keys of ``DENOISED_CONTRASTS``; or ``ANY_CONTRAST``."""

    @property
    def multiple(self) -> int:
        """Image sizes must be multiples of this."""

    def operations(self, shape: tuple[int, int]) -> float:
        """Multiplications for one image of this size: of all channels together, or of one."""


@runtime_checkable
class Denoiser(DenoiserShape, Protocol):
    """Noisy images and the noise level of every voxel to clean images.

    Anything with these members will do: a network of this package, or a wrapper around one of
    another library.
    """

    def forward(self, images: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """Clean images.

        Parameters
        ----------
        images
            Shape (batch, channel, y, x), y and x multiples of ``multiple``; the brightest tissue
            is about 1. A contrast that is missing is 0, and so is its sigma. Any number of
            channels where ``contrasts`` is ``ANY_CONTRAST``.
        sigma
            Standard deviation of the noise in each voxel, in the images' unit, shape of
            ``images``.
        """


def is_separate(denoiser: DenoiserShape) -> bool:
    """Whether a denoiser sees one contrast at a time."""
    return denoiser.contrasts == ANY_CONTRAST


def working_memory(denoiser: DenoiserShape, shape: tuple[int, int]) -> float:
    """Bytes that a denoiser holds while it works on one image.

    Its own ``memory(shape)`` if it has one, else that of 16 features in 6 layers.
    """
    own = getattr(denoiser, "memory", None)
    return float(own(shape)) if own else _FEATURES * _LAYERS * shape[0] * shape[1] * _REAL

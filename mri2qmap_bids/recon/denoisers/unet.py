"""Network of the denoiser: a small residual U-Net for slices or volumes of one or several contrasts."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mri2qmap_bids.recon.denoisers.base import ANY_CONTRAST

ARCHITECTURE = "residual-unet"
"""Tag of this network in the cards of weights."""
_LAYERS, _REAL = 6, 4.0  # layers in memory at the same time, counted in the code; bytes


@dataclass(frozen=True)
class UNetShape:
    """Parameters of the network.

    Raises
    ------
    ValueError
        If the contrasts are no names, or a number is not whole or out of range.
    """

    contrasts: tuple[str, ...] = ("T1w", "T2w", "PDw", "FLAIR", "T1ratio", "T2ratio")
    """Name of every channel, in order; or ``ANY_CONTRAST``."""
    width: int = 64
    """Features at half resolution; doubled at every level below."""
    n_levels: int = 2
    """Resolutions, the first half that of the image and each half of the one above."""
    n_blocks: int = 2
    """Residual blocks at every level, going down and going up."""
    n_dims: int = 2
    """2: a network of slices, 3: of volumes."""

    def __post_init__(self) -> None:
        if not self.contrasts or not all(isinstance(name, str) for name in self.contrasts):
            raise ValueError(f"contrasts must be names, got {self.contrasts!r}")
        for name, most in (("width", 4096), ("n_levels", 8), ("n_blocks", 64)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise ValueError(f"{name} must be a whole number from 1 to {most}, got {value!r}")
        if self.n_dims not in (2, 3):
            raise ValueError(f"n_dims must be 2 or 3, got {self.n_dims!r}")

    @property
    def separate(self) -> bool:
        """Whether every contrast is denoised separately."""
        return self.contrasts == ANY_CONTRAST

    def operations(self, shape: tuple[int, ...]) -> float:
        """Multiplications for one image of this size: for all contrasts together, or for one."""
        return math.prod(shape) / self.block * self._products()

    def memory(self, shape: tuple[int, ...]) -> float:
        """Bytes of the features of one image of this size."""
        return math.prod(shape) * self.width / self.block * _REAL * _LAYERS

    @property
    def block(self) -> int:
        """Voxels that are rearranged into channels: 2 along every axis."""
        return int(2**self.n_dims)

    def _products(self) -> int:
        """Multiplications for every block of voxels."""
        n_contrasts, kernel, block = len(self.contrasts), 3**self.n_dims, self.block
        widths = [self.width * 2**level for level in range(self.n_levels)]
        ends = kernel * (block * 2 + block) * n_contrasts * widths[0]
        blocks = sum(
            (1 if level == self.n_levels - 1 else 2)
            * self.n_blocks
            * 2
            * kernel
            * width**2
            / block**level
            for level, width in enumerate(widths)
        )
        between = sum(
            2 * fine * coarse / block**level
            for level, (fine, coarse) in enumerate(zip(widths, widths[1:], strict=False))
        )
        return int(ends + blocks + between)

    @property
    def multiple(self) -> int:
        """Image sizes must be multiples of this."""
        return int(2**self.n_levels)


class UNet(nn.Module):
    """Denoises contrasts, given the noise level of every voxel.

    D(w, s) = w + U([w, s]), where U is a residual U-Net without bias terms, so that
    D(c w, c s) = c D(w, s) for c > 0: the units of the images do not matter. All channels
    are denoised together, so that an edge in a less noisy contrast guides a noisier one; or, with the
    contrasts ``ANY_CONTRAST``, every channel separately, with the same weights. Blocks of
    2 x 2 (x 2) voxels are rearranged into channels, which makes the layers four (eight) times cheaper.

    Parameters
    ----------
    shape
        Channels, sizes and dimensions.

    References
    ----------
    Zhang et al., Plug-and-play image restoration with deep denoiser prior (2021),
    doi:10.1109/TPAMI.2021.3088914. Zhang et al., FFDNet (2018), doi:10.1109/TIP.2018.2839891.
    Shi et al., Real-time single image and video super-resolution using an efficient sub-pixel
    convolutional neural network (2016), doi:10.1109/CVPR.2016.207.
    """

    def __init__(self, shape: UNetShape) -> None:
        super().__init__()
        self.shape = shape
        self.contrasts, self.multiple, self.n_dims = shape.contrasts, shape.multiple, shape.n_dims
        convolution = _CONVOLUTIONS[shape.n_dims]
        transposed = _TRANSPOSED[shape.n_dims]
        n_contrasts, block = len(shape.contrasts), shape.block
        widths = [shape.width * 2**level for level in range(shape.n_levels)]

        def blocks(width: int) -> nn.Sequential:
            return nn.Sequential(*[_Residual(width, shape.n_dims) for _ in range(shape.n_blocks)])

        self.head = convolution(block * 2 * n_contrasts, widths[0], 3, padding=1, bias=False)
        self.down = nn.ModuleList(blocks(width) for width in widths[:-1])
        self.shrink = nn.ModuleList(
            convolution(fine, coarse, 2, stride=2, bias=False)
            for fine, coarse in zip(widths, widths[1:], strict=False)
        )
        self.bottom = blocks(widths[-1])
        self.grow = nn.ModuleList(
            transposed(coarse, fine, 2, stride=2, bias=False)
            for fine, coarse in zip(widths, widths[1:], strict=False)
        )
        self.up = nn.ModuleList(blocks(width) for width in widths[:-1])
        self.tail = convolution(widths[0], block * n_contrasts, 3, padding=1, bias=False)

    def operations(self, shape: tuple[int, ...]) -> float:
        """As :meth:`UNetShape.operations`."""
        return self.shape.operations(shape)

    def memory(self, shape: tuple[int, ...]) -> float:
        """As :meth:`UNetShape.memory`."""
        return self.shape.memory(shape)

    def forward(self, images: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """Denoised contrasts.

        Parameters
        ----------
        images
            Shape (batch, contrast, *space), sizes multiples of ``shape.multiple``; any number of
            contrasts if they are separate. A missing contrast is 0, and so is its
            sigma.
        sigma
            Standard deviation of the noise in each voxel, in the images' unit, shape of
            ``images``.
        """
        if self.shape.separate:
            alone = (-1, 1, *images.shape[2:])
            return self._cleaned(images.reshape(alone), sigma.reshape(alone)).view(images.shape)
        return self._cleaned(images, sigma)

    def _cleaned(self, images: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        features = self.head(blocks_as_channels(torch.cat([images, sigma], dim=1)))
        skipped = []
        for blocks, shrink in zip(self.down, self.shrink, strict=True):
            features = blocks(features)
            skipped.append(features)
            features = shrink(features)
        features = self.bottom(features)
        for level in reversed(range(len(self.up))):
            features = self.up[level](self.grow[level](features) + skipped[level])
        cleaned: torch.Tensor = images + channels_as_blocks(self.tail(features))
        return cleaned


def blocks_as_channels(images: torch.Tensor) -> torch.Tensor:
    """Rearrange blocks of 2 voxels along every axis into channels.

    Parameters
    ----------
    images
        Shape (batch, channel, *space), even sizes, 2 or 3 axes in space.

    Returns
    -------
    Shape (batch, channel * 2^d, *space / 2).
    """
    if images.ndim == 4:
        return nn.functional.pixel_unshuffle(images, 2)
    n, c, nz, ny, nx = images.shape
    split = images.reshape(n, c, nz // 2, 2, ny // 2, 2, nx // 2, 2)
    return split.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(n, c * 8, nz // 2, ny // 2, nx // 2)


def channels_as_blocks(features: torch.Tensor) -> torch.Tensor:
    """Inverse of :func:`blocks_as_channels`."""
    if features.ndim == 4:
        return nn.functional.pixel_shuffle(features, 2)
    n, c, nz, ny, nx = features.shape
    split = features.reshape(n, c // 8, 2, 2, 2, nz, ny, nx)
    return split.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(n, c // 8, nz * 2, ny * 2, nx * 2)


class _Residual(nn.Module):
    """x + conv(relu(conv(x)))."""

    def __init__(self, width: int, n_dims: int) -> None:
        super().__init__()
        convolution = _CONVOLUTIONS[n_dims]
        self.first = convolution(width, width, 3, padding=1, bias=False)
        self.second = convolution(width, width, 3, padding=1, bias=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        changed: torch.Tensor = self.second(torch.relu(self.first(features)))
        return features + changed


def memory_format(n_dims: int) -> torch.memory_format:
    """Order of a network's tensors in memory, channels fastest: convolutions are fastest in it."""
    return torch.channels_last if n_dims == 2 else torch.channels_last_3d


_CONVOLUTIONS: dict[int, Any] = {2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED: dict[int, Any] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}

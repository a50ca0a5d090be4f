"""Network of the denoiser: a small residual U-Net for co-registered contrasts or for one image."""

import math
from dataclasses import dataclass

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

    def __post_init__(self) -> None:
        if not self.contrasts or not all(isinstance(name, str) for name in self.contrasts):
            raise ValueError(f"contrasts must be names, got {self.contrasts!r}")
        for name, most in (("width", 4096), ("n_levels", 8), ("n_blocks", 64)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise ValueError(f"{name} must be a whole number from 1 to {most}, got {value!r}")

    @property
    def separate(self) -> bool:
        """Whether every contrast is denoised by itself."""
        return self.contrasts == ANY_CONTRAST

    def operations(self, shape: tuple[int, int]) -> float:
        """Multiplications for one image of this size: for all contrasts together, or for one."""
        return math.prod(shape) / 4 * self._products()

    def memory(self, shape: tuple[int, int]) -> float:
        """Bytes of the features of one image of this size."""
        return math.prod(shape) * self.width / 4 * _REAL * _LAYERS

    def _products(self) -> int:
        """Multiplications for every 2 x 2 voxels."""
        n_contrasts, kernel = len(self.contrasts), 9
        widths = [self.width * 2**level for level in range(self.n_levels)]
        ends = kernel * (4 * 2 + 4) * n_contrasts * widths[0]
        blocks = sum(
            (1 if level == self.n_levels - 1 else 2)
            * self.n_blocks
            * 2
            * kernel
            * width**2
            / 4**level
            for level, width in enumerate(widths)
        )
        between = sum(
            2 * fine * coarse / 4**level
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
    2 x 2 voxels are rearranged into channels, which makes the layers four times cheaper.

    Parameters
    ----------
    shape
        Channels and sizes.

    References
    ----------
    Zhang et al., Plug-and-play image restoration with deep denoiser prior (2021),
    doi:10.1109/TPAMI.2021.3088914. Zhang et al., FFDNet (2018), doi:10.1109/TIP.2018.2839891.
    """

    def __init__(self, shape: UNetShape) -> None:
        super().__init__()
        self.shape = shape
        self.contrasts, self.multiple = shape.contrasts, shape.multiple
        n_contrasts = len(shape.contrasts)
        widths = [shape.width * 2**level for level in range(shape.n_levels)]
        self.head = _convolution(4 * 2 * n_contrasts, widths[0])
        self.down = nn.ModuleList(_blocks(width, shape.n_blocks) for width in widths[:-1])
        self.shrink = nn.ModuleList(
            nn.Conv2d(fine, coarse, 2, stride=2, bias=False)
            for fine, coarse in zip(widths, widths[1:], strict=False)
        )
        self.bottom = _blocks(widths[-1], shape.n_blocks)
        self.grow = nn.ModuleList(
            nn.ConvTranspose2d(coarse, fine, 2, stride=2, bias=False)
            for fine, coarse in zip(widths, widths[1:], strict=False)
        )
        self.up = nn.ModuleList(_blocks(width, shape.n_blocks) for width in widths[:-1])
        self.tail = _convolution(widths[0], 4 * n_contrasts)

    def operations(self, shape: tuple[int, int]) -> float:
        """As :meth:`UNetShape.operations`."""
        return self.shape.operations(shape)

    def forward(self, images: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """Denoised contrasts.

        Parameters
        ----------
        images
            Shape (batch, contrast, y, x), y and x multiples of ``shape.multiple``; any number of
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
        squares = nn.functional.pixel_unshuffle(torch.cat([images, sigma], dim=1), 2)
        features = self.head(squares)
        skipped = []
        for blocks, shrink in zip(self.down, self.shrink, strict=True):
            features = blocks(features)
            skipped.append(features)
            features = shrink(features)
        features = self.bottom(features)
        for level in reversed(range(len(self.up))):
            features = self.up[level](self.grow[level](features) + skipped[level])
        cleaned: torch.Tensor = images + nn.functional.pixel_shuffle(self.tail(features), 2)
        return cleaned


class _Residual(nn.Module):
    """x + conv(relu(conv(x)))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _convolution(width, width)
        self.second = _convolution(width, width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        changed: torch.Tensor = self.second(torch.relu(self.first(features)))
        return features + changed


def _convolution(n_in: int, n_out: int) -> nn.Conv2d:
    return nn.Conv2d(n_in, n_out, 3, padding=1, bias=False)


def _blocks(width: int, n_blocks: int) -> nn.Sequential:
    return nn.Sequential(*[_Residual(width) for _ in range(n_blocks)])

"""A prior that denoises the components of the subspace image directly."""

from dataclasses import dataclass

import torch

from mri2qmap_bids.recon.arrays import NoiseDeviation, SubspaceImage
from mri2qmap_bids.recon.denoisers.base import Denoiser
from mri2qmap_bids.recon.denoisers.views import denoise


@dataclass(frozen=True, eq=False)
class ComponentPrior:
    """Plug-and-play prior for the subspace image itself, without the signal model.

    The real and the imaginary part of every component are scaled to 0..1 and denoised as images of
    one contrast. With a denoiser of joint contrasts this is the first contrast; the others are
    marked as missing.

    References
    ----------
    Fatania et al., A plug-and-play approach to multiparametric quantitative MRI (2022),
    doi:10.1109/ISBI52829.2022.9761603.
    """

    denoiser: Denoiser
    """The denoiser."""
    noise_scale: float
    """Noise level given to the denoiser, relative to that of the image."""

    def correct(self, image: SubspaceImage, deviation: NoiseDeviation) -> SubspaceImage:
        """The denoised image, shape (rank, *space)."""
        parts = torch.cat([image.real, image.imag])
        levels = torch.cat([deviation, deviation])
        clean = torch.stack([self._denoised(*pair) for pair in zip(parts, levels, strict=True)])
        return torch.complex(clean[: len(image)], clean[len(image) :])

    def _denoised(self, part: torch.Tensor, deviation: torch.Tensor) -> torch.Tensor:
        low, high = part.min(), part.max()
        span = (high - low).clamp_min(1e-30)
        images = part.new_zeros((len(self.denoiser.contrasts), *part.shape))
        sigma = torch.zeros_like(images)
        images[0] = (part - low) / span
        sigma[0] = self.noise_scale * deviation / span
        return denoise(self.denoiser, images, sigma)[0] * span + low

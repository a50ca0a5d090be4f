"""The prior of MRI2Qmap: a denoiser of weighted images that are synthesised from the maps."""

from dataclasses import dataclass

import torch

from mri2qmap_bids.recon.arrays import NoiseDeviation, QuantityMap, SubspaceImage
from mri2qmap_bids.recon.denoisers.base import Denoiser, is_separate
from mri2qmap_bids.recon.denoisers.views import denoise
from mri2qmap_bids.recon.physics.contrasts import (
    DENOISED_CONTRASTS,
    log_slopes,
    synthesise,
    t1_of_ratio,
    t2_of_ratio,
    white_of,
)
from mri2qmap_bids.recon.physics.dictionary import Dictionary
from mri2qmap_bids.recon.physics.matching import TissueMaps, inside_grid, match, signal_of
from mri2qmap_bids.recon.physics.uncertainty import noise_factors

_TINY = 1e-30
_VOXELS_AT_ONCE = 262144


@dataclass(frozen=True)
class PriorOptions:
    """Noise parameters and batch sizes of the prior."""

    noise_scale: float = 1.0
    """Noise level given to the denoiser, relative to that of the contrasts."""
    detail: tuple[float, float, float] = (0.04, 0.06, 0.04)
    """Standard deviation of log T1, log T2 and log M0 in detail that a denoiser cannot infer: the
    assumed error of a denoised map where the noise is much larger. Zero: no fusion, the denoised maps
    are used."""
    voxels_at_once: int = 4096
    """Voxels matched together."""
    slices_at_once: int = 8
    """Slices denoised together."""


@dataclass(frozen=True, eq=False)
class Prior:
    """Denoises subspace images, by a dictionary and a denoiser of contrasts."""

    dictionary: Dictionary
    """Fingerprints, on the images' device."""
    denoiser: Denoiser
    """The denoiser; its contrasts are those synthesised, or all if it takes them one by one."""
    options: PriorOptions = PriorOptions()
    """Noise parameters and batch sizes."""
    b1: QuantityMap | None = None
    """Transmit field of the images' voxels, relative to nominal; None: nominal."""

    def maps(self, image: SubspaceImage, deviation: NoiseDeviation) -> TissueMaps:
        """The denoised and fused maps; see :func:`correct_maps`."""
        return correct_maps(image, deviation, self.dictionary, self.denoiser, self.options, self.b1)

    def correct(self, image: SubspaceImage, deviation: NoiseDeviation) -> SubspaceImage:
        """The image predicted from the fused maps, z = m0 Phi^H d(theta)."""
        return signal_of(self.maps(image, deviation), self.dictionary)


def correct_maps(
    image: SubspaceImage,
    deviation: NoiseDeviation,
    dictionary: Dictionary,
    denoiser: Denoiser,
    options: PriorOptions,
    b1: QuantityMap | None = None,
) -> TissueMaps:
    """Maps fused from the matched subspace image and its denoised synthetic contrasts.

    1. match: theta, m0 from x, and the covariance C of their errors (Cramer-Rao bound);
    2. synthesise the contrasts w_k, with the noise levels |L^T grad w_k|, C = L L^T;
    3. denoise: v = D(w, sigma), and compute theta and m0 from v; 4. fuse both, p from x and q
    from v in (log T1, log T2, log m0), weighted by their precisions:
    (C^-1 + E^-1)^-1 (C^-1 p + E^-1 q), with E = C_ii detail_i^2 / (C_ii + detail_i^2) on the
    diagonal: the assumed error of a denoised map exceeds neither the noise nor ``detail``.

    Parameters
    ----------
    image
        Subspace image x, shape (rank, *space).
    deviation
        Of the noise in the real and in the imaginary part of every component of x, shape (rank,).
    dictionary
        Fingerprints on the same device.
    denoiser
        The denoiser; its contrasts are those synthesised, or all if it takes them one by one.
    options
        Noise parameters and batch sizes.
    b1
        Transmit field relative to nominal, shape (*space); None: nominal.

    References
    ----------
    Golbabaee et al., MRI2Qmap (2026), arXiv:2603.11316.
    """
    at_once = options.voxels_at_once
    first = match(image, dictionary, exhaustive=False, voxels_at_once=at_once, b1=b1)
    magnitude = first.m0.abs()
    names = tuple(DENOISED_CONTRASTS) if is_separate(denoiser) else denoiser.contrasts
    contrasts = torch.stack(
        [synthesise(DENOISED_CONTRASTS[name], magnitude, first.t1, first.t2) for name in names]
    )
    factors = noise_factors(first, dictionary, deviation)
    sigma = contrast_deviations(first, factors, names)
    white = white_of(contrasts[None], names)[0]
    clean = white * denoise(
        denoiser, contrasts / white, options.noise_scale * sigma / white, options.slices_at_once
    )
    denoised_maps = maps_of_contrasts(clean, names, dictionary)
    if min(options.detail) > 0:
        denoised_maps = _fused(first, factors, denoised_maps, options.detail)
    t1, t2 = inside_grid(denoised_maps[0], denoised_maps[1], dictionary)
    phase = first.m0 / magnitude.clamp_min(_TINY)
    m0 = denoised_maps[2] * phase
    return TissueMaps(t1=t1, t2=t2, m0=m0, correlation=first.correlation, b1=b1)


def maps_of_contrasts(
    contrasts: torch.Tensor, names: tuple[str, ...], dictionary: Dictionary
) -> tuple[QuantityMap, QuantityMap, QuantityMap]:
    """T1, T2 and |M0| from (denoised) contrasts.

    T1 and T2 are computed from the ratios, M0 from the proton-density-weighted image, which depends
    least on T1 and T2.

    Parameters
    ----------
    contrasts
        Shape (contrast, *space).
    names
        Of the contrasts; T1ratio, T2ratio and PDw must be among them.
    dictionary
        Its T1 and T2 range limits the maps.
    """
    t1 = t1_of_ratio(contrasts[names.index("T1ratio")])
    t2 = t2_of_ratio(contrasts[names.index("T2ratio")])
    t1, t2 = inside_grid(t1, t2, dictionary)
    unit = synthesise(DENOISED_CONTRASTS["PDw"], torch.ones_like(t1), t1, t2)
    return t1, t2, contrasts[names.index("PDw")] / unit.clamp_min(1e-3)


def contrast_deviations(
    maps: TissueMaps, factors: torch.Tensor, names: tuple[str, ...]
) -> torch.Tensor:
    """Standard deviation of the noise in each contrast, shape (contrast, *space)."""
    magnitude = maps.m0.abs().clamp_min(_TINY)
    levels = []
    for name in names:
        contrast = DENOISED_CONTRASTS[name]
        slopes = log_slopes(contrast, maps.t1, maps.t2)
        level = (factors * slopes[..., None]).sum(-2).norm(dim=-1)
        levels.append(level / magnitude if contrast.normalised else level)
    return torch.stack(levels)


def _fused(
    first: TissueMaps,
    factors: torch.Tensor,
    denoised_maps: tuple[QuantityMap, QuantityMap, QuantityMap],
    detail: tuple[float, float, float],
) -> tuple[QuantityMap, QuantityMap, QuantityMap]:
    """Precision-weighted mean of both estimates of (T1, T2, |M0|), in logarithms."""
    magnitude = first.m0.abs()
    smallest = 1e-6 * float(magnitude.max()) + _TINY
    own = torch.stack([first.t1, first.t2, magnitude]).flatten(1)
    other = torch.stack(denoised_maps).flatten(1)
    parts = [
        _fused_part(*part, smallest, detail)
        for part in zip(
            torch.split(own, _VOXELS_AT_ONCE, 1),
            torch.split(other, _VOXELS_AT_ONCE, 1),
            torch.split(factors.reshape(-1, 3, 3), _VOXELS_AT_ONCE),
            strict=True,
        )
    ]
    t1, t2, m0 = torch.cat(parts, 1).reshape(3, *magnitude.shape)
    return t1, t2, m0


def _fused_part(
    own: torch.Tensor,
    other: torch.Tensor,
    factors: torch.Tensor,
    smallest: float,
    detail: tuple[float, float, float],
) -> torch.Tensor:
    """:func:`_fused` for some voxels; (T1, T2, |M0|) of shape (3, voxel)."""
    lowest = torch.tensor([_TINY, _TINY, smallest], device=own.device)
    logs = [values.T.clamp_min(lowest).log() for values in (own, other)]
    scaled = factors / own[2].clamp_min(smallest)[:, None, None]
    covariance = scaled @ scaled.mT
    noise = covariance.diagonal(dim1=-2, dim2=-1)
    prior_variance = torch.tensor(detail, device=noise.device).square()
    spread = noise * prior_variance / (noise + prior_variance)
    # (C^-1 + E^-1)^-1 (C^-1 p + E^-1 q) = q + E (C + E)^-1 (p - q)
    gap = torch.linalg.solve(covariance + torch.diag_embed(spread), logs[0] - logs[1])
    fused: torch.Tensor = (logs[1] + spread * gap).exp().T
    return fused

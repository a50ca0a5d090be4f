"""Routine weighted images, synthesised from quantitative maps by their signal equations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from mri2qmap_bids.recon.arrays import QuantityMap
from mri2qmap_bids.recon.physics.maps import QuantitativeMaps

_LOG_STEP = 0.02
# M0, T1 and T2 of a bright tissue.
_BRIGHT = (torch.ones(1), torch.tensor([0.7]), torch.tensor([0.3]))


@dataclass(frozen=True)
class Contrast:
    """The timing of one routine weighted acquisition."""

    kind: Literal["spoiled_gradient_echo", "spin_echo", "inversion_spin_echo"]
    repetition_time: float
    """[s]"""
    echo_time: float
    """[s]"""
    flip_angle: float = torch.pi / 2
    """[rad]; spoiled gradient echo only."""
    inversion_time: float = 0.0
    """[s]; inversion spin echo only."""
    normalised: bool = False
    """Whether M0 (and the receive field with it) is divided out, as in a ratio of two images."""


ROUTINE_CONTRASTS: dict[str, Contrast] = {
    "T1w": Contrast("spoiled_gradient_echo", 0.018, 0.003, flip_angle=0.4363),
    "T2w": Contrast("spin_echo", 5.0, 0.090),
    "PDw": Contrast("spin_echo", 5.0, 0.015),
    "FLAIR": Contrast("inversion_spin_echo", 9.0, 0.100, inversion_time=2.5),
}

DENOISED_CONTRASTS: dict[str, Contrast] = {
    **ROUTINE_CONTRASTS,
    "T1ratio": Contrast("spoiled_gradient_echo", 0.018, 0.0, flip_angle=0.4363, normalised=True),
    "T2ratio": Contrast("spin_echo", 1e6, 0.075, normalised=True),
}
"""Input of the denoiser: the routine images, and the ratios T1w/PDw and T2w/PDw in their ideal
form, which depend on T1 alone and on T2 alone. Errors common to both images cancel in the ratio,
so it determines T1 and T2 more precisely than the single images do."""


def synthesise(
    contrast: Contrast, m0: QuantityMap, t1: QuantityMap, t2: QuantityMap
) -> QuantityMap:
    """Magnitude of a weighted image, |m0| |s(t1, t2)|, or |s| alone if normalised.

    With E = exp(-TR/T1):

    - spoiled gradient echo: s = sin(a) (1 - E) / (1 - E cos a) exp(-TE/T2)
    - spin echo: s = (1 - E) exp(-TE/T2)
    - inversion spin echo: s = (1 - 2 exp(-TI/T1) + E) exp(-TE/T2)

    Parameters
    ----------
    contrast
        Timing.
    m0
        Magnitude of the equilibrium signal, any shape.
    t1, t2
        Relaxation times [s], same shape; where they are 0 the image is 0.

    References
    ----------
    Bernstein, King, Zhou, Handbook of MRI Pulse Sequences (2004), chapters 14 and 16.
    """
    recovery = torch.exp(-contrast.repetition_time / t1.clamp_min(1e-6))
    decay = torch.exp(-contrast.echo_time / t2.clamp_min(1e-6))
    if contrast.kind == "spoiled_gradient_echo":
        flip = torch.tensor(contrast.flip_angle)
        longitudinal = torch.sin(flip) * (1 - recovery) / (1 - recovery * torch.cos(flip))
    elif contrast.kind == "spin_echo":
        longitudinal = 1 - recovery
    else:
        inverted = torch.exp(-contrast.inversion_time / t1.clamp_min(1e-6))
        longitudinal = (1 - 2 * inverted + recovery).abs()
    signal = longitudinal * decay if contrast.normalised else m0 * longitudinal * decay
    return torch.where((t1 > 0) & (t2 > 0) & (m0 > 0), signal, torch.zeros_like(signal))


def weighted(names: Sequence[str]) -> torch.Tensor:
    """Which contrasts are weighted images rather than ratios, boolean, shape (contrast,)."""
    return torch.tensor([not DENOISED_CONTRASTS[name].normalised for name in names])


def t1_of_ratio(values: torch.Tensor) -> torch.Tensor:
    """T1 [s] from the T1ratio contrast: its signal equation solved for T1.

    With u = sin a (1 - E) / (1 - E cos a), E = (sin a - u) / (sin a - u cos a) and
    T1 = -TR / log E. Values beyond the equation's range give the limit of T1.

    Parameters
    ----------
    values
        The contrast, any shape.
    """
    contrast = DENOISED_CONTRASTS["T1ratio"]
    sine, cosine = np.sin(contrast.flip_angle), np.cos(contrast.flip_angle)
    recovery = (sine - values) / (sine - values.clamp_max(float(sine)) * cosine)
    return -contrast.repetition_time / torch.log(recovery.clamp(1e-6, 1 - 1e-6))


def t2_of_ratio(values: torch.Tensor) -> torch.Tensor:
    """T2 [s] from the T2ratio contrast, -TE / log u.

    Parameters
    ----------
    values
        The contrast, any shape.
    """
    return -DENOISED_CONTRASTS["T2ratio"].echo_time / torch.log(values.clamp(1e-6, 1 - 1e-6))


def white_of(images: torch.Tensor, names: tuple[str, ...]) -> torch.Tensor:
    """Scale of each contrast: the intensity of the brightest tissue.

    The 98th percentile of voxels that are not dark; for a normalised contrast a constant.

    Parameters
    ----------
    images
        Shape (item, contrast, *space).
    names
        Of the contrasts.

    Returns
    -------
    Shape (item, contrast, 1, ..., 1).
    """
    columns = []
    for index, name in enumerate(names):
        if DENOISED_CONTRASTS[name].normalised:
            whites = synthesise(DENOISED_CONTRASTS[name], *_BRIGHT).expand(len(images))
        else:
            whites = torch.stack([_bright(image.flatten()) for image in images[:, index]])
        columns.append(whites.to(images.device))
    return torch.stack(columns, 1)[(..., *[None] * (images.ndim - 2))].clamp_min(1e-30)


def _bright(values: torch.Tensor) -> torch.Tensor:
    # torch does not compute quantiles of many millions of values; a subsample is enough.
    sample = values[:: values.numel() // 1_000_000 + 1]
    bright = sample[sample > 0.1 * torch.quantile(sample, 0.99)]
    return torch.quantile(bright, 0.98) if bright.numel() else torch.ones((), device=values.device)


def log_slopes(contrast: Contrast, t1: QuantityMap, t2: QuantityMap) -> torch.Tensor:
    """Derivatives of a weighted image of M0 = 1 along log T1, log T2 and log M0.

    Central differences of :func:`synthesise`.

    Parameters
    ----------
    contrast
        Timing.
    t1, t2
        Relaxation times [s], same shape.

    Returns
    -------
    Shape (*space, 3).
    """
    one, up, down = torch.ones_like(t1), float(np.exp(_LOG_STEP)), float(np.exp(-_LOG_STEP))
    along_t1 = synthesise(contrast, one, t1 * up, t2) - synthesise(contrast, one, t1 * down, t2)
    along_t2 = synthesise(contrast, one, t1, t2 * up) - synthesise(contrast, one, t1, t2 * down)
    along_m0 = torch.zeros_like(t1) if contrast.normalised else synthesise(contrast, one, t1, t2)
    return torch.stack([along_t1 / (2 * _LOG_STEP), along_t2 / (2 * _LOG_STEP), along_m0], -1)


def synthesise_all(maps: QuantitativeMaps) -> dict[str, NDArray[np.float32]]:
    """All routine contrasts of one scan by BIDS suffix, axes (z, y, x)."""
    m0 = torch.from_numpy(np.abs(maps.m0))
    t1, t2 = torch.from_numpy(maps.t1), torch.from_numpy(maps.t2)
    return {
        suffix: synthesise(contrast, m0, t1, t2).numpy()
        for suffix, contrast in ROUTINE_CONTRASTS.items()
    }

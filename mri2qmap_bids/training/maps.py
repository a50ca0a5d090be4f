"""Random T1, T2 and M0 maps to synthesise contrasts from: of label volumes and of real images."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mri2qmap_bids.simulate.tissue import BRAINWEB_TISSUES, Tissue

T1_RANGE, T2_RANGE = (0.1, 5.0), (0.01, 2.0)
"""Relaxation times that a map may hold [s]."""
# Spread of a tissue's values from one draw to the next, and inside a tissue (smooth, fine).
_TISSUE_SPREAD = (0.15, 0.2, 0.08)
_SMOOTH_SPREAD = (0.04, 0.05, 0.03)
_FINE_SPREAD = (0.05, 0.08, 0.04)
_LEAST_TISSUE = 0.05
# What a T1-weighted image's brightness is taken to mean: (brightness, T1 [s], T2 [s], M0).
_MEANING = (
    (0.00, 4.5, 1.20, 1.00),
    (0.15, 3.5, 0.80, 1.00),
    (0.35, 1.6, 0.10, 0.85),
    (0.50, 1.2, 0.08, 0.80),
    (0.70, 0.8, 0.06, 0.70),
    (0.90, 0.5, 0.09, 0.80),
    (1.30, 0.25, 0.12, 0.90),
)
_LESION_SHARE = 0.3
_MOST_LESIONS = 4


@dataclass(frozen=True, eq=False)
class RandomMaps:
    """Maps of a batch of patches, shape (batch, *space); all 0 where there is no signal."""

    t1: torch.Tensor
    """[s]"""
    t2: torch.Tensor
    """[s]"""
    m0: torch.Tensor
    """Magnitude, about 1 in tissue."""


def tissue_values(tissues: Sequence[Tissue]) -> torch.Tensor:
    """T1 [s], T2 [s] and M0 of tissues, shape (tissue, 3)."""
    return torch.tensor([(tissue.t1, tissue.t2, tissue.m0) for tissue in tissues])


def maps_of_fractions(
    fractions: torch.Tensor, generator: torch.Generator, values: torch.Tensor | None = None
) -> RandomMaps:
    """Maps from tissue fractions, with tissue values, variation and lesions drawn at random.

    A voxel with fractions f_k has R1 = sum f_k R1_k / sum f_k, R2 alike, and
    M0 = sum f_k M0_k over the tissues that give signal.

    Parameters
    ----------
    fractions
        Of the tissues in their order, 0..1, shape (batch, tissue, *space).
    generator
        Source of randomness, on the device of the fractions.
    values
        Typical T1 [s], T2 [s] and M0, shape (tissue, 3) or (batch, tissue, 3); None: of the BrainWeb
        tissues.
    """
    if values is None:
        values = tissue_values(BRAINWEB_TISSUES)
    values = values.to(fractions.device).expand(len(fractions), -1, 3)
    spread = torch.tensor(_TISSUE_SPREAD, device=fractions.device)
    properties = values * torch.exp(_normal(tuple(values.shape), generator) * spread)
    has_signal = values[..., 2] > 0
    visible = fractions * has_signal.view(*has_signal.shape, *[1] * (fractions.ndim - 2))
    total = visible.sum(1)
    safe = total.clamp_min(_LEAST_TISSUE)
    rate1, rate2, density = (
        torch.einsum("bk...,bk->b...", visible, weights)
        for weights in (1 / properties[..., 0], 1 / properties[..., 1], properties[..., 2])
    )
    t1, t2 = safe / rate1.clamp_min(1e-6), safe / rate2.clamp_min(1e-6)
    return _varied(t1, t2, density, total > _LEAST_TISSUE, generator)


def maps_of_t1w(images: torch.Tensor, generator: torch.Generator) -> RandomMaps:
    """Maps that have the shapes and the texture of real T1-weighted images.

    Brightness is translated to T1, T2 and M0 by smooth curves that are drawn anew for every
    patch, so that no relation between them can be learnt, only that edges coincide.

    Parameters
    ----------
    images
        T1-weighted, brightest tissue about 1, shape (batch, *space).
    generator
        Source of randomness, on the device of the images.
    """
    device, ones = images.device, [1] * (images.ndim - 1)
    table = torch.tensor(_MEANING, device=device)
    knots = table[:, 0].contiguous()
    spread = torch.tensor((0.15, 0.3, 0.1), device=device)
    jitter = _normal((len(images), len(knots), 3), generator) * spread
    nodes = torch.log(table[:, 1:]) + jitter
    gain = torch.exp(0.15 * _normal((len(images), *ones), generator))
    brightness = (images * gain).clamp(0, float(knots[-1]) - 1e-4)
    cell = torch.bucketize(brightness, knots[1:].contiguous(), right=True)
    part = ((brightness - knots[cell]) / (knots[cell + 1] - knots[cell]))[..., None]
    rows = torch.arange(len(images), device=device).view(-1, *ones)
    logs = nodes[rows, cell] * (1 - part) + nodes[rows, cell + 1] * part
    # Air and bone are dark as fluid is: signal fades in with the image's own.
    signal = ((images - 0.03) / 0.09).clamp(0, 1)
    t1, t2, m0 = logs.exp().unbind(-1)
    return _varied(t1, t2, m0 * signal, signal > 0.3, generator)


def _varied(
    t1: torch.Tensor,
    t2: torch.Tensor,
    m0: torch.Tensor,
    mask: torch.Tensor,
    generator: torch.Generator,
) -> RandomMaps:
    """Smooth and fine variation, lesions and receive bias, each independent in T1, T2 and M0."""
    changed, ones = [], [1] * (t1.ndim - 1)
    lesions = [_lesion(t1.shape, generator) for _ in range(_MOST_LESIONS)]
    for values, smooth, fine in zip((t1, t2, m0), _SMOOTH_SPREAD, _FINE_SPREAD, strict=True):
        amount = _uniform((2, len(t1), *ones), 0.0, 1.0, generator)
        log = smooth * amount[0] * smooth_field(t1.shape, 6, generator)
        log = log + fine * amount[1] ** 2 * _fine_field(t1.shape, generator)
        if values is m0:
            log = log + 0.3 * smooth_field(t1.shape, 2, generator)
        for lesion in lesions:
            strength = _uniform((len(t1), *ones), -0.3, 0.8, generator)
            log = log + strength * lesion * (0.15 if values is m0 else 1.0)
        changed.append(values * torch.exp(log))
    zero = torch.zeros_like(t1)
    new_t1 = changed[0].clamp(*T1_RANGE)
    new_t2 = torch.minimum(changed[1].clamp(*T2_RANGE), new_t1)
    return RandomMaps(
        t1=torch.where(mask, new_t1, zero),
        t2=torch.where(mask, new_t2, zero),
        m0=torch.where(mask, changed[2], zero),
    )


def _lesion(shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    """0 to 1: a soft-edged ellipse, or ellipsoid, in some of the patches."""
    n, *space = shape
    device, ones = generator.device, [1] * len(space)
    axes = [torch.arange(size, device=device) for size in space]
    centre = _uniform((len(space), n, *ones), 0.0, 1.0, generator)
    radius = _uniform((len(space), n, *ones), 1.2, 7.0, generator)
    away = sum(
        ((grid - middle * size) / reach) ** 2
        for grid, middle, size, reach in zip(
            torch.meshgrid(*axes, indexing="ij"), centre, space, radius, strict=True
        )
    )
    there = _uniform((n, *ones), 0.0, 1.0, generator) < _LESION_SHARE
    assert isinstance(away, torch.Tensor)
    return torch.sigmoid((1 - away.sqrt()) * radius.mean(0) / 0.5) * there


def smooth_field(
    shape: tuple[int, ...] | torch.Size, cells: int, generator: torch.Generator
) -> torch.Tensor:
    """Smooth random numbers of variance about 1 that change over a ``cells``-th of the patch.

    Parameters
    ----------
    shape
        (batch, *space).
    cells
        Number of independent values along every axis.
    generator
        Source of randomness.
    """
    space = tuple(shape[1:])
    coarse = _normal((shape[0], 1, *[cells] * len(space)), generator)
    if len(space) == 2:
        fine = torch.nn.functional.interpolate(coarse, space, mode="bicubic", align_corners=False)
        return fine[:, 0]
    # Averages of neighbours have less variance: 0.4 in three dimensions.
    fine = torch.nn.functional.interpolate(coarse, space, mode="trilinear", align_corners=False)
    return 1.6 * fine[:, 0]


def _fine_field(shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    """Texture of variance 1: white or, from patch to patch, smoother."""
    white = _normal(tuple(shape), generator)
    flat = white.ndim == 3
    pool = torch.nn.functional.avg_pool2d if flat else torch.nn.functional.avg_pool3d
    smooth = pool(white[:, None], 3, 1, 1)[:, 0] * 3 ** ((white.ndim - 1) / 2)
    share = _uniform((shape[0], *[1] * (white.ndim - 1)), 0.0, 1.0, generator)
    return (share * white + (1 - share) * smooth) / (share**2 + (1 - share) ** 2).sqrt()


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    return torch.randn(shape, generator=generator, device=generator.device)


def _uniform(
    shape: tuple[int, ...], low: float, high: float, generator: torch.Generator
) -> torch.Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator, device=generator.device)

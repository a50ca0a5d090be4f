"""Batches to train on: random patches, their contrasts and their noise."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch

from mri2qmap_bids.recon.physics.contrasts import weighted, white_of
from mri2qmap_bids.training.data import Slice, TissueSlice, contrasts_of
from mri2qmap_bids.training.maps import RandomMaps, maps_of_fractions, maps_of_t1w
from mri2qmap_bids.training.noise import NoiseTables, directly, through_maps

T = TypeVar("T")

_ZOOMS = (1.0, 1.0, 1.5, 2.0)
# Noise of synthesised contrasts that came through maps rather than being added to them.
_THROUGH_MAPS = 0.7
# Synthesised patches without the ratios, as real images are.
_WITHOUT_RATIOS = 0.15
# Patches of one contrast whose noise is white and of one level, known exactly.
_WHITE_NOISE = 0.6


@dataclass(frozen=True, eq=False)
class Sources:
    """Everything that patches are cut from."""

    contrasts: tuple[str, ...]
    """BIDS suffix of every channel."""
    real: Sequence[Slice]
    """Real weighted images."""
    tissues: Sequence[TissueSlice]
    """Anatomies to synthesise contrasts of."""
    tables: NoiseTables
    """How a fingerprint's noise reaches the maps."""

    @cached_property
    def textures(self) -> list[Slice]:
        """Real slices whose T1-weighted image can be turned into maps."""
        index = self.contrasts.index("T1w")
        return [item for item in self.real if item.present[index]]


@dataclass(frozen=True, eq=False)
class Batch:
    """Input of one training step; each of shape (batch, contrast, *space)."""

    clean: torch.Tensor
    """Clean images."""
    noisy: torch.Tensor
    """Noisy images; 0 where a contrast is missing."""
    sigma: torch.Tensor
    """Noise level given to the network; 0 where a contrast is missing."""
    counted: torch.Tensor
    """1 where the clean image is known: not in a missing contrast, nor in a ratio where there is
    no signal."""
    white: torch.Tensor
    """What each contrast was divided by, shape (batch, contrast, 1, ..., 1)."""
    t1: torch.Tensor
    """True T1 [s], shape (batch, *space); 0 where not known, or not to be read off the contrasts."""
    t2: torch.Tensor
    """True T2 [s], shape (batch, *space); 0 where not known."""
    m0: torch.Tensor
    """True M0, shape (batch, *space); 0 where not known."""

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device."""
        return Batch(*(getattr(self, f.name).to(device) for f in fields(self)))

    @property
    def maps(self) -> RandomMaps:
        """The true maps."""
        return RandomMaps(self.t1, self.t2, self.m0)


def draw_batch(
    sources: Sources,
    n: int,
    edge: int,
    sigma_range: tuple[float, float],
    shares: tuple[float, float, float],
    rng: np.random.Generator,
    separate: bool = False,
) -> Batch:
    """One batch of patches from the three kinds of source.

    Parameters
    ----------
    sources
        Where from.
    n
        Patches.
    edge
        Edge of a patch [voxel].
    sigma_range
        Noise levels, drawn log-uniformly; 1 is the brightest tissue.
    shares
        Parts from anatomies, from T1-weighted images turned into maps, and from real images
        as they are; a kind without slices gives none.
    rng
        Source of randomness.
    separate
        Patches of one contrast each, drawn from those that there are.
    """
    generator = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
    counts = _counts(sources, n, shares, rng)
    if separate:
        return _separate(sources, counts, edge, sigma_range, rng, generator)
    parts: list[Batch] = []
    if counts[0]:
        maps = _of_anatomies(sources, counts[0], edge, rng, generator)
        parts.append(_synthetic(maps, sources, sigma_range, generator))
    if counts[1]:
        maps = _of_textures(sources, counts[1], edge, rng, generator)
        parts.append(_synthetic(maps, sources, sigma_range, generator))
    if counts[2]:
        clean, present = _of_images(sources, counts[2], edge, rng, generator)
        parts.append(_added(clean, present, sigma_range, generator))
    names = [f.name for f in fields(Batch)]
    return Batch(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


def _separate(
    sources: Sources,
    counts: list[int],
    edge: int,
    sigma_range: tuple[float, float],
    rng: np.random.Generator,
    generator: torch.Generator,
) -> Batch:
    """Patches of one contrast each.

    The noise is white and of one level in most, as added noise is, and uneven and coloured in
    the others, as a reconstruction leaves it.
    """
    images: list[torch.Tensor] = []
    counted: list[torch.Tensor] = []
    for count, draw_maps in zip(counts, (_of_anatomies, _of_textures), strict=False):
        if count:
            maps = draw_maps(sources, count, edge, rng, generator)
            clean = contrasts_of(maps, sources.contrasts)
            images.append((clean / white_of(clean, sources.contrasts)).clamp_max(4))
            counted.append(meaningful(maps, sources.contrasts))
    if counts[2]:
        clean, present = _of_images(sources, counts[2], edge, rng, generator)
        images.append(clean)
        counted.append(present[:, :, None, None].float().expand_as(clean))
    all_images, all_counted = torch.cat(images), torch.cat(counted)
    there = all_counted.amax((2, 3))
    channel = torch.multinomial(there, 1, generator=generator)[:, :, None, None]
    channel = channel.expand(-1, -1, edge, edge)
    clean = all_images.gather(1, channel)
    low, high = np.log(sigma_range)
    level = torch.exp(low + (high - low) * torch.rand((len(clean), 1), generator=generator))
    noisy, sigma = directly(clean, level, generator)
    even = level[:, :, None, None].expand_as(clean)
    plain = clean + even * torch.randn(clean.shape, generator=generator)
    white = torch.rand((len(clean), 1, 1, 1), generator=generator) < _WHITE_NOISE
    unknown = torch.zeros_like(clean[:, 0])
    return Batch(
        clean=clean,
        noisy=torch.where(white, plain, noisy),
        sigma=torch.where(white, even, sigma),
        counted=all_counted.gather(1, channel),
        white=torch.ones_like(level)[:, :, None, None],
        t1=unknown,
        t2=unknown,
        m0=unknown,
    )


def _counts(
    sources: Sources, n: int, shares: tuple[float, float, float], rng: np.random.Generator
) -> list[int]:
    """Patches from anatomies, from T1-weighted images turned into maps, and from real images."""
    kinds = (sources.tissues, sources.textures, sources.real)
    weights = np.array(shares) * np.array([len(items) > 0 for items in kinds])
    return [int(count) for count in rng.multinomial(n, weights / weights.sum())]


def _of_anatomies(
    sources: Sources, n: int, edge: int, rng: np.random.Generator, generator: torch.Generator
) -> RandomMaps:
    cut = [_patch(_one(sources.tissues, rng).fractions, edge, rng) for _ in range(n)]
    return maps_of_fractions(torch.stack(cut) / 255, generator)


def _of_textures(
    sources: Sources, n: int, edge: int, rng: np.random.Generator, generator: torch.Generator
) -> RandomMaps:
    channel = sources.contrasts.index("T1w")
    cut = [_patch(_one(sources.textures, rng).images[[channel]], edge, rng) for _ in range(n)]
    return maps_of_t1w(torch.cat(cut), generator)


def _of_images(
    sources: Sources, n: int, edge: int, rng: np.random.Generator, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Real images of random brightness, and which of them there are."""
    items = [_one(sources.real, rng) for _ in range(n)]
    clean = torch.stack([_patch(item.images, edge, rng) for item in items])
    gain = 0.6 + 0.7 * torch.rand((n, 1, 1, 1), generator=generator)
    return clean * gain, torch.from_numpy(np.stack([item.present for item in items]))


def meaningful(maps: RandomMaps, contrasts: tuple[str, ...]) -> torch.Tensor:
    """1 where a contrast of maps means something: everywhere, but a ratio only where there is signal."""
    plain = weighted(contrasts)
    channels = plain.to(maps.m0.device).view(-1, *[1] * (maps.m0.ndim - 1))
    return torch.where(channels, 1.0, (maps.m0 > 0.1).float()[:, None])


def _synthetic(
    maps: RandomMaps,
    sources: Sources,
    sigma_range: tuple[float, float],
    generator: torch.Generator,
) -> Batch:
    """Contrasts of maps, each scaled to its own white, with either kind of noise."""
    clean = contrasts_of(maps, sources.contrasts)
    n, n_contrasts = clean.shape[:2]
    own = white_of(clean, sources.contrasts)
    level = _levels((n, n_contrasts), sigma_range, generator)
    direct, direct_sigma = directly(clean / own, level, generator)
    plain = weighted(sources.contrasts)
    level = _levels((n, 1), sigma_range, generator)[:, 0] * own[:, plain].mean((1, 2, 3))
    noisy, sigma = through_maps(maps, sources.tables, level, generator)
    white = white_of(noisy, sources.contrasts)
    white = white * torch.exp(0.15 * torch.randn((n, n_contrasts, 1, 1), generator=generator))
    by_maps = torch.rand((n, 1, 1, 1), generator=generator) < _THROUGH_MAPS
    whole = torch.rand((n, 1, 1, 1), generator=generator) >= _WITHOUT_RATIOS
    present = (plain[:, None, None] | whole).float()
    has_maps = (maps.m0 > 0) & whole[:, 0]
    zero = torch.zeros(())
    return Batch(
        clean=torch.where(by_maps, clean / white, clean / own).clamp_max(4) * present,
        noisy=torch.where(by_maps, noisy / white, direct).clamp(-4, 4) * present,
        sigma=torch.where(by_maps, sigma / white, direct_sigma).clamp_max(2) * present,
        counted=meaningful(maps, sources.contrasts) * present,
        white=torch.where(by_maps, white, own),
        t1=torch.where(has_maps, maps.t1, zero),
        t2=torch.where(has_maps, maps.t2, zero),
        m0=torch.where(has_maps, maps.m0, zero),
    )


def _added(
    clean: torch.Tensor,
    present: torch.Tensor,
    sigma_range: tuple[float, float],
    generator: torch.Generator,
) -> Batch:
    """Clean images with noise of a level near to one another added to every channel."""
    level = _levels(present.shape, sigma_range, generator)
    noisy, sigma = directly(clean, level, generator)
    mask = present[:, :, None, None].float().expand_as(clean)
    unknown = torch.zeros_like(clean[:, 0])
    return Batch(
        clean=clean * mask,
        noisy=noisy * mask,
        sigma=sigma * mask,
        counted=mask,
        white=torch.ones_like(mask[..., :1, :1]),
        t1=unknown,
        t2=unknown,
        m0=unknown,
    )


def _levels(
    shape: tuple[int, ...] | torch.Size, limits: tuple[float, float], generator: torch.Generator
) -> torch.Tensor:
    """Log-uniform levels, common to an item but for a factor of its channels."""
    low, high = np.log(limits)
    common = low + (high - low) * torch.rand((shape[0], 1), generator=generator)
    own = 0.7 * torch.randn(tuple(shape), generator=generator)
    return torch.exp((common + own).clamp(low, high))


def _patch(images: np.ndarray, edge: int, rng: np.random.Generator) -> torch.Tensor:
    """A random square of (channel, y, x), flipped, turned, and enlarged or not."""
    size = int(edge / rng.choice(_ZOOMS))
    padding = [(0, max(size - length, 0)) for length in images.shape[1:]]
    if any(end for _, end in padding):
        images = np.pad(images, [(0, 0), *padding])
    y, x = (int(rng.integers(length - size + 1)) for length in images.shape[1:])
    cut = np.rot90(images[:, y : y + size, x : x + size], int(rng.integers(4)), axes=(1, 2))
    cut = cut[:, :: int(rng.choice((-1, 1)))]
    patch = torch.from_numpy(np.ascontiguousarray(cut, dtype=np.float32))
    if size == edge:
        return patch
    return torch.nn.functional.interpolate(
        patch[None], size=(edge, edge), mode="bilinear", align_corners=False
    )[0]


def _one(items: Sequence[T], rng: np.random.Generator) -> T:
    return items[int(rng.integers(len(items)))]

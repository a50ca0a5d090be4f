"""Batches of volume patches: maps of random heads, and contrasts as a reconstruction gives them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mri2qmap_bids.recon.physics.contrasts import weighted, white_of
from mri2qmap_bids.recon.physics.dictionary import Dictionary
from mri2qmap_bids.training.data import contrasts_of
from mri2qmap_bids.training.draw import Batch, meaningful
from mri2qmap_bids.training.heads import Heads, anatomy_maps, texture_maps
from mri2qmap_bids.training.maps import RandomMaps
from mri2qmap_bids.training.scans import coarse, scanned, without_margin

# Voxels around a patch that are simulated and cut off, since the transforms are periodic.
_MARGIN = 5
_WHITE_ERROR = 0.15
_LEAST_SIGMA = 1e-4


@dataclass(frozen=True, eq=False)
class VolumeSources:
    """Everything that batches of volume patches are made of, on one device."""

    contrasts: tuple[str, ...]
    """BIDS suffix of every channel."""
    heads: Heads
    """Anatomies and T1-weighted volumes."""
    dictionaries: Sequence[Dictionary]
    """Of random pulse sequences."""


def draw_volume_batch(
    sources: VolumeSources,
    n: int,
    edge: int,
    sigma_range: tuple[float, float],
    shares: tuple[float, float],
    rng: np.random.Generator,
) -> Batch:
    """One batch of patches of ``edge``^3 voxels.

    Parameters
    ----------
    sources
        Where from.
    n
        Number of patches.
    edge
        Edge of a patch [voxel].
    sigma_range
        Noise levels of the unregularised contrasts, drawn log-uniformly; 1 is the brightest tissue.
    shares
        Weights of anatomies and of T1-weighted volumes turned into maps; a kind without volumes gives none.
    rng
        Source of randomness.
    """
    heads, names = sources.heads, sources.contrasts
    generator = torch.Generator(heads.device).manual_seed(int(rng.integers(1 << 62)))
    weights = np.array(shares) * np.array([bool(heads.anatomies), bool(heads.textures)])
    counts = rng.multinomial(n, weights / weights.sum())
    whole = edge + 2 * _MARGIN
    parts = [
        draw(heads, int(count), whole, rng, generator)
        for draw, count in zip((anatomy_maps, texture_maps), counts, strict=True)
        if count
    ]
    maps = RandomMaps(
        *(torch.cat([getattr(part, name) for part in parts]) for name in ("t1", "t2", "m0"))
    )
    low, high = np.log(sigma_range)
    level = torch.exp(low + (high - low) * torch.rand(n, generator=generator, device=heads.device))
    dictionary = sources.dictionaries[int(rng.integers(len(sources.dictionaries)))]
    clean = contrasts_of(maps, names)
    level = level * white_of(coarse(clean), names)[:, weighted(names)].flatten(1).mean(1)
    noisy, sigma = scanned(maps, dictionary, names, level, _MARGIN, generator)
    clean, t1, t2, m0 = (
        without_margin(values, _MARGIN) for values in (clean, maps.t1, maps.t2, maps.m0)
    )
    maps = RandomMaps(t1, t2, m0)
    white = white_of(coarse(noisy), names)
    error = torch.randn((n, len(names)), generator=generator, device=heads.device)
    white = white * torch.exp(_WHITE_ERROR * error)[(..., *[None] * 3)]
    return Batch(
        clean=(clean / white).clamp_max(4),
        noisy=(noisy / white).clamp(-4, 4),
        sigma=(sigma / white).clamp(_LEAST_SIGMA, 2),
        counted=meaningful(maps, names).expand_as(clean),
        white=white,
        t1=maps.t1,
        t2=maps.t2,
        m0=maps.m0,
    )

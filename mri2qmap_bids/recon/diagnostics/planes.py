"""Planes through the middle of the tissue."""

import torch

from mri2qmap_bids.recon.physics.matching import TissueMaps, each_map

# Voxels below this fraction of the bright voxels do not count as tissue.
_DARK = 0.15


def middle_planes(m0: torch.Tensor) -> list[tuple[int, int]]:
    """(axis, index) of the planes through the middle of the signal; (0, 0) for a slice.

    Parameters
    ----------
    m0
        Of a slice or volume, shape (*space).
    """
    if m0.ndim == 2:
        return [(0, 0)]
    signal = tissue_of(m0).float()
    places = []
    for axis in range(3):
        profile = signal.sum(tuple(a for a in range(3) if a != axis))
        where = torch.arange(len(profile), device=profile.device)
        middle = (profile * where).sum() / profile.sum().clamp_min(1)
        places.append((axis, int(middle.round())))
    return places


def tissue_of(m0: torch.Tensor) -> torch.Tensor:
    """Where there is signal, boolean, shape (*space).

    Parameters
    ----------
    m0
        Shape (*space).
    """
    magnitude = m0.abs()
    # A subsample is enough; torch does not compute quantiles of many millions of values.
    sample = magnitude.flatten()[:: magnitude.numel() // 1_000_000 + 1]
    return magnitude > _DARK * torch.quantile(sample, 0.98)


def cut(volume: torch.Tensor, axis: int, index: int) -> torch.Tensor:
    """A plane of (stack, *space); a slice is its own plane.

    Parameters
    ----------
    volume
        Shape (stack, *space).
    axis, index
        Of the plane.
    """
    return volume if volume.ndim == 3 else volume.select(axis + 1, index)


def cut_maps(maps: TissueMaps, axis: int, index: int) -> TissueMaps:
    """The same plane of every map; a slice is its own plane.

    Parameters
    ----------
    maps
        Of a slice or volume.
    axis, index
        Of the plane.
    """
    return maps if maps.t1.ndim == 2 else each_map(maps, lambda m: m.select(axis, index))

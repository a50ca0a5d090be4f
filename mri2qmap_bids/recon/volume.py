"""Maps of all slices, joined to a volume."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mri2qmap_bids.recon.acquisition.geometry import Geometry, affine
from mri2qmap_bids.recon.arrays import QuantityMap
from mri2qmap_bids.recon.diagnostics.model import PartDiagnostics, SliceQuality
from mri2qmap_bids.recon.physics.maps import QuantitativeMaps
from mri2qmap_bids.recon.physics.masking import head_mask
from mri2qmap_bids.recon.physics.matching import TissueMaps


@dataclass(frozen=True, eq=False)
class PartMaps:
    """Maps of one slice, or of a volume that is encoded as a whole."""

    maps: TissueMaps
    """T1, T2 and M0."""
    std: tuple[QuantityMap, QuantityMap]
    """Standard deviations of T1 and T2 [s]."""
    quality: SliceQuality
    """Of the slice, or of the volume."""
    diagnostics: PartDiagnostics | None
    """Of the middle slice alone."""
    resolution: NDArray[np.float64] | None
    """Effective resolution along (z, y, x) [m], if the method gives it; of the middle slice."""
    efficiency: QuantityMap | None = None
    """Efficiency of the inversion at every voxel; None: not estimated."""


def volume_of(parts: Sequence[PartMaps], geometry: Geometry) -> QuantitativeMaps:
    """Maps of the whole scan, with a mask.

    Parameters
    ----------
    parts
        The volume, or all slices in their order along the slice direction.
    geometry
        Grid of the maps.
    """

    def joined(tensors: list[torch.Tensor]) -> torch.Tensor:
        return torch.stack(tensors) if tensors[0].ndim == 2 else tensors[0]

    m0 = joined([part.maps.m0 for part in parts])
    (resolution,) = (part.resolution for part in parts if part.diagnostics is not None)
    efficiencies = [part.efficiency for part in parts if part.efficiency is not None]
    return QuantitativeMaps(
        t1=joined([part.maps.t1 for part in parts]).cpu().numpy(),
        t2=joined([part.maps.t2 for part in parts]).cpu().numpy(),
        m0=m0.cpu().numpy(),
        mask=head_mask(m0, geometry.voxel_size),
        affine=affine(geometry),
        t1_std=joined([part.std[0] for part in parts]).cpu().numpy(),
        t2_std=joined([part.std[1] for part in parts]).cpu().numpy(),
        resolution=resolution,
        inversion_efficiency=joined(efficiencies).cpu().numpy() if efficiencies else None,
    )

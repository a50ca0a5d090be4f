"""Slices stacked to a volume."""

import numpy as np
import torch

from mri2qmap_bids.recon.acquisition.geometry import Geometry, affine
from mri2qmap_bids.recon.diagnostics.model import Figures, PartDiagnostics, SliceQuality
from mri2qmap_bids.recon.physics.matching import TissueMaps
from mri2qmap_bids.recon.volume import PartMaps, volume_of


def _part(value: float, shape: tuple[int, ...], *, is_middle: bool) -> PartMaps:
    t1 = torch.full(shape, value)
    maps = TissueMaps(t1=t1, t2=t1 / 10, m0=t1.to(torch.complex64), correlation=t1)
    diagnostics = PartDiagnostics.__new__(PartDiagnostics) if is_middle else None
    quality = SliceQuality(1.0, 1.0, None, Figures(1.0, 1.0, None))
    resolution = np.ones(3) if is_middle else None
    return PartMaps(maps, (t1 / 100, t1 / 200), quality, diagnostics, resolution)


def _geometry(n_slices: int) -> Geometry:
    x, y, z = np.eye(3)
    return Geometry((n_slices, 4, 5), (5e-3, 2e-3, 2e-3), np.array([0.01, 0.02, 0.03]), x, y, z)


def test_slices_are_stacked_in_their_order() -> None:
    parts = [_part(value, (4, 5), is_middle=value == 2.0) for value in (1.0, 2.0, 3.0)]
    volume = volume_of(parts, _geometry(3))
    assert volume.t1.shape == (3, 4, 5)
    np.testing.assert_array_equal(volume.t1[:, 0, 0], [1.0, 2.0, 3.0])
    np.testing.assert_allclose(volume.t2, volume.t1 / 10)
    np.testing.assert_allclose(volume.t1_std, volume.t1 / 100)
    np.testing.assert_allclose(volume.t2_std, volume.t1 / 200)
    np.testing.assert_array_equal(volume.affine, affine(_geometry(3)))


def test_a_volume_stays_what_it_is() -> None:
    volume = volume_of([_part(1.5, (3, 4, 5), is_middle=True)], _geometry(3))
    assert volume.t1.shape == (3, 4, 5)
    assert (volume.t1 == 1.5).all()

from dataclasses import fields

import numpy as np
import pytest

from mri2qmap_bids.recon.physics.maps import QuantitativeMaps, load_maps, save_maps


@pytest.mark.parametrize("with_std", [True, False])
def test_maps_come_back_as_they_were_saved(tmp_path, with_std):
    rng = np.random.default_rng(0)
    t1, t2 = rng.random((2, 2, 3, 4), np.float32)
    m0 = (t1 + 1j * t2).astype(np.complex64)
    maps = QuantitativeMaps(
        t1, t2, m0, t1 > 0.5, np.diag([1e-3, 2e-3, 3e-3, 1.0]), t1_std=t2 if with_std else None
    )
    save_maps(maps, tmp_path / "maps.npz")
    again = load_maps(tmp_path / "maps.npz")
    for field in fields(maps):
        one, other = getattr(maps, field.name), getattr(again, field.name)
        assert (one is None) == (other is None)
        if one is not None:
            assert one.dtype == other.dtype and np.array_equal(one, other)

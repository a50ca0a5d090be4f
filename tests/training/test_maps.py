"""Random maps."""

import numpy as np
import torch
from helpers.training import some_tissues

from mri2qmap_bids.training.maps import maps_of_fractions, maps_of_t1w


def test_random_maps_are_tissue_where_there_is_tissue():
    generator = torch.Generator().manual_seed(1)
    parts = torch.from_numpy(np.stack([t.fractions for t in some_tissues()])) / 255
    of_labels = maps_of_fractions(parts, generator)
    texture = torch.rand(3, 40, 40)
    for maps, signal in (
        (of_labels, parts[:, 0] < 0.5),
        (maps_of_t1w(texture, generator), texture > 0.1),
    ):
        assert (maps.m0[signal] > 0).all()
        assert (maps.t2 <= maps.t1).all()
        assert ((maps.t1 > 0) == (maps.m0 > 0)).all()
    inside = of_labels.t1[parts[:, 3] > 0.9]
    assert 0.4 < float(inside.median()) < 1.6
    assert (of_labels.m0[parts[:, 0] > 0.99] == 0).all()

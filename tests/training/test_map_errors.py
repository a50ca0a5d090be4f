"""Errors of maps."""

import torch
from helpers.training import CONTRASTS

from mri2qmap_bids.training.data import contrasts_of
from mri2qmap_bids.training.map_errors import (
    TISSUES,
    cell_of,
    contrast_inverse,
    errors_of_maps,
    tissue_pairs,
)
from mri2qmap_bids.training.maps import RandomMaps


def test_small_errors_of_contrasts_mean_the_right_errors_of_maps():
    shape = (1, 4, 4)
    maps = RandomMaps(torch.full(shape, 1.2), torch.full(shape, 0.08), torch.full(shape, 0.8))
    moved = RandomMaps(maps.t1 * 1.01, maps.t2 * 0.98, maps.m0 * 1.005)
    errors = contrasts_of(moved, CONTRASTS) - contrasts_of(maps, CONTRASTS)
    inverse = contrast_inverse(CONTRASTS, torch.device("cpu"))
    relative = errors_of_maps(errors, maps, inverse)[0].mean((1, 2))
    expected = torch.tensor([0.01, -0.02, 0.005])
    assert torch.allclose(relative, expected, rtol=0.15, atol=5e-4)


def test_every_physical_tissue_of_the_grid_lies_in_its_own_cell():
    t1, t2 = tissue_pairs().unbind(1)
    row, column = cell_of(t1, t2)
    index = row * TISSUES[1] + column
    physical = t2 < 0.9 * t1
    assert torch.equal(index[physical], torch.arange(len(t1))[physical])
    assert (t2 <= 0.95 * t1).all()

"""Planes through the middle of the tissue."""

import torch

from mri2qmap_bids.recon.diagnostics.planes import cut, cut_maps, middle_planes, tissue_of
from mri2qmap_bids.recon.physics.matching import TissueMaps


def ball(centre, radius=3, shape=(12, 20, 16)):
    """Signal in a ball, with weak noise elsewhere."""
    torch.manual_seed(0)
    axes = torch.meshgrid(*(torch.arange(n) for n in shape), indexing="ij")
    distance = sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True))
    return torch.where(distance <= radius**2, 1.0, 0.02 * torch.rand(shape)) * (1 + 0j)


def test_the_planes_go_through_the_middle_of_the_signal():
    m0 = ball((4, 12, 7))
    assert middle_planes(m0) == [(0, 4), (1, 12), (2, 7)]
    assert middle_planes(5e3 * m0) == [(0, 4), (1, 12), (2, 7)]  # whatever the scale
    assert middle_planes(m0[4]) == [(0, 0)]
    assert int(tissue_of(m0).sum()) == int((m0.abs() == 1).sum())


def test_a_plane_is_a_slice_of_a_volume_and_a_slice_its_own():
    image = torch.randn(3, 5, 6, 7)
    assert torch.equal(cut(image, 1, 2), image[:, :, 2])
    assert torch.equal(cut(image[:, 0], 1, 2), image[:, 0])
    t1, t2, m0, correlation = torch.rand(4, 5, 6, 7)
    maps = TissueMaps(t1, t2, m0 + 0j, correlation)
    assert torch.equal(cut_maps(maps, 2, 3).t2, maps.t2[..., 3])
    flat = cut_maps(maps, 0, 1)
    assert cut_maps(flat, 2, 3) is flat

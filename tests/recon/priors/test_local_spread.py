import pytest
import torch

from mri2qmap_bids.recon.priors.local_spread import local_spread


@pytest.mark.parametrize("shape", [(7, 6), (5, 6, 7)])
def test_it_is_the_weighted_deviation_of_a_neighbourhood(shape):
    torch.manual_seed(0)
    values, weight = 3 + torch.randn(shape), torch.rand(shape)
    spread = local_spread(values, weight)
    for place in torch.cartesian_prod(*[torch.arange(n) for n in shape])[::5].tolist():
        near = tuple(slice(max(0, p - 1), p + 2) for p in place)
        v, w = values[near].flatten().double(), weight[near].flatten().double()
        mean = (w * v).sum() / w.sum()
        expected = ((w * (v - mean).square()).sum() / w.sum()).sqrt()
        assert spread[tuple(place)] == pytest.approx(float(expected), rel=1e-3, abs=1e-4)


def test_an_even_map_has_none_and_dark_voxels_do_not_count():
    values, weight = torch.full((9, 9), 2.0), torch.ones(9, 9)
    values[:, 5:], weight[:, 5:] = -7.0, 0.0
    spread = local_spread(values, weight)
    assert spread[:, :5].abs().max() < 1e-3
    assert local_spread(values, 0 * weight).abs().max() == 0

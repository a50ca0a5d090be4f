"""The network: its laws, and what it costs."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mri2qmap_bids.recon.denoisers.base import ANY_CONTRAST
from mri2qmap_bids.recon.denoisers.unet import (
    UNet,
    UNetShape,
    blocks_as_channels,
    channels_as_blocks,
)
from mri2qmap_bids.recon.denoisers.views import denoise


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return UNet(UNetShape(width=4)).eval()


@pytest.fixture
def images():
    torch.manual_seed(1)
    return torch.rand(6, 22, 27)


def test_network_does_not_care_for_units(network):
    torch.manual_seed(2)
    noisy, sigma = torch.rand(2, 2, 6, 16, 16)
    assert torch.allclose(
        network(7 * noisy, 7 * sigma), 7 * network(noisy, sigma), rtol=1e-4, atol=1e-5
    )


def test_network_knows_where_the_noise_is(network):
    torch.manual_seed(2)
    noisy, sigma = torch.rand(2, 1, 6, 32, 32)
    louder = sigma.clone()
    louder[..., :4, :4] += 1
    change = (network(noisy, louder) - network(noisy, sigma)).abs()
    assert change[..., :8, :8].mean() > 10 * change[..., -4:, -4:].mean()


def test_separate_contrasts_do_not_see_one_another(images):
    """One by one or all at once, two of them or six: the same answer for each."""
    torch.manual_seed(0)
    network = UNet(UNetShape(ANY_CONTRAST, width=4)).eval()
    sigma = 0.1 * torch.rand(images.shape)
    together = denoise(network, images, sigma)
    assert not torch.equal(together, images)
    for k in range(6):
        alone = denoise(network, images[[k]], sigma[[k]])
        assert torch.allclose(alone, together[[k]], atol=1e-6)
    joint = UNet(UNetShape(width=4)).eval()
    changed, louder = images.clone(), sigma.clone()
    changed[0] += 1
    louder[0] += 1
    assert torch.allclose(denoise(network, changed, louder)[1:], together[1:], atol=1e-6)
    assert not torch.allclose(
        denoise(joint, changed, louder)[1:], denoise(joint, images, sigma)[1:]
    )


@pytest.mark.parametrize(
    "shape",
    [
        UNetShape(),
        UNetShape(width=16, n_levels=3),
        UNetShape(ANY_CONTRAST, 8, 1, 3),
        UNetShape(width=8, n_dims=3),
    ],
)
def test_products_are_those_of_the_layers(shape):
    """Counted by torch, of one image of 32 x 32 (x 32) voxels."""
    network, space = UNet(shape), (32,) * shape.n_dims
    image = torch.rand(1, len(shape.contrasts), *space)
    with FlopCounterMode(display=False) as counter:
        network(image, image)
    assert counter.get_total_flops() == 2 * shape.operations(space)


@pytest.mark.parametrize("n_dims", [2, 3])
def test_blocks_become_channels_and_blocks_again(n_dims):
    images = torch.arange(2.0 * 3 * 4**n_dims).view(2, 3, *[4] * n_dims)
    channels = blocks_as_channels(images)
    assert channels.shape == (2, 3 * 2**n_dims, *[2] * n_dims)
    assert torch.equal(channels_as_blocks(channels), images)
    # The first channels hold the block of the first image.
    corner = images[(0, 0, *[slice(0, 2)] * n_dims)].flatten()
    assert torch.equal(channels[(0, slice(0, 2**n_dims), *[0] * n_dims)], corner)


def test_a_network_of_neither_slices_nor_volumes_is_refused():
    with pytest.raises(ValueError, match="n_dims must be 2 or 3, got 4"):
        UNetShape(n_dims=4)

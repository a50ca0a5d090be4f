"""Slices and volumes in several orientations."""

import pytest
import torch

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.denoisers.unet import UNet, UNetShape
from mri2qmap_bids.recon.denoisers.views import denoise


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return UNet(UNetShape(width=4)).eval()


@pytest.fixture
def images():
    torch.manual_seed(1)
    return torch.rand(6, 22, 27)


def test_denoised_images_keep_shape_and_sign(network, images):
    clean = denoise(network, images, torch.full_like(images, 0.1))
    assert clean.shape == images.shape
    assert (clean >= 0).all()
    assert not torch.equal(clean, images)


def test_wild_voxels_are_kept_from_the_network(network, images):
    sigma = torch.full_like(images, 0.1)
    wild, wildest = images.clone(), images.clone()
    wild[:, 3, 3], wildest[:, 3, 3] = 4.0, 1e9
    assert torch.equal(denoise(network, wild, sigma), denoise(network, wildest, sigma))


def test_volume_is_seen_from_three_sides(network):
    torch.manual_seed(3)
    volume, sigma = torch.rand(2, 6, 12, 16, 20)
    clean = denoise(network, volume, 0.1 * sigma)
    turned = denoise(network, volume.permute(0, 2, 3, 1), 0.1 * sigma.permute(0, 2, 3, 1))
    assert clean.shape == volume.shape
    # The three orientations are averaged, so turning the volume changes the in-plane transposes only.
    assert (clean - turned.permute(0, 3, 1, 2)).norm() < (clean - volume).norm()


def test_empty_images_stay_empty(network):
    empty = torch.zeros(6, 16, 16)
    assert torch.equal(denoise(network, empty, empty), empty)


@pytest.mark.parametrize("axes", [(1,), (2,), (1, 2)])
def test_a_flipped_slice_gives_the_flipped_answer(network, images, axes):
    sigma = 0.1 * torch.rand(images.shape)
    flipped = denoise(network, images.flip(axes), sigma.flip(axes)).flip(axes)
    assert torch.allclose(flipped, denoise(network, images, sigma), atol=1e-5)
    turned = denoise(network, images.transpose(1, 2), sigma.transpose(1, 2)).transpose(1, 2)
    assert torch.allclose(turned, denoise(network, images, sigma), atol=1e-5)


def test_a_volume_is_denoised_as_a_whole_by_a_network_of_volumes():
    torch.manual_seed(0)
    network = UNet(UNetShape(width=4, n_dims=3)).eval()
    images = torch.rand(6, 8, 11, 13)
    sigma = torch.full_like(images, 0.1)
    clean = denoise(network, images, sigma)
    padded = [torch.nn.functional.pad(part, (0, 3, 0, 1))[None] for part in (images, sigma)]
    with torch.no_grad():
        whole = network(*padded)[0, :, :, :11, :13].clamp_min(0)
    assert torch.allclose(clean, whole, atol=1e-6)
    with pytest.raises(ArgumentError, match="needs 3 axes in space, got 2"):
        denoise(network, images[:, 0], sigma[:, 0])

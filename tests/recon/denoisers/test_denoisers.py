"""The denoiser: its laws, its weights on disk, and files that are not weights."""

import json

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mri2qmap_bids.errors import WeightsError
from mri2qmap_bids.recon.denoisers.base import ANY_CONTRAST
from mri2qmap_bids.recon.denoisers.registry import load_denoiser, packaged_weights, save_denoiser
from mri2qmap_bids.recon.denoisers.unet import UNet, UNetShape
from mri2qmap_bids.recon.denoisers.views import denoise

CPU = torch.device("cpu")


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


@pytest.mark.parametrize("name", ["joint", "separate"])
def test_shipped_weights_take_noise_away(name):
    network = load_denoiser(packaged_weights(name), CPU)
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    head = ((y - 30).hypot(x - 33) < 24).float()
    clean = (
        head * (0.6 + 0.2 * ((y // 9 + x // 7) % 2)) * torch.linspace(0.7, 1.0, 6).view(-1, 1, 1)
    )
    # No scanner sees edges sharper than this.
    clean = torch.nn.functional.avg_pool2d(clean, 3, 1, 1)
    torch.manual_seed(4)
    for level in (0.02, 0.05, 0.1, 0.2):
        noisy = clean + level * torch.randn_like(clean)
        sigma = torch.full_like(clean, level)
        denoised = denoise(network, noisy, sigma)
        assert (denoised - clean).norm() < 0.7 * (noisy - clean).norm()


@pytest.mark.parametrize(
    "shape",
    [UNetShape(), UNetShape(width=16, n_levels=3), UNetShape(ANY_CONTRAST, 8, 1, 3)],
)
def test_products_are_those_of_the_layers(shape):
    """Counted by torch, of one image of 32 x 32 voxels."""
    network = UNet(shape)
    image = torch.rand(1, len(shape.contrasts), 32, 32)
    with FlopCounterMode(display=False) as counter:
        network(image, image)
    assert counter.get_total_flops() == 2 * shape.operations((32, 32))


def test_weights_come_back_as_they_were_saved(network, tmp_path):
    path = tmp_path / "w.safetensors"
    save_denoiser(network, {"data": "none"}, path)
    loaded = load_denoiser(path, CPU)
    noisy, sigma = torch.rand(2, 1, 6, 16, 16)
    after, before = loaded(noisy, sigma), network(noisy, sigma)
    assert (after - before).abs().max() < 1e-3 * (before - noisy).abs().max()
    for name, value in network.state_dict().items():
        stored = loaded.state_dict()[name]
        assert stored.dtype == torch.float32
        assert torch.equal(stored, value.half().float())
    assert json.loads(path.with_suffix(".json").read_text())["data"] == "none"


def damage_bytes(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(bytes(content))


def lose_card(path):
    path.with_suffix(".json").unlink()


def change_shape(path):
    card = json.loads(path.with_suffix(".json").read_text())
    card["network"]["width"] = 8
    path.with_suffix(".json").write_text(json.dumps(card))


def lose_weights(path):
    path.unlink()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (damage_bytes, "must have the checksum"),
        (lose_card, "with their card w.json"),
        (change_shape, "must fit the network of its card"),
        (lose_weights, "must be denoiser weights"),
    ],
)
def test_damaged_weights_are_refused(network, tmp_path, damage, words):
    path = tmp_path / "w.safetensors"
    save_denoiser(network, {}, path)
    damage(path)
    with pytest.raises(WeightsError, match=words) as caught:
        load_denoiser(path, CPU)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)

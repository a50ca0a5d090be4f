"""The denoiser: its laws, its weights on disk, and files that are not weights."""

import json

import pytest
import torch

from mri2qmap_bids.errors import WeightsError
from mri2qmap_bids.recon.pnp.denoiser import denoise, load_denoiser, save_denoiser
from mri2qmap_bids.recon.pnp.network import JointDenoiser, NetworkShape

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return JointDenoiser(NetworkShape(width=4)).eval()


@pytest.fixture
def images():
    torch.manual_seed(1)
    return torch.rand(4, 22, 27) * torch.tensor([1.0, 10.0, 0.1, 3.0]).view(4, 1, 1)


def test_network_does_not_care_for_units(network):
    torch.manual_seed(2)
    noisy, sigma = torch.rand(2, 4, 16, 16), torch.rand(2, 4)
    assert torch.allclose(
        network(7 * noisy, 7 * sigma), 7 * network(noisy, sigma), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
def test_denoised_images_keep_shape_unit_and_sign(network, images, factor):
    sigma = torch.tensor([0.1, 1.0, 0.01, 0.3])
    clean = denoise(network, factor * images, factor * sigma)
    assert clean.shape == images.shape
    assert (clean >= 0).all()
    assert torch.allclose(
        clean, factor * denoise(network, images, sigma), rtol=1e-3, atol=1e-4 * factor
    )


def test_channels_of_other_units_are_told_apart(network, images):
    sigma = torch.full((4,), 0.1)
    scale = torch.tensor([1.0, 5.0, 1.0, 1.0])
    scaled = denoise(network, images * scale.view(4, 1, 1), sigma * scale)
    plain = denoise(network, images, sigma) * scale.view(4, 1, 1)
    assert torch.allclose(scaled, plain, rtol=1e-3, atol=1e-4)


def test_volume_is_seen_from_three_sides(network):
    torch.manual_seed(3)
    volume, sigma = torch.rand(4, 12, 16, 20), torch.full((4,), 0.1)
    clean = denoise(network, volume, sigma)
    turned = denoise(network, volume.permute(0, 2, 3, 1), sigma).permute(0, 3, 1, 2)
    assert clean.shape == volume.shape
    # The three orientations are averaged, so turning the volume changes the in-plane transposes only.
    assert (clean - turned).norm() < (clean - volume).norm()


def test_empty_images_stay_empty(network):
    assert torch.equal(
        denoise(network, torch.zeros(4, 16, 16), torch.zeros(4)), torch.zeros(4, 16, 16)
    )


def test_weights_come_back_as_they_were_saved(network, tmp_path):
    path = tmp_path / "w.safetensors"
    save_denoiser(network, {"data": "none"}, path)
    loaded = load_denoiser(path, CPU)
    noisy, sigma = torch.rand(1, 4, 16, 16), torch.rand(1, 4)
    assert torch.allclose(loaded(noisy, sigma), network(noisy, sigma), atol=1e-6)
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

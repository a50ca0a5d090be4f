"""Weights on disk, those of the package, and files that are not weights."""

import json

import pytest
import torch

from mri2qmap_bids.errors import WeightsError
from mri2qmap_bids.recon.denoisers.registry import (
    architecture_named,
    denoiser_shape,
    load_denoiser,
    packaged_weights,
    save_denoiser,
)
from mri2qmap_bids.recon.denoisers.unet import ARCHITECTURE, UNet, UNetShape
from mri2qmap_bids.recon.denoisers.views import denoise

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return UNet(UNetShape(width=4)).eval()


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


@pytest.mark.parametrize("value", [float("nan"), 1e30])
def test_weights_that_are_not_finite_are_refused(network, tmp_path, value):
    with torch.no_grad():
        next(network.parameters())[0] = value  # half precision has no 1e30
    save_denoiser(network, {}, tmp_path / "w.safetensors")
    words = r"w.safetensors: must have finite weights, got NaN or infinite values in 1 of"
    with pytest.raises(WeightsError, match=words):
        load_denoiser(tmp_path / "w.safetensors", CPU)


def test_the_cost_follows_from_the_card_alone(network, tmp_path):
    path = tmp_path / "w.safetensors"
    save_denoiser(network, {}, path)
    path.unlink()
    assert denoiser_shape(path) == network.shape


def test_an_unknown_architecture_is_refused_with_those_there_are():
    assert architecture_named(ARCHITECTURE).build(UNetShape(width=4)).multiple == 4
    with pytest.raises(ValueError, match=f"must be one of {ARCHITECTURE}.*, got 'nothing'"):
        architecture_named("nothing")

import pytest
import torch

from mri2qmap_bids.recon.pnp.noise_level import noise_level, strong_signal


@pytest.mark.parametrize("shape", [(64, 65), (6, 40, 41)])
def test_level_of_white_noise_on_a_smooth_image_is_its_deviation(shape):
    torch.manual_seed(0)
    ramp = torch.linspace(0, 5, shape[-1]).expand(shape)
    levels = torch.tensor([0.01, 0.1, 1.0])
    images = ramp + levels.view(-1, *[1] * len(shape)) * torch.randn(3, *shape)
    found = noise_level(images, torch.ones(shape, dtype=torch.bool))
    assert torch.allclose(found, levels, rtol=0.1)


def test_edges_do_not_count_as_noise():
    torch.manual_seed(0)
    image = (torch.arange(64) // 9 % 2).float().outer(torch.ones(64))[None]
    noisy = image + 0.02 * torch.randn_like(image)
    assert noise_level(noisy, torch.ones(64, 64, dtype=torch.bool)).item() == pytest.approx(
        0.02, rel=0.2
    )


def test_only_the_mask_is_looked_at():
    image = torch.zeros(1, 32, 32)
    torch.manual_seed(0)
    image[..., 16:] = torch.randn(32, 16)
    mask = torch.zeros(32, 32, dtype=torch.bool)
    mask[:, :16] = True
    assert noise_level(image, mask).item() == 0
    assert noise_level(image, torch.zeros(32, 32, dtype=torch.bool)).item() == 0


def test_strong_signal_is_the_object():
    magnitude = torch.full((20, 20), 0.01)
    magnitude[5:15, 5:15] = 1.0
    assert torch.equal(strong_signal(magnitude), magnitude > 0.5)

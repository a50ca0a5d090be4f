import torch

from mri2qmap_bids.recon.denoisers.unet import UNet, UNetShape
from mri2qmap_bids.recon.priors import components
from mri2qmap_bids.recon.priors.components import ComponentPrior


def test_components_are_denoised_one_by_one_in_their_own_range(monkeypatch):
    torch.manual_seed(0)
    image = (
        torch.randn(3, 16, 20, dtype=torch.complex64) * torch.tensor([1.0, 5.0, 0.2])[:, None, None]
    )
    network = UNet(UNetShape(width=4)).eval()
    calls = []

    def halved(network, images, sigma):
        calls.append((images, sigma))
        return images / 2

    monkeypatch.setattr(components, "denoise", halved)
    corrected = ComponentPrior(network, noise_scale=2.0).correct(
        image, torch.tensor([0.1, 0.2, 0.3])
    )
    parts = torch.cat([image.real, image.imag])
    low = parts.flatten(1).amin(1)[:, None, None]
    expected = (parts - low) / 2 + low
    assert torch.allclose(torch.cat([corrected.real, corrected.imag]), expected, atol=1e-5)
    levels = [0.2, 0.4, 0.6] * 2
    for part, level, (images, sigma) in zip(parts, levels, calls, strict=True):
        assert images.min() == 0 and images.max() == 1
        assert (images[1:] == 0).all() and (sigma[1:] == 0).all()
        assert torch.allclose(sigma[0], level / (part.max() - part.min()))

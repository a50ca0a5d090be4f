import torch

from mri2qmap_bids.recon.frequency import frequency_axes


def test_axes_are_the_frequencies_of_the_transform_in_its_order():
    shape = (4, 5, 6)
    axes = frequency_axes(shape, torch.device("cpu"))
    assert torch.broadcast_shapes(*(axis.shape for axis in axes)) == shape
    wave = torch.zeros(shape, dtype=torch.complex64)
    wave[1, 3, 2] = 1
    image = torch.fft.ifftn(wave) * 4 * 5 * 6
    places = torch.meshgrid(*[torch.arange(n) for n in shape], indexing="ij")
    phase = sum(f.expand(shape)[1, 3, 2] * p for f, p in zip(axes, places, strict=True))
    assert torch.allclose(image, torch.exp(2j * torch.pi * phase), atol=1e-5)


def test_frequencies_are_below_half_a_cycle_per_voxel():
    for axis in frequency_axes((7, 8), torch.device("cpu")):
        assert axis.abs().max() <= 0.5 and axis.flatten()[0] == 0

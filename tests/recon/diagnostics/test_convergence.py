"""The energy that the last linear solve did not fit."""

import numpy as np
import torch

from mri2qmap_bids.recon.diagnostics.convergence import convergence_of


def test_energy_left_is_told_by_component_and_shell():
    """A distance in the outer half of k-space only, of one component, is seen there and nowhere else."""
    torch.manual_seed(0)
    n = 32
    image = torch.randn(2, n, n, dtype=torch.complex64)
    frequency = 2 * torch.fft.fftfreq(n)
    outer = frequency[:, None].hypot(frequency[None, :]) >= 0.5
    correction = torch.zeros_like(image)
    correction[1] = torch.fft.ifftn(0.5 * outer * torch.fft.fftn(image[1]))
    energy = convergence_of(image, correction, torch.zeros(2), True).energy_left
    assert energy.shape == (3, 16)
    assert np.allclose(energy[2, 8:], 0.25, atol=1e-4) and np.allclose(energy[:, :8], 0, atol=1e-6)
    assert np.allclose(energy[1], 0, atol=1e-6)
    assert energy[0, 8:].min() > 0.05 and energy[0, 8:].max() < 0.2
    # Noise as strong as the image halves the share.
    noisy = convergence_of(image, correction, torch.full((2,), 0.5**0.5), True).energy_left
    assert np.allclose(noisy[2, 8:].mean(), 0.125, atol=0.02)

"""Density compensation: the area of k-space of every sample."""

import numpy as np
import pytest
import torch

from mri2qmap_bids.recon.encoding.density import density_compensation


def test_density_of_a_radial_trajectory_grows_with_radius():
    angles = torch.pi * torch.arange(60) / 60
    radii = torch.linspace(-torch.pi, torch.pi, 65)[:-1]
    omega = torch.stack([torch.outer(angles.cos(), radii), torch.outer(angles.sin(), radii)], -1)
    weights = density_compensation(omega.reshape(-1, 2), (32, 32)).reshape(60, 64).mean(0)
    inner = radii.abs()[4:-4]
    ratio = weights[4:-4] / inner.clamp_min(1e-9)
    band = (inner > 0.4) & (inner < 2.6)
    assert ratio[band].std() < 0.1 * ratio[band].mean()
    assert weights.min() > 0


def test_density_agrees_with_mri_nufft():
    mrinufft = pytest.importorskip("mrinufft")
    torch.manual_seed(0)
    omega = (torch.rand(3000, 2) * 2 - 1) * torch.pi * torch.rand(3000, 1)
    ours = density_compensation(omega, (24, 24)).numpy()
    theirs = mrinufft.get_operator("finufft").pipe(omega.numpy(), (48, 48), max_iter=10)
    theirs = np.abs(theirs)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.98


def test_even_sampling_has_even_weights_whose_sum_is_one():
    frequency = 2 * torch.pi * torch.fft.fftfreq(16)
    weights = density_compensation(torch.cartesian_prod(frequency, frequency), (16, 16))
    assert torch.allclose(weights, torch.tensor(1 / 256), rtol=0.02)
    assert float(weights.sum()) == pytest.approx(1, rel=1e-5)


def test_samples_that_are_read_twice_count_half():
    torch.manual_seed(0)
    omega = (2 * torch.rand(400, 2) - 1) * torch.pi
    once = density_compensation(omega, (12, 12))
    twice = density_compensation(omega.repeat(2, 1), (12, 12))
    assert torch.allclose(twice[:400], once / 2, rtol=1e-3)
    assert torch.allclose(twice[400:], twice[:400], rtol=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("dim", [2, 3])
def test_weights_on_a_gpu_are_those_on_the_cpu(dim):
    torch.manual_seed(0)
    omega = (2 * torch.rand(2000, dim) - 1) * torch.pi * torch.rand(2000, 1)
    there = density_compensation(omega.cuda(), (16,) * dim).cpu()
    assert torch.allclose(there, density_compensation(omega, (16,) * dim), rtol=1e-3)

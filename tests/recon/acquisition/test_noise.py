import pytest
import torch

from mri2qmap_bids.recon.acquisition.noise import noise_scale, whitening_matrix


def coloured(n_coils=4, n_samples=20000):
    torch.manual_seed(0)
    mixing = torch.randn(n_coils, n_coils, dtype=torch.complex64)
    return mixing, mixing @ torch.randn(n_coils, n_samples, dtype=torch.complex64)


def test_whitened_noise_has_unit_covariance():
    _, noise = coloured()
    white = whitening_matrix(noise) @ noise
    covariance = white @ white.mH / white.shape[1]
    assert torch.allclose(covariance, torch.eye(4, dtype=torch.complex64), atol=1e-4)


def test_whitening_generalises_to_other_noise_of_the_same_coils():
    mixing, noise = coloured()
    torch.manual_seed(1)
    other = mixing @ torch.randn(4, 20000, dtype=torch.complex64)
    white = whitening_matrix(noise) @ other
    covariance = white @ white.mH / white.shape[1]
    assert torch.allclose(covariance, torch.eye(4, dtype=torch.complex64), atol=0.05)


def test_too_few_samples_or_a_dead_coil_are_refused():
    _, noise = coloured(n_samples=7)
    with pytest.raises(ValueError, match="at least 8 samples, got 7"):
        whitening_matrix(noise)
    _, noise = coloured()
    noise[2] = 0
    with pytest.raises(ValueError, match="positive definite"):
        whitening_matrix(noise)


def test_noise_scales_with_the_root_of_the_bandwidth_where_it_is_known():
    assert noise_scale(1.0, 4.0) == 0.5
    assert noise_scale(4.0, 1.0) == 2.0
    assert noise_scale(0.0, 4.0) == noise_scale(4.0, float("inf")) == 1.0

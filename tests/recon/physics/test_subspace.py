import pytest
import torch

from mri2qmap_bids.recon.physics.subspace import temporal_basis


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_basis_is_orthonormal_and_holds_the_energy(dtype):
    torch.manual_seed(0)
    signals = torch.randn(300, 5, dtype=dtype) @ torch.randn(5, 40, dtype=dtype)
    basis, energy = temporal_basis(signals, rank=5)
    assert basis.dtype == dtype
    assert torch.allclose(basis.mH @ basis, torch.eye(5, dtype=dtype), atol=1e-5)
    projected = (signals @ basis.conj()) @ basis.mT
    assert (projected - signals).norm() < 1e-4 * signals.norm()
    assert energy == pytest.approx(1, abs=1e-6)


def test_rank_is_the_smallest_that_holds_the_asked_energy():
    torch.manual_seed(0)
    scale = 10.0 ** -torch.arange(20.0)
    signals = torch.randn(500, 20) * scale
    basis, energy = temporal_basis(signals, energy=0.9999)
    _, less = temporal_basis(signals, rank=basis.shape[1] - 1)
    assert energy >= 0.9999 > less


def test_energy_is_what_the_projection_keeps():
    torch.manual_seed(0)
    signals = torch.randn(500, 20)
    basis, energy = temporal_basis(signals, rank=7)
    share = (signals @ basis).norm() ** 2 / signals.norm() ** 2
    assert energy == pytest.approx(float(share), rel=1e-4)

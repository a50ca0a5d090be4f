"""Sensitivities and coil compression: laws that hold for any data, and accuracy on phantoms."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from mri2qmap_bids.errors import RawDataError
from mri2qmap_bids.recon.encoding.coils import compress_coils, estimate_sensitivities
from mri2qmap_bids.recon.encoding.nufft import Nufft
from mri2qmap_bids.sigpy_loader import sigpy_module

birdcage_maps = sigpy_module("sigpy.mri").birdcage_maps


def spirals(n: int, dim: int) -> Tensor:
    """Golden-angle spiral arms out to the edge of k-space, in 3D each in a plane of its own."""
    rng = np.random.default_rng(0)
    n_arms = n if dim == 2 else n * n // 2
    radius = np.pi * np.linspace(0, 1, 4 * n)
    arms = []
    for arm in range(n_arms):
        angle = radius * n / 32 + 2 * np.pi * arm * 0.381966
        plane = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)
        frame = np.linalg.qr(rng.standard_normal((3, 3)))[0] if dim == 3 else np.eye(2)
        arms.append(plane @ frame[:2])
    return torch.from_numpy(np.concatenate(arms)).to(torch.float32)


class Phantom:
    """Off-centre ellipsoid with texture and phase, under birdcage coils."""

    def __init__(self, shape: Sequence[int], noise: float = 0.0, size: float = 0.7) -> None:
        axes = [np.linspace(-1, 1, n, endpoint=False) for n in shape]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"))
        self.shape = tuple(shape)
        radius = np.sqrt(((grid - 0.1) ** 2).sum(0)) / size
        self.mask = torch.from_numpy(radius < 1)
        texture = (radius < 1) * (1 + 0.5 * np.cos(9 * grid[0]) * np.cos(7 * grid[-1]))
        image = torch.from_numpy(texture * np.exp(3j * grid[-1] ** 2 + 2j * grid[0]))
        self.maps = torch.from_numpy(birdcage_maps((6, *shape))).to(torch.complex64)
        self.images = self.maps * image.to(torch.complex64)
        self.omega = spirals(max(shape), len(shape))
        generator = torch.Generator().manual_seed(0)
        plan = Nufft(self.omega, self.shape)
        kspace = torch.stack([plan.forward(coil) for coil in self.images])
        disturbance = torch.randn(kspace.shape, generator=generator, dtype=kspace.dtype)
        self.kspace = kspace + noise * kspace.abs().max() * disturbance
        self.contrast = torch.ones(len(self.omega))

    def estimate(self) -> Tensor:
        return estimate_sensitivities(self.kspace, self.omega, self.contrast, self.shape)

    def error(self, maps: Tensor) -> Tensor:
        """1 - |cosine| between estimated and true coil vectors, per voxel of the object."""
        lengths = torch.linalg.vector_norm(self.maps, dim=0) * torch.linalg.vector_norm(maps, dim=0)
        error: Tensor = 1 - (maps.conj() * self.maps).sum(0).abs() / lengths
        return error[self.mask]


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return Phantom((48, 48), noise=1e-3)


@pytest.fixture(scope="module")
def maps(phantom: Phantom) -> Tensor:
    return phantom.estimate()


@pytest.mark.parametrize(
    ("shape", "noise", "mean", "worst"),
    [
        ((48, 48), 0.0, 2e-5, 5e-4),
        ((48, 48), 3e-3, 3e-5, 1e-3),
        ((48, 48), 1e-2, 1e-4, 2e-3),
        ((32, 32), 1e-3, 3e-5, 2e-3),
        ((37, 50), 1e-3, 3e-5, 3e-3),
        ((24, 24, 24), 0.0, 3e-4, 6e-3),
        ((24, 24, 24), 3e-3, 4e-4, 8e-3),
        ((12, 31, 32), 1e-3, 1e-4, 2e-3),
    ],
)
def test_recovers_birdcage_coils(
    shape: tuple[int, ...], noise: float, mean: float, worst: float
) -> None:
    phantom = Phantom(shape, noise=noise)
    error = phantom.error(phantom.estimate())
    assert error.mean() < mean
    assert error.max() < worst


def test_unit_sum_of_squares_shape_type_and_device(phantom: Phantom, maps: Tensor) -> None:
    assert maps.shape == phantom.maps.shape
    assert maps.dtype == torch.complex64
    assert maps.device == phantom.kspace.device
    energy = maps.abs().square().sum(0)
    torch.testing.assert_close(energy, torch.ones_like(energy))
    assert maps.is_contiguous()


@pytest.mark.parametrize("size", [0.3, 0.5])
def test_continues_smoothly_where_there_is_only_noise(size: float) -> None:
    phantom = Phantom((64, 64), noise=1e-2, size=size)
    maps = phantom.estimate()
    for axis in (1, 2):
        steps = maps.diff(dim=axis).abs().square().sum(0).sqrt()
        assert steps.max() < 0.2  # of maps of unit length; noise would give 1.4


def test_phase_is_that_of_the_strongest_coil_at_the_centre(maps: Tensor) -> None:
    middle = maps[:, 24, 24]
    strongest = middle[middle.abs().argmax()]
    torch.testing.assert_close(strongest.imag, torch.tensor(0.0), atol=1e-3, rtol=0)
    assert strongest.real > 0


def test_single_coil_is_one_everywhere() -> None:
    phantom = Phantom((32, 33))
    alone = estimate_sensitivities(
        phantom.kspace[:1] * 1j, phantom.omega, phantom.contrast, phantom.shape
    )
    torch.testing.assert_close(alone, torch.ones_like(alone))


def test_scale_and_phase_of_the_data_do_not_matter(phantom: Phantom, maps: Tensor) -> None:
    for factor in (1e-6, 1e5j):
        scaled = estimate_sensitivities(
            phantom.kspace * factor, phantom.omega, phantom.contrast, phantom.shape
        )
        torch.testing.assert_close(scaled, maps, atol=3e-3, rtol=0)


def test_order_of_coils_is_kept(phantom: Phantom, maps: Tensor) -> None:
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    permuted = estimate_sensitivities(
        phantom.kspace[order], phantom.omega, phantom.contrast, phantom.shape
    )
    torch.testing.assert_close(permuted, maps[order], atol=3e-3, rtol=0)


@pytest.mark.parametrize("course", ["sign", "imaginary", "turning"])
def test_signal_that_changes_sign_or_phase_along_the_train(phantom: Phantom, course: str) -> None:
    frame = torch.arange(len(phantom.omega)) * 40 // len(phantom.omega)
    signal = {
        "sign": torch.cos(1.1 * frame).to(torch.complex64),
        "imaginary": 1j * torch.cos(1.1 * frame),
        "turning": torch.exp(1.1j * frame),
    }[course]
    inverted = phantom.kspace * signal
    maps = estimate_sensitivities(inverted, phantom.omega, signal.conj(), phantom.shape)
    assert phantom.error(maps).mean() < 1e-3
    ignored = estimate_sensitivities(inverted, phantom.omega, phantom.contrast, phantom.shape)
    assert phantom.error(ignored).mean() > 5 * phantom.error(maps).mean()


def test_needs_the_centre_of_kspace(phantom: Phantom) -> None:
    outside = phantom.omega.abs().amax(dim=1) > 0.9 * torch.pi
    with pytest.raises(RawDataError, match="centre of k-space"):
        estimate_sensitivities(
            phantom.kspace[:, outside],
            phantom.omega[outside],
            phantom.contrast[outside],
            phantom.shape,
        )


def test_no_signal_gives_finite_unit_maps(phantom: Phantom) -> None:
    silent = estimate_sensitivities(
        phantom.kspace * 0, phantom.omega, phantom.contrast, phantom.shape
    )
    energy = silent.abs().square().sum(0)
    torch.testing.assert_close(energy, torch.ones_like(energy))


def test_compression_to_as_many_coils_changes_nothing(phantom: Phantom) -> None:
    for n_virtual in (6, 7):
        torch.testing.assert_close(compress_coils(phantom.kspace, n_virtual), phantom.kspace)


def test_compression_of_dependent_coils_is_lossless() -> None:
    generator = torch.Generator().manual_seed(0)
    independent = torch.randn(3, 500, generator=generator, dtype=torch.complex64)
    mixing = torch.randn(8, 3, generator=generator, dtype=torch.complex64)
    kspace = mixing @ independent
    virtual = compress_coils(kspace, 3)
    assert virtual.shape == (3, 500)
    energy, expected = virtual.abs().square().sum(0), kspace.abs().square().sum(0)
    torch.testing.assert_close(energy, expected, rtol=1e-4, atol=1e-4)


def test_compression_keeps_the_strongest_uncorrelated_and_white() -> None:
    generator = torch.Generator().manual_seed(0)
    strengths = torch.tensor([1.0, 5.0, 0.1, 3.0])[:, None]
    kspace = strengths * torch.randn(4, 20000, generator=generator, dtype=torch.complex64)
    virtual = compress_coils(kspace, 2)
    covariance = virtual @ virtual.mH / 20000
    expected = torch.diag(torch.tensor([25.0, 9.0])).to(torch.complex64)
    torch.testing.assert_close(covariance, expected, atol=0.6, rtol=0)
    assert covariance[0, 1].abs() < 1e-3 * covariance[0, 0].abs()


def test_compressed_coils_lead_to_the_same_image(phantom: Phantom) -> None:
    virtual = compress_coils(phantom.kspace, 4)
    loss = 1 - virtual.abs().square().sum() / phantom.kspace.abs().square().sum()
    assert 0 <= loss < 0.05
    maps = estimate_sensitivities(virtual, phantom.omega, phantom.contrast, phantom.shape)
    assert maps.shape == (4, *phantom.shape)


@pytest.mark.parametrize("n_virtual", [3, 6])
def test_whitening_and_compression_in_one_are_one_after_the_other(n_virtual: int) -> None:
    generator = torch.Generator().manual_seed(0)
    strengths = torch.tensor([1.0, 5.0, 0.1, 3.0, 2.0, 9.0])[:, None]
    kspace = strengths * torch.randn(6, 500, generator=generator, dtype=torch.complex64)
    whitening = torch.randn(6, 6, generator=generator, dtype=torch.complex64).tril()
    together = compress_coils(kspace, n_virtual, whitening)
    apart = compress_coils(whitening @ kspace, n_virtual)
    # Eigenvectors have no phase of their own.
    torch.testing.assert_close(together.abs(), apart.abs(), rtol=1e-3, atol=1e-3)

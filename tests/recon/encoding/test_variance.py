import math

import pytest
import torch
from helpers.laws import relative_error

from mri2qmap_bids.recon.encoding import variance as module
from mri2qmap_bids.recon.encoding.forward import Encoding, forward
from mri2qmap_bids.recon.encoding.variance import (
    ShellVariance,
    residual_variance,
    sample_weights,
)

N, N_COILS = 16, 4
SHELL = math.pi / 16


def encoding(n_samples=40_000):
    """As many samples at every distance from the centre."""
    torch.manual_seed(0)
    radius, angle = math.pi * torch.rand(n_samples), 2 * math.pi * torch.rand(n_samples)
    return Encoding(
        omega=radius[:, None] * torch.stack([angle.sin(), angle.cos()], 1),
        frame=torch.randint(0, 10, (n_samples,)),
        basis=torch.linalg.qr(torch.randn(10, 2))[0],
        coils=torch.randn(N_COILS, N, N, dtype=torch.complex64),
    )


@pytest.fixture(scope="module")
def scan():
    """A, x, A x and white noise of variance 1 in a complex sample."""
    operator = encoding()
    image = torch.randn(2, N, N, dtype=torch.complex64)
    clean = forward(operator, image)
    return operator, image, clean, torch.randn_like(clean)


def radii(operator):
    return torch.linalg.vector_norm(operator.omega, dim=1)


def variance_with(values):
    return ShellVariance(torch.as_tensor(values, dtype=torch.double), 1.0)


def test_noise_alone_is_measured_and_needs_no_weights(scan):
    operator, image, clean, noise = scan
    for sigma in (0.1, 3.0):
        variance = residual_variance(operator, clean + sigma * noise, image)
        # The quietest quarter of 16 shells of 10 000 samples each: within 2 %.
        assert variance.noise == pytest.approx(sigma, rel=0.02)
        assert torch.allclose(variance.values.sqrt(), torch.tensor(sigma).double(), rtol=0.05)
        assert sample_weights(operator.omega, variance) is None


def test_an_error_at_the_centre_lowers_the_weights_there_and_nowhere_else(scan):
    operator, image, clean, noise = scan
    centre = radii(operator) < 3 * SHELL
    wrong = 3.0 * centre * torch.randn_like(clean)
    variance = residual_variance(operator, clean + noise + wrong, image)
    assert variance.noise == pytest.approx(1.0, rel=0.02)
    weights = sample_weights(operator.omega, variance)
    assert weights.max() == 1
    # Between the middles of two shells weights go from one to the other.
    assert (weights[radii(operator) > 4 * SHELL] == 1).all()
    inner = weights[radii(operator) < 2.4 * SHELL]
    assert torch.allclose(inner, torch.tensor(0.1), rtol=0.1)


def test_an_error_of_a_tenth_of_the_variance_is_left_alone(scan):
    operator, image, clean, noise = scan
    louder = 1 + 0.05 * (radii(operator) < 3 * SHELL)
    assert (
        sample_weights(operator.omega, residual_variance(operator, clean + louder * noise, image))
        is None
    )


def test_some_of_many_samples_are_enough(scan, monkeypatch):
    operator, image, clean, noise = scan
    louder = 1 + 3 * (radii(operator) < 3 * SHELL)
    kspace = clean + louder * noise
    whole = residual_variance(operator, kspace, image)
    monkeypatch.setattr(module, "_ENOUGH", 40)  # of the smallest of 256 shares
    part, again = (residual_variance(operator, kspace, image) for _ in range(2))
    assert part.noise == pytest.approx(whole.noise, rel=0.03)
    # 2500 complex samples of a shell: their variance is within a tenth.
    assert torch.allclose(part.values, whole.values, rtol=0.1)
    assert not torch.equal(part.values, whole.values)
    assert torch.equal(part.values, again.values)


def test_weights_are_at_most_one_however_quiet_a_shell_is():
    operator = encoding(2000)
    values = torch.ones(16)
    values[3], values[8] = 0.01, 9.0
    weights = sample_weights(operator.omega, variance_with(values))
    assert weights.max() == 1
    assert 1 / 9 - 1e-6 <= weights.min() < 0.12


def test_weights_fall_as_the_variance_grows():
    operator = encoding(2000)
    torch.manual_seed(1)
    for _ in range(10):
        values = 1 + 5 * torch.rand(16)
        more = values * (1 + torch.rand(16))
        low, high = (sample_weights(operator.omega, variance_with(v)) for v in (values, more))
        assert (high <= low + 1e-6).all() and (high < low - 1e-3).any()


def test_weights_are_the_inverse_variance_in_the_middle_of_a_shell():
    values = torch.linspace(9, 2, 16)
    middle = (torch.arange(16) + 0.5) * SHELL
    omega = torch.stack([torch.zeros(16), middle], 1)
    weights = sample_weights(omega, variance_with(values))
    assert torch.allclose(weights, 1 / values, rtol=1e-4)


def test_the_unit_of_the_data_passes_through(scan):
    operator, image, clean, noise = scan
    wrong = (1 + 4 * (radii(operator) < 2 * SHELL)) * noise
    one = residual_variance(operator, clean + wrong, image)
    other = residual_variance(operator, 1000 * (clean + wrong), 1000 * image)
    assert other.noise == pytest.approx(1000 * one.noise, rel=1e-4)
    assert relative_error(other.values, 1e6 * one.values) < 1e-4
    first, second = (sample_weights(operator.omega, variance) for variance in (one, other))
    assert torch.allclose(first, second, rtol=1e-3)


def test_shells_without_samples_count_as_noise(scan):
    operator, image, clean, noise = scan
    outside = (radii(operator) < 8 * SHELL) | (radii(operator) > 10 * SHELL)
    fewer = Encoding(
        operator.omega[outside], operator.frame[outside], operator.basis, operator.coils
    )
    variance = residual_variance(fewer, (clean + noise)[:, outside], image)
    assert variance.values[8:10].tolist() == pytest.approx([variance.noise**2] * 2)
    assert sample_weights(fewer.omega, variance) is None


def test_no_residual_at_all_gives_finite_weights(scan):
    operator, image, clean, _ = scan
    variance = residual_variance(operator, clean, image)
    assert variance.noise > 0
    weights = sample_weights(operator.omega, variance)
    assert weights is None or (torch.isfinite(weights).all() and weights.max() <= 1)

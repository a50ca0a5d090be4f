"""Displacements and delays from the residual of a known image."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mri2qmap_bids.recon.diagnostics.consistency import consistency_of
from mri2qmap_bids.recon.encoding.forward import Encoding, forward

N, N_FRAMES, N_SAMPLES = 24, 40, 300


@pytest.fixture(scope="module")
def case():
    """A spiral encoding and a smooth image."""
    turn = torch.linspace(0, 1, N_SAMPLES)
    golden = torch.arange(N_FRAMES)[:, None] * 2.4
    angle = 2 * torch.pi * 6 * turn + golden
    omega = 3 * turn[None, :, None] * torch.stack([angle.sin(), angle.cos()], -1)
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(N_FRAMES, 2, generator=generator))[0]
    y, x = torch.meshgrid(torch.arange(N) - 12.0, torch.arange(N) - 12.0, indexing="ij")
    blob = torch.exp(-((x - 2) ** 2 + (y + 1) ** 2 / 2) / 18)
    image = torch.stack([blob, 0.3 * blob * x / 5]).to(torch.complex64)
    frames = torch.arange(N_FRAMES).repeat_interleave(N_SAMPLES)
    coils = torch.ones(1, N, N, dtype=torch.complex64)
    return Encoding(omega.reshape(-1, 2).contiguous(), frames, basis, coils), image


def test_a_consistent_scan_has_neither(case):
    encoding, image = case
    found = consistency_of(encoding, image, forward(encoding, image)[0])
    assert found.moved < 0.01
    assert found.delay < 0.01


def test_a_displacement_is_that_of_the_object(case):
    encoding, image = case
    samples = forward(encoding, image)[0]
    shift = torch.tensor([0.2, -0.5]) * (encoding.frame >= 30)[:, None]
    moved = samples * torch.exp(-1j * (encoding.omega * shift).sum(1))
    found = consistency_of(encoding, image, moved)
    np.testing.assert_allclose(found.displacements[0], [0, 0], atol=0.01)
    np.testing.assert_allclose(found.displacements[-1], [0.2, -0.5], atol=0.05)


def test_the_standard_error_is_that_of_repeated_fits(case):
    encoding, image = case
    samples = forward(encoding, image)[0]
    generator = torch.Generator().manual_seed(1)
    level = 3 * samples.abs().square().mean().sqrt()
    trials = []
    for _ in range(20):
        noise = torch.randn(len(samples), dtype=torch.complex64, generator=generator)
        trials.append(consistency_of(encoding, image, samples + level * noise))
    # The median over blocks is subtracted: it is a sample of the same error.
    spread = np.stack([t.displacements for t in trials]).std(0)
    expected = np.stack([t.displacement_errors for t in trials]).mean(0)
    assert 0.9 < np.mean(spread / expected) < 1.1
    spread = np.stack([t.delays for t in trials]).std(0)
    expected = np.stack([t.delay_errors for t in trials]).mean(0)
    assert 0.7 < np.mean(spread / expected) < 1.3


def test_noise_is_neither_motion_nor_delay(case):
    encoding, image = case
    samples = forward(encoding, image)[0]
    noise = torch.randn(
        len(samples), dtype=torch.complex64, generator=torch.Generator().manual_seed(2)
    )
    consistency = consistency_of(
        encoding, image, samples + 10 * samples.abs().square().mean().sqrt() * noise
    )
    spread = consistency.displacements.max(0) - consistency.displacements.min(0)
    assert np.linalg.norm(spread) > 0.5
    assert consistency.moved < 0.2
    assert np.abs(consistency.delays).max() > 0.03
    assert consistency.delay < 0.03


def test_a_delay_is_that_of_the_samples(case):
    encoding, image = case
    lines = encoding.omega.view(N_FRAMES, N_SAMPLES, 2)
    late = lines - 0.2 * torch.gradient(lines, dim=1)[0]
    samples = forward(replace(encoding, omega=late.reshape(-1, 2).contiguous()), image)[0]
    found = consistency_of(encoding, image, samples)
    np.testing.assert_allclose(found.delays, [0.2, 0.2], atol=0.03)


def test_blocks_without_samples_near_the_centre_say_nothing_of_motion(case):
    """All that is known of the object is at one place; the other blocks have no say in where that is."""
    encoding, image = case
    shift = torch.tensor([0.8, 0.0])
    moved = forward(encoding, image)[0] * torch.exp(-1j * (encoding.omega @ shift))
    near = torch.linalg.vector_norm(encoding.omega, dim=1) < torch.pi / 4
    kept = ~near | (encoding.frame < 12)
    fewer = replace(encoding, omega=encoding.omega[kept], frame=encoding.frame[kept])
    found = consistency_of(fewer, image, moved[kept])
    assert np.isinf(found.displacement_errors[6:]).all()
    assert np.isfinite(found.displacement_errors[:6]).all()
    assert found.moved < 0.01

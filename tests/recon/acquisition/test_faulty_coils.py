"""Which coils are left out."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mri2qmap_bids.recon.acquisition.faulty_coils import without_faulty_coils
from mri2qmap_bids.recon.acquisition.geometry import Geometry
from mri2qmap_bids.recon.acquisition.scan import RawScan, SliceSamples

N_COILS, N_SAMPLES = 6, 4000


@pytest.fixture
def scan():
    """Signal that falls with |k|, of coils of different sensitivity and noise."""
    generator = torch.Generator().manual_seed(0)
    place = 400 * (torch.rand(N_SAMPLES, 2, generator=generator) - 0.5)
    signal = 100 / (1 + place.square().sum(1) / 200)
    gains = torch.linspace(0.3, 3, N_COILS)[:, None]
    noise = torch.randn(N_COILS, 2 * N_SAMPLES, dtype=torch.complex64, generator=generator)
    noise = noise * torch.linspace(2, 0.5, N_COILS)[:, None]
    samples = SliceSamples(
        gains * signal + noise[:, :N_SAMPLES], place, torch.zeros(N_SAMPLES, dtype=torch.long)
    )
    geometry = Geometry((1, 64, 64), (5e-3, 3e-3, 3e-3), np.zeros(3), *np.eye(3))
    return RawScan((samples,), noise[:, N_SAMPLES:], geometry, (5e-3, 0.2, 0.2), 1, False)


def with_coil(scan, coil, samples, noise=None):
    kspace, own = scan.slices[0].kspace.clone(), scan.noise.clone()
    kspace[coil] = samples
    if noise is not None:
        own[coil] = noise
    return replace(scan, slices=(replace(scan.slices[0], kspace=kspace),), noise=own)


def n_coils(scan):
    kept = without_faulty_coils(scan)
    assert kept.noise is None or len(kept.noise) == len(kept.slices[0].kspace)
    return len(kept.slices[0].kspace)


def test_coils_of_other_gain_and_noise_stay(scan):
    assert without_faulty_coils(scan) is scan
    quiet = replace(scan, noise=None)
    assert without_faulty_coils(quiet) is quiet


def test_a_dead_coil_is_left_out_and_said(scan, caplog):
    assert n_coils(with_coil(scan, 2, 0, 0)) == N_COILS - 1
    assert "1 of 6 coils left out: 2 (no signal)" in caplog.text
    assert n_coils(with_coil(scan, 2, scan.slices[0].kspace[2], 0)) == N_COILS - 1


def test_a_coil_of_noise_alone_is_left_out(scan, caplog):
    assert n_coils(with_coil(scan, 4, scan.noise[4])) == N_COILS - 1
    assert "4 (noise alone)" in caplog.text


def test_a_coil_noisier_than_its_noise_scan_says_is_left_out(scan, caplog):
    loud = scan.slices[0].kspace[1] + 40 * scan.noise[1]
    assert n_coils(with_coil(scan, 1, loud)) == N_COILS - 1
    assert "times as noisy" in caplog.text
    assert n_coils(replace(with_coil(scan, 1, loud), noise=None)) == N_COILS - 1


def test_all_dead_coils_stay(scan):
    dead = replace(scan, slices=(replace(scan.slices[0], kspace=0 * scan.slices[0].kspace),))
    assert without_faulty_coils(dead) is dead

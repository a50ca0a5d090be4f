"""Where a scan sampled k-space: every sample is counted once, in its own cell."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.scans import random_encoding

from mri2qmap_bids.recon.diagnostics.sampling import sampling_of


def on_the_grid(shape):
    """An encoding with one sample in the middle of every cell."""
    axes = [2 * torch.pi * (torch.arange(n) - n // 2) / n for n in shape]
    omega = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(shape))
    frame = torch.zeros(len(omega), dtype=torch.int64)
    return replace(random_encoding(shape), omega=omega, frame=frame)


@pytest.mark.parametrize("shape", [(12, 10), (6, 8, 10)])
def test_every_cell_of_a_full_grid_has_one_sample(shape):
    sampling = sampling_of(on_the_grid(shape))
    assert sampling.coverage == 1 and sampling.n_samples == np.prod(shape)
    assert all(np.array_equal(image, np.ones_like(image)) for image in sampling.density)


@pytest.mark.parametrize("shape", [(12, 10), (6, 8, 10)])
def test_no_sample_is_lost(shape):
    encoding = random_encoding(shape)
    sampling = sampling_of(encoding)
    counted = sampling.density[0].sum() * (shape[0] if len(shape) == 3 else 1)
    assert counted == pytest.approx(len(encoding.omega)) == sampling.n_samples
    # Positions are turned to (x, y[, z]), as fractions of the edge.
    first = encoding.omega[0].flip(0).numpy() / np.pi
    assert np.allclose(sampling.readouts[0], first)
    assert sampling.readout_frames[0] == encoding.frame[0]


def test_half_a_k_space_covers_half():
    encoding = on_the_grid((32, 32))
    half = encoding.omega[:, 0] < 0
    few = replace(encoding, omega=encoding.omega[half], frame=encoding.frame[half])
    assert sampling_of(few).coverage == pytest.approx(0.5, abs=0.03)

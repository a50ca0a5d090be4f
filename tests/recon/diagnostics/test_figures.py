"""Figures of quality against closed forms."""

import pytest
import torch

from mri2qmap_bids.recon.diagnostics.figures import (
    acceleration,
    condition,
    signal_to_noise,
)
from mri2qmap_bids.recon.encoding.circulant import Circulant
from mri2qmap_bids.recon.encoding.forward import Encoding


def lines_of(every, n=32, n_frames=3):
    """Full lines of a Cartesian grid, another ``every``-th line in each frame."""
    positions, frames = [], []
    for frame in range(n_frames):
        ky = torch.arange(frame % every, n, every) - n // 2
        grid = torch.cartesian_prod(ky.float(), torch.arange(n).float() - n // 2)
        positions.append(2 * torch.pi * grid / n)
        frames.append(torch.full((len(grid),), frame))
    coils = torch.ones(1, n, n, dtype=torch.complex64)
    return Encoding(torch.cat(positions), torch.cat(frames), torch.ones(n_frames, 1), coils)


@pytest.mark.parametrize("every", [2, 4, 8])
def test_acceleration_counts_cells_however_often_they_are_sampled(every):
    encoding = lines_of(every)
    # A square of cells against the disc.
    expected = every * torch.pi / 4
    assert acceleration(encoding) == pytest.approx(max(1.0, expected), rel=1e-4)
    again = Encoding(
        encoding.omega.repeat(2, 1), encoding.frame.repeat(2), encoding.basis, encoding.coils
    )
    assert acceleration(again) == acceleration(encoding)


def test_condition_of_a_diagonal_spectrum_is_the_root_of_its_range():
    n, upper = 16, torch.ones(3, 16, 16)
    upper[1] = 0
    upper[0] = 100.0
    assert condition(Circulant(upper), torch.zeros(2, n, n)) == pytest.approx(10, rel=1e-4)
    assert condition(Circulant(upper), torch.full((2, n, n), 99.0)) == pytest.approx(
        (199 / 100) ** 0.5, rel=1e-4
    )


def test_condition_sees_components_that_cannot_be_told_apart():
    upper = torch.ones(3, 8, 8)
    assert condition(Circulant(upper), torch.zeros(2, 8, 8)) == pytest.approx(1e4)


def test_the_signal_to_noise_ratio_is_of_bright_voxels():
    image = torch.zeros(2, 20, 20, dtype=torch.complex64)
    image[0, 5:15, 5:15] = 30j
    assert signal_to_noise(image, torch.tensor([0.5, 9.0])) == pytest.approx(60)
    assert signal_to_noise(torch.zeros_like(image), torch.tensor([0.5, 9.0])) == 0

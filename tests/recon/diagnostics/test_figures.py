"""Figures of quality against closed forms."""

from dataclasses import replace

import pytest
import torch
from helpers.trains import train

from mri2qmap_bids.recon.diagnostics.figures import (
    acceleration,
    condition,
    mean_misfit,
    samples_per_unknown,
    signal_to_noise,
)
from mri2qmap_bids.recon.encoding.circulant import Circulant
from mri2qmap_bids.recon.encoding.forward import Encoding
from mri2qmap_bids.recon.physics.dictionary import TissueGrid, build_dictionary
from mri2qmap_bids.recon.physics.matching import TissueMaps, signal_of


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


@pytest.mark.parametrize(("every", "rank", "n_frames"), [(1, 1, 3), (2, 3, 8), (8, 4, 40)])
def test_samples_per_unknown_are_frames_over_acceleration_and_rank(every, rank, n_frames):
    encoding = replace(lines_of(every, 64, n_frames), basis=torch.ones(n_frames, rank))
    expected = n_frames / (every * rank)
    assert samples_per_unknown(encoding) == pytest.approx(expected, rel=0.02)
    # Oversampled, and beyond the ellipsoid: no more cells.
    outside = torch.tensor([[-torch.pi, -torch.pi]])
    again = replace(
        encoding,
        omega=torch.cat([encoding.omega, encoding.omega, outside]),
        frame=torch.cat([encoding.frame, encoding.frame, torch.tensor([0])]),
    )
    assert samples_per_unknown(again) == samples_per_unknown(encoding)


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


def test_the_signal_to_noise_ratio_is_the_median_whatever_the_background():
    image = torch.ones(1, 40, 40, dtype=torch.complex64)
    image[0, 10:30, 10:30] = torch.linspace(20, 40, 400).view(20, 20)
    assert signal_to_noise(image, torch.tensor([0.5])) == pytest.approx(60, rel=0.01)


@pytest.fixture(scope="module")
def dictionary():
    return build_dictionary(train(n_frames=40), TissueGrid(step=0.2), rank=4)


@pytest.fixture
def maps():
    """Tissue of any T1, T2 and phase, with background around it."""
    generator = torch.Generator().manual_seed(0)
    t1, t2, size, phase = torch.rand((4, 40, 50), generator=generator)
    m0 = torch.polar(1 + size, 6.3 * phase)
    m0[:10] = 0
    return TissueMaps(t1=0.5 + 2 * t1, t2=0.05 + 0.2 * t2, m0=m0, correlation=torch.ones_like(t1))


def test_mean_misfit_is_the_share_that_all_voxels_have_in_common(maps, dictionary):
    predicted = signal_of(maps, dictionary)
    assert mean_misfit(predicted, maps, dictionary) == 0
    assert mean_misfit(1.05 * predicted, maps, dictionary) == pytest.approx(0.05, rel=1e-4)
    # Whatever the phase of a voxel is.
    turned = replace(maps, m0=maps.m0 * 1j)
    assert mean_misfit(1.05j * predicted, turned, dictionary) == pytest.approx(0.05, rel=1e-4)


def test_noise_and_background_hardly_count_in_the_mean_misfit(maps, dictionary):
    predicted = signal_of(maps, dictionary)
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(predicted.shape, dtype=predicted.dtype, generator=generator)
    size = 0.3 * predicted.norm() / noise.norm()
    misfit = mean_misfit(predicted + size * noise, maps, dictionary)
    # 30 % in a voxel, averaged over 1500 of them.
    assert 0.3 * 1500**-0.5 / 3 < misfit < 3 * 0.3 * 1500**-0.5
    outside = predicted.clone()
    outside[:, :10] = 100 * predicted.abs().max()
    assert mean_misfit(outside, maps, dictionary) == 0


def test_mean_misfit_without_tissue_is_zero(maps, dictionary):
    empty = replace(maps, m0=torch.zeros_like(maps.m0))
    assert mean_misfit(signal_of(empty, dictionary), empty, dictionary) == 0

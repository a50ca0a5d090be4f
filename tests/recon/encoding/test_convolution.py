"""Sums of convolved coil images, against closed forms."""

import math

import pytest
import torch
from helpers.laws import relative_error

from mri2qmap_bids.recon.encoding.convolution import coil_convolutions, interleaved_ramp
from mri2qmap_bids.recon.encoding.frequency_matrices import frequency_pairs

SHAPE, RANK = (6, 5), 3
PAIRS = frequency_pairs(RANK)


def numbers(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.complex64)


def test_identity_matrices_give_the_sum_of_squares_of_the_coils():
    identity = torch.tensor([float(i == j) for i, j in PAIRS])[:, None, None].expand(-1, *SHAPE)
    image, coils = numbers(RANK, *SHAPE), numbers(4, *SHAPE)
    grids = [((0, 0), identity), ((1, 0), identity), ((1, 1), identity)]
    expected = 3 * coils.abs().square().sum(0) * image
    for coils_at_once in (1, 3, 4, 9):
        result = coil_convolutions(image, coils, grids, coils_at_once=coils_at_once)
        assert relative_error(result, expected) < 1e-6


@pytest.mark.parametrize("parity", [(0, 0), (0, 1), (1, 1)])
def test_it_is_the_circular_convolution_of_the_modulated_image(parity):
    """A wave as the spectrum shifts the image by one voxel."""
    shift = torch.fft.fft(torch.eye(SHAPE[1])[1]).to(torch.complex64).expand(SHAPE)
    coils = numbers(1, *SHAPE)
    image = numbers(1, *SHAPE)
    modulation = coils * interleaved_ramp(SHAPE, parity, image.device)
    # On the diagonal a matrix is taken as it is stored.
    result = coil_convolutions(image, coils, [(parity, shift[None])], (2.0,))
    expected = 2 * modulation.conj() * torch.roll(modulation * image, 1, dims=-1)
    assert relative_error(result, expected) < 1e-6


@pytest.mark.parametrize(("rank", "coils"), [(2, 0), (0, 2)])
def test_nothing_gives_nothing(rank, coils):
    result = coil_convolutions(numbers(rank, *SHAPE), numbers(coils, *SHAPE), [])
    assert result.shape == (rank, *SHAPE) and not result.any()


def test_ramps_shift_the_spectrum_by_half_a_frequency():
    ramp = interleaved_ramp(SHAPE, (0, 1), torch.device("cpu"))
    x = torch.arange(SHAPE[1])
    expected = torch.polar(torch.ones(SHAPE), (-math.pi * x / SHAPE[1]).expand(SHAPE))
    assert relative_error(ramp, expected) < 1e-6

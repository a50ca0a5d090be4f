"""Off-resonance: laws of the operator, and the sum over voxels."""

from dataclasses import replace

import pytest
import torch
from helpers.laws import assert_adjoint, relative_error
from helpers.scans import random_encoding

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.encoding.forward import adjoint, forward, normal
from mri2qmap_bids.recon.encoding.off_resonance import (
    TOLERANCE,
    n_segments,
    off_resonance,
    segments,
)
from mri2qmap_bids.recon.encoding.toeplitz import apply_segmented, segmented_normal

SHAPES = [(12, 15), (6, 7, 8)]
DURATION = 8e-3


def with_field(shape, values, dtype=torch.float32):
    """An encoding whose samples were read one after the other in readouts of 40."""
    encoding = random_encoding(shape, dtype)
    time = (torch.arange(len(encoding.omega)) % 40) * DURATION / 39 - 1e-3
    return replace(encoding, field=off_resonance(values, time)), time


def random_field(shape, scale=100.0):
    generator = torch.Generator().manual_seed(3)
    return scale * (2 * torch.rand(shape, generator=generator) - 1) + 20


def image_for(encoding):
    torch.manual_seed(1)
    return torch.randn(encoding.basis.shape[1], *encoding.shape, dtype=torch.complex64)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward_is_the_sum_over_voxels(shape):
    values = random_field(shape)
    encoding, time = with_field(shape, values)
    image = image_for(encoding)
    axes = [torch.arange(n) - n // 2 for n in shape]
    positions = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))
    angle = encoding.omega.double() @ positions.double().T
    angle = angle + 2 * torch.pi * time.double()[:, None] * values.flatten().double()
    waves = torch.polar(torch.ones_like(angle), -angle)
    courses = encoding.basis[encoding.frame]
    expected = torch.stack(
        [
            sum(
                courses[:, r] * (waves @ (x * coil).flatten().to(waves.dtype))
                for r, x in enumerate(image)
            )
            for coil in encoding.coils
        ]
    )
    assert relative_error(forward(encoding, image), expected.to(torch.complex64)) < 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_adjoint_law(shape, dtype):
    encoding, _ = with_field(shape, random_field(shape), dtype)
    samples = torch.randn(len(encoding.coils), len(encoding.omega), dtype=torch.complex64)
    assert_adjoint(
        lambda x: forward(encoding, x),
        lambda y: adjoint(encoding, y),
        image_for(encoding),
        samples,
        1e-5,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_segmented_kernels_are_adjoint_of_forward(shape, dtype):
    encoding, _ = with_field(shape, random_field(shape), dtype)
    weights = torch.rand(len(encoding.omega))
    image = image_for(encoding)
    expected = normal(encoding, image, weights)
    operator = segmented_normal(encoding, weights)
    assert relative_error(apply_segmented(operator, image), expected) < 1e-3


def test_a_zero_field_is_no_field():
    assert off_resonance(torch.zeros(4, 4), torch.arange(5.0)) is None


def test_a_constant_field_is_a_demodulation_of_the_samples():
    shape = (12, 15)
    encoding, time = with_field(shape, torch.full(shape, 70.0))
    image = image_for(encoding)
    turned = forward(replace(encoding, field=None), image) * torch.exp(-2j * torch.pi * 70 * time)
    assert relative_error(forward(encoding, image), turned) < 1e-5


@pytest.mark.parametrize(
    ("low", "high"), [(-100.0, 100.0), (-20.0, 250.0), (30.0, 30.0), (-1000.0, 1000.0)]
)
def test_segments_interpolate_the_phase_within_tolerance(low, high):
    times = torch.linspace(-2e-3, 6e-3, 500)
    parts = segments(times, low, high)
    frequencies = torch.linspace(low, high, 77)
    exact = torch.exp(-2j * torch.pi * frequencies[:, None] * times)
    waves = torch.exp(-2j * torch.pi * frequencies[:, None] * parts.centres)
    assert float((waves @ parts.coefficients - exact).abs().max()) < 2 * TOLERANCE


def test_more_field_or_time_takes_more_segments():
    assert n_segments(0.0, DURATION) == (1, 1)
    few, many = n_segments(100.0, DURATION), n_segments(1000.0, DURATION)
    assert few[0] < many[0]
    assert few[1] < many[1]
    assert few[0] <= few[1]


def test_a_phase_that_turns_too_often_is_refused():
    with pytest.raises(ArgumentError, match="off-resonance: the phase must turn less"):
        segments(torch.linspace(0, 1.0, 100), -500.0, 500.0)

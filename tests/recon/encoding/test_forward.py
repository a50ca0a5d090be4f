"""The encoding against a direct sum, and the laws it keeps."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.laws import assert_adjoint, assert_linear, relative_error
from helpers.scans import random_encoding

from mri2qmap_bids.recon.encoding import toeplitz
from mri2qmap_bids.recon.encoding.density import density_compensation
from mri2qmap_bids.recon.encoding.forward import (
    Encoding,
    adjoint,
    forward,
    normal,
    rows_of,
    strongest_coil,
)
from mri2qmap_bids.recon.encoding.nufft import Nufft
from mri2qmap_bids.recon.encoding.off_resonance import off_resonance
from mri2qmap_bids.recon.encoding.shared_positions import shared_positions

# 13, 17 and 19 are too large primes for a fast transform: the grid of the kernels is larger.
SHAPES = [(12, 15), (13, 17), (6, 7, 8), (1, 9, 19)]
SHAPE_IDS = [str(shape) for shape in SHAPES]


def image_for(operator, seed=1):
    torch.manual_seed(seed)
    return torch.randn(operator.basis.shape[1], *operator.shape, dtype=torch.complex64)


def direct_sum(operator, image):
    """s_c(j) = sum_r Phi(t_j, r) sum_p S_c(p) x_r(p) exp(-i omega_j (p - floor(n / 2)))."""
    axes = [torch.arange(n) - n // 2 for n in operator.shape]
    positions = (
        torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes)).double()
    )
    fourier = torch.exp(-1j * (operator.omega.double() @ positions.T))
    courses = operator.basis[operator.frame]
    samples = [
        sum(
            courses[:, r] * (fourier @ (x * coil).flatten().to(fourier.dtype))
            for r, x in enumerate(image)
        )
        for coil in operator.coils
    ]
    return torch.stack(samples).to(torch.complex64)


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_components_together_are_those_one_by_one(at_once, monkeypatch):
    operator = random_encoding((12, 15), torch.complex64)
    assert operator.basis.shape[1] == 3
    image = image_for(operator)
    samples = direct_sum(operator, image)
    expected = adjoint(operator, samples)
    monkeypatch.setattr(Nufft, "at_once", at_once)
    assert relative_error(forward(operator, image), samples) < 3e-4
    assert relative_error(adjoint(operator, samples), expected) < 1e-5


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
@pytest.mark.parametrize("shape", SHAPES, ids=SHAPE_IDS)
def test_forward_is_the_direct_sum(shape, dtype):
    operator = random_encoding(shape, dtype)
    image = image_for(operator)
    assert relative_error(forward(operator, image), direct_sum(operator, image)) < 3e-4


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
@pytest.mark.parametrize("shape", SHAPES, ids=SHAPE_IDS)
def test_adjoint_law(shape, dtype):
    operator = random_encoding(shape, dtype)
    samples = torch.randn(2, len(operator.omega), dtype=torch.complex64)
    assert_adjoint(
        lambda x: forward(operator, x),
        lambda y: adjoint(operator, y),
        image_for(operator),
        samples,
        1e-5,
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
@pytest.mark.parametrize("shape", SHAPES, ids=SHAPE_IDS)
def test_toeplitz_normal_is_adjoint_of_forward(shape, dtype, weighted):
    operator = random_encoding(shape, dtype)
    weights = torch.rand(len(operator.omega)) if weighted else None
    image = image_for(operator)
    samples = forward(operator, image)
    expected = adjoint(operator, samples, weights)
    fast = toeplitz.toeplitz_normal(operator, weights)
    assert relative_error(toeplitz.apply(fast, image), expected) < 3e-4
    assert relative_error(normal(operator, image, weights), expected) < 1e-5


# A transform rounds differently where its input lies differently in memory: even a copy agrees only to
# a few units of single precision (1.2e-7).
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
@pytest.mark.parametrize("shape", SHAPES, ids=SHAPE_IDS)
@pytest.mark.parametrize(
    ("how", "limit"),
    [
        ({"by_blocks": True}, 3e-4),
        ({"storage": "host"}, 1e-6),
        ({"storage": "half"}, 1e-3),
        ({"coils_at_once": 2}, 1e-6),
    ],
    ids=str,
)
def test_ways_to_save_memory_give_the_same_operator(shape, dtype, how, limit):
    operator = random_encoding(shape, dtype)
    image = image_for(operator)
    expected = toeplitz.apply(toeplitz.toeplitz_normal(operator), image)
    other = toeplitz.toeplitz_normal(operator, **how)
    assert relative_error(toeplitz.apply(other, image), expected) < limit
    size = other.spectra.element_size() * other.spectra.numel()
    assert size == (2 if how.get("storage") == "half" else 4) * (
        2 ** len(shape) * 6 * np.prod(toeplitz.fast_grid(shape)) * (2 if dtype.is_complex else 1)
    )


def test_the_fast_grid_is_the_image_or_a_little_larger():
    assert toeplitz.fast_grid((220, 224, 64)) == (220, 224, 64)
    assert toeplitz.fast_grid((74, 13, 1)) == (75, 14, 1)


@pytest.mark.parametrize(("n_rows", "keeps"), [(57, False), (250, True)])
@pytest.mark.parametrize("shape", SHAPES, ids=SHAPE_IDS)
def test_rows_are_those_of_the_whole_operator(shape, n_rows, keeps):
    """With positions that samples share, and with off-resonance."""
    few = random_encoding(shape, torch.complex64, n_samples=100)
    twice = torch.arange(400) % 100
    operator = replace(few, omega=few.omega[twice], frame=torch.randint(0, 20, (400,)))
    field = off_resonance(50 * torch.randn(shape), torch.linspace(0, 5e-3, 400))
    operator = replace(operator, field=field, shared=shared_positions(operator.omega))
    assert operator.shared is not None
    image, chosen = image_for(operator), torch.randint(0, 400, (n_rows,))
    fewer = rows_of(operator, chosen)
    # Where most positions are those of no row, they are not transformed.
    assert (fewer.shared is not None) == keeps
    assert relative_error(forward(fewer, image), forward(operator, image)[:, chosen]) < 1e-4


def test_operators_are_linear():
    operator = random_encoding((8, 9))
    fast = toeplitz.toeplitz_normal(operator)
    x, z = image_for(operator, 1), image_for(operator, 2)
    assert_linear(lambda image: forward(operator, image), x, z, 1e-5)
    assert_linear(lambda image: toeplitz.apply(fast, image), x, z, 1e-5)


def test_toeplitz_normal_is_hermitian_and_not_negative():
    operator = random_encoding((8, 9), torch.complex64)
    fast = toeplitz.toeplitz_normal(operator, torch.rand(len(operator.omega)))
    x, z = image_for(operator, 1), image_for(operator, 2)
    assert_adjoint(lambda v: toeplitz.apply(fast, v), lambda v: toeplitz.apply(fast, v), x, z, 1e-4)
    assert torch.vdot(x.flatten(), toeplitz.apply(fast, x).flatten()).real > 0


def test_weighted_adjoint_of_a_fully_sampled_grid_is_the_image():
    n, n_frames = 16, 6
    grid = (torch.arange(n) - n // 2) * 2 * torch.pi / n
    omega = torch.cartesian_prod(grid, grid).repeat(n_frames, 1)
    operator = Encoding(
        omega=omega,
        frame=torch.arange(n_frames).repeat_interleave(n * n),
        basis=torch.linalg.qr(torch.randn(n_frames, 3))[0],
        coils=torch.ones(1, n, n, dtype=torch.complex64),
    )
    image = image_for(operator)
    weights = density_compensation(omega, (n, n)) * n_frames
    assert relative_error(adjoint(operator, forward(operator, image), weights), image) < 0.02


@pytest.mark.parametrize("by_blocks", [False, True])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_kernels_of_a_real_basis_are_those_of_the_same_basis_as_complex(rank, by_blocks):
    """Two real spectra come from one transform, and each of a complex basis from its own."""
    operator = random_encoding((12, 15), torch.float32)
    operator = replace(operator, basis=operator.basis[:, :rank])
    weights = torch.rand(len(operator.omega))
    real = toeplitz.toeplitz_normal(operator, weights, by_blocks=by_blocks)
    operator = replace(operator, basis=operator.basis.to(torch.complex64))
    expected = toeplitz.toeplitz_normal(operator, weights, by_blocks=by_blocks)
    image = torch.randn(rank, *operator.shape, dtype=torch.complex64)
    # Of a complex basis the imaginary part is kept, which is the error of the transform.
    assert relative_error(toeplitz.apply(real, image), toeplitz.apply(expected, image)) < 1e-4


def test_the_strongest_coil_stands_alone_with_its_samples():
    encoding = random_encoding((6, 5), n_coils=3)
    kspace = torch.ones(3, 400, dtype=torch.complex64) * torch.tensor([1.0, -3.0, 2.0])[:, None]
    alone, samples = strongest_coil(encoding, kspace)
    assert torch.equal(samples, kspace[1])
    assert torch.equal(alone.coils, encoding.coils[1:2])

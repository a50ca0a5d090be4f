"""The circulant against the blocks of a dense A^H W A, and what is made of it."""

import pytest
import torch
from helpers.circulant import apply_circulant
from helpers.laws import assert_adjoint, relative_error
from helpers.scans import random_encoding

from mri2qmap_bids.recon.encoding.circulant import (
    Circulant,
    circulant_of,
    filtered,
    first_of_inverse,
    inverse,
    support_penalty,
)
from mri2qmap_bids.recon.encoding.forward import Encoding
from mri2qmap_bids.recon.encoding.toeplitz import frequency_pairs, toeplitz_normal

SHAPES = [(6, 5), (4, 3, 4), (13, 5)]
BASES = [torch.float32, torch.complex64]


def grid_encoding(n, inside=None, rank=2):
    """All frequencies of the grid, or those inside a radius [rad/voxel], once in every frame."""
    frequency = 2 * torch.pi * torch.fft.fftfreq(n)
    omega = torch.cartesian_prod(frequency, frequency)
    if inside is not None:
        omega = omega[torch.linalg.vector_norm(omega, dim=1) < inside]
    n_frames = 4
    torch.manual_seed(0)
    return Encoding(
        omega=omega.repeat(n_frames, 1),
        frame=torch.arange(n_frames).repeat_interleave(len(omega)),
        basis=torch.linalg.qr(torch.randn(n_frames, rank))[0],
        coils=torch.ones(1, n, n, dtype=torch.complex64),
    )


def image_for(operator, seed=1):
    torch.manual_seed(seed)
    return torch.randn(operator.basis.shape[1], *operator.shape, dtype=torch.complex64)


def places(shape):
    axes = torch.meshgrid(*[torch.arange(n) for n in shape], indexing="ij")
    return torch.stack(axes, -1).reshape(-1, len(shape)).double()


def diagonal_blocks(operator, weights=None):
    """C_ij(g) = <A_i f_g, W A_j f_g> with A and the unitary plane waves f_g written out."""
    voxels = places(operator.shape)
    sizes = torch.tensor(operator.shape).double()
    waves = torch.exp(2j * torch.pi * ((voxels / sizes) @ voxels.T)) / len(voxels) ** 0.5
    middle = torch.tensor([n // 2 for n in operator.shape]).double()
    fourier = torch.exp(-1j * (operator.omega.double() @ (voxels - middle).T))
    w = torch.ones(len(fourier)) if weights is None else weights
    courses = operator.basis.to(torch.complex128)[operator.frame]
    blocks = 0
    for coil in operator.coils.to(torch.complex128):
        spectra = (fourier * coil.flatten()) @ waves
        blocks = blocks + torch.einsum(
            "s,si,sj,sg->ijg", w.to(courses.dtype), courses.conj(), courses, spectra.abs() ** 2 + 0j
        )
    return blocks.reshape(*blocks.shape[:2], *operator.shape)


def matrices_of(circulant):
    """Whole matrices C(g), shape (rank, rank, *space)."""
    rank = circulant.rank
    whole = torch.zeros(rank, rank, *circulant.upper.shape[1:], dtype=torch.complex128)
    for values, (i, j) in zip(circulant.upper, frequency_pairs(rank), strict=True):
        whole[i, j], whole[j, i] = values, values.conj()
    return whole


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kernels", [None, "single", "half"])
@pytest.mark.parametrize("dtype", BASES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_matrices_are_the_diagonal_blocks_in_the_fourier_basis(shape, dtype, kernels, weighted):
    operator = random_encoding(shape, dtype)
    weights = torch.rand(len(operator.omega)) if weighted else None
    stored = kernels and toeplitz_normal(operator, weights, kernels)
    circulant = circulant_of(operator, stored, weights)
    assert circulant.upper.is_complex() == dtype.is_complex
    expected = diagonal_blocks(operator, weights)
    # Half precision keeps three digits of the kernels.
    limit = 1e-3 if kernels == "half" else 1e-5
    assert relative_error(matrices_of(circulant), expected) < limit


@pytest.mark.parametrize("dtype", BASES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_it_is_hermitian_and_positive(shape, dtype):
    operator = random_encoding(shape, dtype)
    circulant = circulant_of(operator)

    def apply(image):
        return apply_circulant(circulant, image)

    x, z = image_for(operator, 1), image_for(operator, 2)
    assert_adjoint(apply, apply, x, z, 1e-5)
    values = torch.linalg.eigvalsh(matrices_of(circulant).flatten(2).permute(2, 0, 1))
    assert values.min() > -1e-5 * values.max()
    assert torch.allclose(
        circulant.diagonal, matrices_of(circulant).diagonal(0).real.movedim(-1, 0).float()
    )


@pytest.mark.parametrize("dtype", BASES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_applied_to_a_plane_wave_it_is_that_frequencys_matrix(shape, dtype):
    operator = random_encoding(shape, dtype)
    circulant = circulant_of(operator)
    where = tuple(n - 2 for n in shape)
    spectrum = torch.zeros(3, *shape, dtype=torch.complex64)
    vector = torch.tensor([1.0, 2j, -0.5 + 1j])
    spectrum[(slice(None), *where)] = vector
    axes = tuple(range(1, len(shape) + 1))
    applied = torch.fft.fftn(
        apply_circulant(circulant, torch.fft.ifftn(spectrum, dim=axes)), dim=axes
    )
    matrix = diagonal_blocks(operator)[(slice(None), slice(None), *where)]
    expected = torch.zeros_like(spectrum)
    expected[(slice(None), *where)] = (matrix @ vector.to(matrix.dtype)).to(spectrum.dtype)
    assert relative_error(applied, expected) < 1e-4


@pytest.mark.parametrize("dtype", BASES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_inverse_undoes_the_circulant_and_its_penalty(shape, dtype):
    operator = random_encoding(shape, dtype)
    circulant = circulant_of(operator)
    image = image_for(operator)
    for penalty in (
        torch.tensor(0.3 * circulant.level),
        circulant.level * (0.1 + torch.rand(3, *shape)),
    ):
        undo = inverse(circulant, penalty)
        added = filtered(image, penalty)
        both = apply_circulant(circulant, image) + added
        assert relative_error(apply_circulant(undo, both), image) < 1e-3


def test_the_level_is_that_of_even_sampling():
    n = 16
    circulant = circulant_of(grid_encoding(n))
    # Every frequency is read once a frame, by a transform that is not unitary, with |Phi_1| = 1.
    assert circulant.level == pytest.approx(n * n, rel=1e-3)
    assert circulant.rank == 2


@pytest.mark.parametrize("radius", [0.95, 0.7, 0.5, 0.3])
def test_the_level_does_not_depend_on_how_much_of_the_grid_is_left_out(radius):
    n = 24
    level = circulant_of(grid_encoding(n, radius * torch.pi)).level
    assert level == pytest.approx(n * n, rel=0.05)


def test_the_level_of_nothing_sampled_is_nothing():
    assert Circulant(torch.zeros(1, 8, 8)).level == 0


def test_a_fully_sampled_grid_has_no_penalty():
    assert not support_penalty(circulant_of(grid_encoding(16))).any()


def test_the_penalty_takes_the_corners_that_were_not_sampled_and_only_those():
    n, edge = 16, 0.9 * torch.pi
    operator = grid_encoding(n, edge)
    circulant = circulant_of(operator)
    penalty = support_penalty(circulant)
    frequency = 2 * torch.pi * torch.fft.fftfreq(n)
    corner = frequency[:, None].hypot(frequency[None, :]) >= edge
    assert corner.any() and not penalty[:, ~corner].any()
    assert torch.allclose(penalty[:, corner], torch.tensor(0.2 * circulant.level), rtol=2e-3)


def test_a_response_of_one_changes_nothing_and_a_delay_shifts():
    image = image_for(random_encoding((6, 5)))
    assert torch.allclose(filtered(image, torch.ones(6, 5)), image, atol=1e-6)
    delay = torch.exp(-2j * torch.pi * torch.fft.fftfreq(5))
    assert torch.allclose(filtered(image, delay), image.roll(1, 2), atol=1e-5)


def test_rank_follows_from_the_number_of_pairs():
    for rank in (1, 2, 5, 10):
        assert Circulant(torch.zeros(len(frequency_pairs(rank)), 2, 2)).rank == rank


@pytest.mark.parametrize("basis", BASES)
def test_the_first_element_of_the_inverse_is_that_of_the_whole(basis):
    operator = random_encoding((6, 5), basis)
    circulant = circulant_of(operator)
    torch.manual_seed(2)
    penalty = torch.rand(3, 6, 5) + 0.1
    whole = inverse(circulant, penalty).diagonal[0]
    assert torch.allclose(first_of_inverse(circulant, penalty), whole, rtol=1e-5)

"""Transforms of distinct positions are those of all samples."""

from dataclasses import replace

import finufft
import pytest
import torch
from helpers.laws import assert_adjoint, relative_error
from helpers.scans import random_encoding

from mri2qmap_bids.recon.encoding.density import density_compensation
from mri2qmap_bids.recon.encoding.forward import adjoint, forward
from mri2qmap_bids.recon.encoding.nufft import Nufft
from mri2qmap_bids.recon.encoding.shared_positions import shared_positions
from mri2qmap_bids.recon.encoding.toeplitz import apply, toeplitz_normal

SHAPES = [(8, 9), (5, 6, 7)]


def repeated(shape):
    """Arms of 20 samples in a random order, each several times, all beginning at the centre."""
    torch.manual_seed(3)
    arms = (2 * torch.rand(6, 20, len(shape)) - 1) * torch.pi
    arms[:, 0] = 0
    order = torch.randperm(24) % 6
    return arms[order].reshape(-1, len(shape))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_sample_has_its_position_and_no_two_positions_are_equal(shape):
    omega = repeated(shape)
    shared = shared_positions(omega)
    assert torch.equal(shared.omega[shared.index], omega)
    assert len(shared.omega) == 6 * 19 + 1 == len(torch.unique(shared.omega, dim=0))


def test_sums_are_the_adjoint_of_copies():
    shared = shared_positions(repeated((8, 9)))
    values, samples = torch.randn(3, len(shared.omega)), torch.randn(3, len(shared.index))
    assert_adjoint(shared.of_samples, shared.summed, values, samples, 1e-5)


def test_samples_of_their_own_are_left_as_they_are():
    assert shared_positions(torch.rand(100, 2)) is None
    assert shared_positions(torch.rand(100, 3)[torch.arange(190) % 100]) is None
    assert shared_positions(torch.rand(100, 3)[torch.arange(200) % 100]) is not None


def test_positions_that_differ_by_the_last_bit_are_distinct():
    one = torch.ones(1, 2)
    other = torch.nextafter(one, 2 * one)
    assert len(shared_positions(torch.cat([one, other, one, other, one])).omega) == 2


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_operators_are_those_without_sharing(shape):
    base = random_encoding(shape, torch.complex64)
    omega = repeated(shape)
    frame = torch.arange(len(omega)) // 20 % len(base.basis)
    without = replace(base, omega=omega, frame=frame)
    shared = replace(without, shared=shared_positions(omega))
    torch.manual_seed(1)
    image = torch.randn(base.basis.shape[1], *shape, dtype=torch.complex64)
    samples = torch.randn(len(base.coils), len(omega), dtype=torch.complex64)
    weights = torch.rand(len(omega))
    assert relative_error(forward(shared, image), forward(without, image)) < 1e-5
    expected = adjoint(without, samples, weights)
    assert relative_error(adjoint(shared, samples, weights), expected) < 1e-5
    for by_blocks in (False, True):
        products = [
            apply(toeplitz_normal(encoding, weights, by_blocks=by_blocks), image)
            for encoding in (shared, without)
        ]
        assert relative_error(*products) < 1e-5
    density = density_compensation(omega, shape)
    assert relative_error(density_compensation(omega, shape, shared.shared), density) < 1e-4


def test_only_distinct_positions_are_transformed(monkeypatch):
    lengths = []
    setpts = finufft.Plan.setpts

    def counted(plan, *columns):
        lengths.append(len(columns[0]))
        setpts(plan, *columns)

    monkeypatch.setattr(finufft.Plan, "setpts", counted)
    omega = repeated((8, 9))
    nufft = Nufft(omega, (8, 9), shared=shared_positions(omega))
    nufft.adjoint(nufft.forward(torch.zeros(8, 9)))
    assert lengths == [115, 115] and len(omega) == 480

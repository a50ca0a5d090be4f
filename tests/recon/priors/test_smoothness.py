import pytest
import torch
from helpers.laws import relative_error

from mri2qmap_bids.recon.encoding.circulant import filtered
from mri2qmap_bids.recon.priors.smoothness import (
    energies,
    power_law,
    smoothness_penalty,
    smoothness_share,
)
from mri2qmap_bids.recon.solvers.conjugate_gradient import conjugate_gradient

CPU = torch.device("cpu")
SHAPES = [(64, 48), (16, 20, 12)]
ENERGY = torch.tensor([900.0, 100.0, 4.0])


def white(shape, seed=0, rank=3):
    """Complex Gaussian numbers of variance 1."""
    torch.manual_seed(seed)
    return torch.randn(rank, *shape, dtype=torch.complex64)


def draw(shape, seed=0):
    """An image whose power is ENERGY q; the unitary transform of white noise is white."""
    law = power_law(shape, CPU)
    return filtered(white(shape, seed), (ENERGY.view(-1, *[1] * len(shape)) * law).sqrt())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_law_falls_from_one_as_energy_does_per_dimension(shape):
    law = power_law(shape, CPU)
    assert law.shape == shape and law.flatten()[0] == 1 == law.max()
    row = law[(0,) * (len(shape) - 1)]
    assert torch.equal(row[1:], row[1:].flip(0))
    doubled = row[6] / row[3]
    assert doubled == pytest.approx((37 / 10) ** (-(len(shape) + 1) / 2))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_energy_of_a_field_is_found(shape):
    energy = energies(draw(shape), power_law(shape, CPU))
    assert torch.allclose(energy, ENERGY, rtol=0.1)


@pytest.mark.parametrize("noise", [0.03, 0.3])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_energy_of_a_field_in_white_noise_is_found(shape, noise):
    """Mean of ten draws, so that chance does not hide a bias."""
    law = power_law(shape, CPU)
    power = torch.full((3, *shape), noise**2)
    energy = torch.stack(
        [
            energies(draw(shape, seed) + noise * white(shape, 100 + seed), law, power)
            for seed in range(10)
        ]
    ).mean(0)
    assert torch.allclose(energy, ENERGY, rtol=0.15)


def test_energy_goes_with_the_square_of_the_image():
    shape = SHAPES[0]
    law, image = power_law(shape, CPU), draw(shape) + 0.1 * white(shape, 1)
    noise = torch.full((3, *shape), 0.01)
    assert torch.allclose(energies(50 * image, law), 2500 * energies(image, law), rtol=1e-4)
    scaled = energies(50 * image, law, 2500 * noise)
    assert torch.allclose(scaled, 2500 * energies(image, law, noise), rtol=1e-3)


def test_energy_is_told_of_data_in_any_unit():
    torch.manual_seed(1)
    image = torch.randn(2, 24, 24, dtype=torch.complex64)
    law, noise = power_law((24, 24), torch.device("cpu")), torch.full((2, 24, 24), 0.01)
    expected = energies(image, law, noise)
    for unit in (1e-15, 1e12):
        assert (
            relative_error(energies(image * unit, law, noise * unit**2) / unit**2, expected) < 1e-4
        )


def test_the_penalty_goes_with_noise_squared_and_weight_and_against_energy():
    law = power_law((8, 9), CPU)
    one = smoothness_penalty(ENERGY, law, 1.0, 1.0)
    assert one.shape == (3, 8, 9)
    assert torch.allclose(one[:, 0, 0], 1 / ENERGY)
    assert torch.allclose(smoothness_penalty(ENERGY, law, 3.0, 2.0), 18 * one)
    assert torch.allclose(smoothness_penalty(10 * ENERGY, law, 1.0, 1.0), one / 10)
    assert not smoothness_penalty(ENERGY, law, 1.0, 0.0).any()
    assert torch.isfinite(smoothness_penalty(torch.zeros(3), law, 1e-6, 1.0)).all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_it_is_wieners_filter_where_the_encoding_is_the_identity(shape):
    law, sigma = power_law(shape, CPU), 0.3
    noisy = draw(shape) + sigma * white(shape, 1)
    penalty = smoothness_penalty(ENERGY, law, sigma, 1.0)
    scale = 1 / (1 + penalty)
    image = conjugate_gradient(
        lambda x: x + filtered(x, penalty),
        noisy,
        50,
        tolerance=1e-6,
        preconditioner=lambda x: filtered(x, scale),
    ).image
    power = ENERGY.view(-1, *[1] * len(shape)) * law
    expected = filtered(noisy, power / (power + sigma**2))
    assert relative_error(image, expected) < 1e-5


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_no_other_weight_comes_closer_to_the_truth(shape):
    """Of a field that was drawn from the prior, in every component."""
    law, sigma = power_law(shape, CPU), 0.3
    truth = draw(shape)
    noisy = truth + sigma * white(shape, 1)

    def errors(weight):
        penalty = smoothness_penalty(ENERGY, law, sigma, weight)
        image = filtered(noisy, 1 / (1 + penalty))
        return (image - truth).flatten(1).abs().square().sum(1)

    best = errors(1.0)
    for weight in (0.0, 0.25, 0.5, 2.0, 4.0):
        assert (best < errors(weight)).all()


@pytest.mark.parametrize(
    ("mean", "share"), [(1.0, 0.0), (0.02, 0.0), (0.0125, 0.5), (0.005, 1.0), (0.0, 1.0)]
)
def test_the_term_remains_where_noise_hides_kspace(mean, share):
    assert smoothness_share(torch.full((6, 5), mean)) == pytest.approx(share, abs=1e-6)

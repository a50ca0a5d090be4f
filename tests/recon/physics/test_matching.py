import numpy as np
import pytest
import torch
from helpers.trains import train

from mri2qmap_bids.recon.physics.dictionary import TissueGrid, build_dictionary
from mri2qmap_bids.recon.physics.epg import simulate
from mri2qmap_bids.recon.physics.matching import match, signal_of

GRID = TissueGrid(step=0.06)


@pytest.fixture(scope="module", params=["FISP", "bSSFP", "complex"])
def sequence(request):
    if request.param == "complex":  # phases that grow as a square leave no real signal
        return train("FISP", 200, rf_phase=np.deg2rad(20.0) * np.arange(200) ** 2)
    return train(request.param, 200)


@pytest.fixture(scope="module")
def dictionary(sequence):
    return build_dictionary(sequence, GRID)


def random_tissues(n, seed=0):
    rng = np.random.default_rng(seed)
    t1 = np.exp(rng.uniform(np.log(0.15), np.log(4.5), n))
    t2 = np.exp(rng.uniform(np.log(0.015), np.log(1.8), n))
    kept = t2 < 0.95 * t1
    return torch.tensor(t1[kept], dtype=torch.float32), torch.tensor(t2[kept], dtype=torch.float32)


def compressed(sequence, dictionary, t1, t2):
    signals = simulate(sequence, t1, t2).to(dictionary.basis.dtype)
    return (signals @ dictionary.basis.conj()).T


def test_every_atom_matches_itself(dictionary):
    maps = match(
        dictionary.atoms[dictionary.physical].T.to(torch.complex64), dictionary, refine=False
    )
    pairs = torch.cartesian_prod(dictionary.t1, dictionary.t2)[dictionary.physical]
    assert torch.equal(maps.t1, pairs[:, 0])
    assert torch.equal(maps.t2, pairs[:, 1])
    assert torch.allclose(maps.m0, torch.ones_like(maps.m0), atol=1e-4)
    assert maps.correlation.min() > 1 - 1e-5


def test_refinement_finds_tissues_between_the_grid_points(sequence, dictionary):
    t1, t2 = random_tissues(3000)
    m0 = torch.polar(torch.linspace(0.2, 3, len(t1)), torch.linspace(-3, 3, len(t1)))
    image = m0 * compressed(sequence, dictionary, t1, t2)
    refined, coarse = match(image, dictionary), match(image, dictionary, refine=False)
    for found, grid, truth in ((refined.t1, coarse.t1, t1), (refined.t2, coarse.t2, t2)):
        error = (found / truth - 1).abs()
        assert error.mean() < GRID.step / 50
        assert error.quantile(0.99) < GRID.step / 10
        assert error.mean() < 0.1 * (grid / truth - 1).abs().mean()
    assert ((refined.m0 - m0).abs() / m0.abs()).quantile(0.99) < 0.01


def test_matched_tissue_is_physical_and_inside_the_grid_whatever_the_signal(dictionary):
    torch.manual_seed(0)
    noise = torch.randn(dictionary.basis.shape[1], 2000, dtype=torch.complex64)
    noise[:, 0] = 0
    maps = match(noise, dictionary)
    for value, limits in ((maps.t1, GRID.t1_range), (maps.t2, GRID.t2_range)):
        assert value.min() >= 0.999 * limits[0]
        assert value.max() <= 1.001 * limits[1]
    assert (maps.t2 <= 1.001 * maps.t1).all()
    assert torch.isfinite(maps.m0.abs()).all()
    assert maps.m0[0] == 0


def test_refinement_never_fits_worse_than_the_grid(sequence, dictionary):
    t1, t2 = random_tissues(500, seed=3)
    image = compressed(sequence, dictionary, t1, t2).to(torch.complex64)
    image = image + 0.02 * image.abs().mean() * torch.randn_like(image)
    refined, coarse = match(image, dictionary), match(image, dictionary, refine=False)
    assert (refined.correlation >= coarse.correlation - 1e-4).all()


def test_maps_keep_the_shape_of_the_image(dictionary):
    image = dictionary.atoms[:24].T.reshape(-1, 2, 3, 4).to(torch.complex64)
    assert match(image, dictionary).t1.shape == (2, 3, 4)


def test_signal_of_the_matched_maps_is_the_image(sequence, dictionary):
    t1, t2 = random_tissues(400, seed=5)
    m0 = torch.polar(torch.linspace(0.5, 2, len(t1)), torch.linspace(-3, 3, len(t1)))
    image = m0 * compressed(sequence, dictionary, t1, t2)
    again = signal_of(match(image, dictionary), dictionary)
    assert (again - image).norm() < 1e-3 * image.norm()


def test_quick_search_finds_what_the_full_one_finds(sequence, dictionary):
    t1, t2 = random_tissues(3000, seed=7)
    image = compressed(sequence, dictionary, t1, t2).to(torch.complex64)
    torch.manual_seed(0)
    image = image + 0.02 * image.abs().mean() * torch.randn_like(image)
    full, quick = match(image, dictionary), match(image, dictionary, exhaustive=False)
    same = ((full.t1 / quick.t1).log().abs() + (full.t2 / quick.t2).log().abs()) < 1e-3
    assert same.float().mean() > 0.99
    assert ((full.correlation - quick.correlation) < 1e-4).float().mean() > 0.999

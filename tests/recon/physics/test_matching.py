import numpy as np
import pytest
import torch
from helpers.trains import train

from mri2qmap_bids.recon.physics.dictionary import TissueGrid, build_dictionary
from mri2qmap_bids.recon.physics.epg import simulate
from mri2qmap_bids.recon.physics.matching import inside_grid, match, signal_of

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
    physical = t2 < 0.95 * t1
    return torch.tensor(t1[physical], dtype=torch.float32), torch.tensor(
        t2[physical], dtype=torch.float32
    )


def compressed(sequence, dictionary, t1, t2):
    signals = simulate(sequence, t1, t2).to(dictionary.basis.dtype)
    return (signals @ dictionary.basis.conj()).T


@pytest.mark.parametrize("exhaustive", [True, False])
def test_every_atom_matches_itself(dictionary, exhaustive):
    atoms = dictionary.atoms[dictionary.physical].T.to(torch.complex64)
    maps = match(atoms, dictionary, refine=False, exhaustive=exhaustive)
    pairs = torch.cartesian_prod(dictionary.t1, dictionary.t2)[dictionary.physical]
    own = (maps.t1 == pairs[:, 0]) & (maps.t2 == pairs[:, 1])
    # A quick search may take a neighbour that is as good.
    assert own.all() if exhaustive else own.float().mean() > 0.9
    assert torch.allclose(maps.m0[own], torch.ones_like(maps.m0[own]), atol=1e-4)
    assert maps.correlation.min() > 1 - (1e-5 if exhaustive else 2e-3)


def test_refinement_finds_tissues_between_the_grid_points(sequence, dictionary):
    t1, t2 = random_tissues(3000)
    m0 = torch.polar(torch.linspace(0.2, 3, len(t1)), torch.linspace(-3, 3, len(t1)))
    image = m0 * compressed(sequence, dictionary, t1, t2)
    refined, coarse = match(image, dictionary), match(image, dictionary, refine=False)
    for fine, grid, truth in ((refined.t1, coarse.t1, t1), (refined.t2, coarse.t2, t2)):
        error = (fine / truth - 1).abs()
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


SHORT_T1 = TissueGrid((0.005, 3.0), (0.01, 2.0), 0.1)


@pytest.mark.parametrize("exhaustive", [True, False])
def test_matched_tissue_is_physical_where_t1_begins_below_t2(exhaustive):
    """Signals of a T1 shorter than every T2 of the grid, and noise."""
    sequence = train("FISP", 60)
    dictionary = build_dictionary(sequence, SHORT_T1, rank=5)
    short = torch.linspace(0.005, 0.0095, 200)
    signals = compressed(sequence, dictionary, short, short).to(torch.complex64)
    noise = torch.randn(5, 500, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    noise[:, 0] = 0
    maps = match(torch.cat([signals, noise], 1), dictionary, exhaustive=exhaustive)
    assert maps.t1.min() >= 0.999 * 0.01 and maps.t2.min() >= 0.999 * 0.01
    assert (maps.t2 <= 1.001 * maps.t1).all()
    assert torch.isfinite(maps.m0.abs()).all()


@pytest.mark.parametrize("grid", [GRID, SHORT_T1])
def test_inside_the_grid_t1_is_not_below_t2(grid):
    sequence = train("FISP", 30)
    dictionary = build_dictionary(sequence, TissueGrid(grid.t1_range, grid.t2_range, 0.3), rank=4)
    t1, t2 = torch.cartesian_prod(*[torch.logspace(-4, 2, 50)] * 2).T
    nearest = inside_grid(t1, t2, dictionary)
    for values, axis in zip(nearest, (dictionary.t1, dictionary.t2), strict=True):
        assert values.min() >= axis[0] and values.max() <= axis[-1]
    assert (nearest[1] <= nearest[0]).all()
    # What lies inside stays as it is.
    for once, again in zip(nearest, inside_grid(*nearest, dictionary), strict=True):
        assert torch.equal(once, again)


def test_no_atom_with_t2_above_t1_is_ever_the_best(dictionary):
    """Not even for its own signal."""
    atoms = dictionary.atoms[~dictionary.physical].T.to(torch.complex64)
    for exhaustive in (True, False):
        maps = match(atoms, dictionary, refine=False, exhaustive=exhaustive)
        assert (maps.t2 <= maps.t1).all()


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


B1_GRID = TissueGrid(
    (0.3, 3.0), (0.03, 0.4), 0.08, (0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15, 1.2)
)


@pytest.fixture(scope="module")
def b1_case():
    """A train, its dictionary over B1, and tissues each with a B1 of its own between the grid's."""
    sequence = train("FISP", 100)
    rng = np.random.default_rng(1)
    t1, t2, b1 = (
        torch.tensor(rng.uniform(*limits, 600), dtype=torch.float32)
        for limits in ((0.4, 2.5), (0.04, 0.15), (0.8, 1.2))
    )
    return sequence, build_dictionary(sequence, B1_GRID), t1, t2, b1


def test_a_known_transmit_field_is_taken_out_of_the_match(b1_case):
    sequence, dictionary, t1, t2, b1 = b1_case
    signals = simulate(sequence, t1, t2, b1).to(dictionary.basis.dtype)
    image = (signals @ dictionary.basis.conj()).T.to(torch.complex64)
    for exhaustive in (True, False):
        with_field = match(image, dictionary, b1=b1, exhaustive=exhaustive, voxels_at_once=250)
        assert (with_field.t1 / t1 - 1).abs().mean() < 0.002
        assert (with_field.t2 / t2 - 1).abs().mean() < 0.003
        assert (with_field.t2 / t2 - 1).abs().quantile(0.99) < 0.01
    ignored = match(image, dictionary)
    assert (ignored.t2 / t2 - 1).abs().mean() > 0.05
    assert torch.equal(with_field.b1, b1)
    again = signal_of(with_field, dictionary)
    assert ((again - image).norm(dim=0) / image.norm(dim=0)).quantile(0.99) < 0.01


def test_without_refinement_the_nearest_transmit_field_is_taken(b1_case):
    sequence, dictionary, *_ = b1_case
    for b1, nearest in ((0.86, 0.85), (1.19, 1.2), (1.7, 1.2)):
        atoms = dictionary.atoms.reshape(len(dictionary.b1), len(dictionary.physical), -1)
        layer = int((dictionary.b1 - nearest).abs().argmin())
        image = atoms[layer][dictionary.physical].T.to(torch.complex64)
        maps = match(image, dictionary, refine=False, b1=torch.full((image.shape[1],), b1))
        pairs = torch.cartesian_prod(dictionary.t1, dictionary.t2)[dictionary.physical]
        assert torch.equal(maps.t2, pairs[:, 1])


def test_a_field_of_one_is_the_dictionary_without_a_field(b1_case):
    sequence, dictionary, t1, t2, _ = b1_case
    image = compressed(sequence, dictionary, t1, t2).to(torch.complex64)
    with_field, plain = match(image, dictionary, b1=torch.ones(len(t1))), match(image, dictionary)
    assert torch.equal(with_field.t1, plain.t1)
    assert torch.equal(with_field.t2, plain.t2)

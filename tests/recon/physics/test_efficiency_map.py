"""A map of the inversion efficiency of signals that are known."""

from dataclasses import replace

import pytest
import torch
from helpers.trains import train

from mri2qmap_bids.recon.physics.dictionary import TissueGrid, build_dictionary
from mri2qmap_bids.recon.physics.efficiency_map import (
    local_efficiency,
    with_efficiencies_as_field,
)
from mri2qmap_bids.recon.physics.epg import simulate
from mri2qmap_bids.recon.physics.inversion_efficiency import EFFICIENCIES, atoms_at
from mri2qmap_bids.recon.physics.matching import match, signal_of

SEQUENCE, N = train(n_frames=100), 24
LEFT, RIGHT = 0.7, 0.9
T1, T2 = torch.tensor([1.4, 0.8]), torch.tensor([0.09, 0.06])


@pytest.fixture(scope="module")
def dictionary():
    grid = TissueGrid((0.3, 3.0), (0.02, 0.4), 0.15, efficiencies=EFFICIENCIES)
    return build_dictionary(SEQUENCE, grid, rank=7)


def test_two_known_efficiencies_are_recovered_and_t1_with_them(dictionary):
    atoms = [
        simulate(replace(SEQUENCE, inversion_efficiency=e), T1, T2).to(dictionary.basis.dtype)
        @ dictionary.basis.conj()
        for e in (LEFT, RIGHT)
    ]
    rows = torch.arange(N) // 3 % 2
    halves = [own[rows][:, None].expand(N, N // 2, -1) for own in atoms]
    image = torch.cat(halves, 1).movedim(-1, 0).to(torch.complex64) * 1000
    generator = torch.Generator().manual_seed(0)
    image += torch.randn(image.shape, dtype=image.dtype, generator=generator)
    field = with_efficiencies_as_field(dictionary)
    mask = torch.ones(N, N, dtype=torch.bool)
    mask[:3] = False
    values = local_efficiency(image, mask, field, 0.8, (12e-3, 12e-3))
    assert values[4:, : N // 2 - 4].mean() == pytest.approx(LEFT, abs=0.01)
    assert values[4:, N // 2 + 4 :].mean() == pytest.approx(RIGHT, abs=0.01)
    assert (values[4:, : N // 2 - 4] - LEFT).abs().max() < 0.03
    maps = match(image, field, exhaustive=False, b1=values)
    one = match(image, atoms_at(dictionary, 0.8), exhaustive=False)
    true = T1[rows][4:, None]
    sides = [slice(0, N // 2 - 4), slice(N // 2 + 4, N)]
    for side in sides:
        assert (maps.t1[4:, side] / true - 1).mean().abs() < 0.01
        assert (one.t1[4:, side] / true - 1).mean().abs() > 0.02


def test_efficiencies_in_the_place_of_fields_give_the_atoms_between_them(dictionary):
    field = with_efficiencies_as_field(dictionary)
    grid = atoms_at(dictionary, 0.82)
    image = grid.atoms[::11].T.to(torch.complex64)
    maps = match(image, grid)
    there = signal_of(replace(maps, b1=torch.full_like(maps.t1, 0.82)), field)
    assert (there - signal_of(maps, grid)).abs().max() < 1e-4 * grid.atoms.abs().max()


def test_without_signal_the_map_is_the_mean(dictionary):
    field = with_efficiencies_as_field(dictionary)
    image = torch.zeros(dictionary.basis.shape[1], 6, 6, dtype=torch.complex64)
    values = local_efficiency(image, torch.ones(6, 6, dtype=torch.bool), field, 0.81, (1e-3, 1e-3))
    assert torch.allclose(values, torch.tensor(0.81))

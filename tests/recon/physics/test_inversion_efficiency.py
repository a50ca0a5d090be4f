"""Atoms between simulated efficiencies, and the efficiency of signals that are known."""

from dataclasses import replace

import pytest
import torch
from helpers.trains import train

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.physics.dictionary import (
    TissueGrid,
    build_dictionary,
    load_dictionary,
    save_dictionary,
)
from mri2qmap_bids.recon.physics.epg import simulate
from mri2qmap_bids.recon.physics.inversion_efficiency import (
    EFFICIENCIES,
    atoms_at,
    best_efficiency,
    check_inverted,
)
from mri2qmap_bids.recon.physics.sequences.qti import qti

SEQUENCE = train(n_frames=100)
GRID = TissueGrid((0.3, 3.0), (0.02, 0.4), 0.1, efficiencies=EFFICIENCIES)
PERIODIC = replace(train(n_frames=60), preparation_time=2.0)


@pytest.fixture(scope="module", params=[SEQUENCE, PERIODIC], ids=["one shot", "periodic"])
def case(request):
    return request.param, build_dictionary(request.param, GRID, rank=8)


def compressed(sequence, dictionary, efficiency, t1, t2):
    signal = simulate(replace(sequence, inversion_efficiency=efficiency), t1, t2)
    return signal.to(dictionary.basis.dtype) @ dictionary.basis.conj()


@pytest.mark.parametrize("efficiency", [0.625, 0.58, 0.93])
def test_atoms_between_efficiencies_are_those_that_are_simulated(case, efficiency):
    sequence, dictionary = case
    atoms = atoms_at(dictionary, efficiency)
    tissues = torch.cartesian_prod(dictionary.t1, dictionary.t2)[::37]
    expected = compressed(sequence, dictionary, efficiency, *tissues.T.contiguous())
    ours = atoms.atoms[::37]
    # The sign of a real fingerprint is a convention.
    sign = torch.sign((ours * expected).sum())
    assert (sign * ours - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.parametrize("efficiency", [0.5, 0.87, 1.0])
def test_the_efficiency_of_signals_is_the_one_with_least_residual(case, efficiency):
    sequence, dictionary = case
    # One T1 is beyond the dictionary, whose voxel must not count.
    t1 = torch.tensor([1.4, 0.85, 1.1, 0.6, 2.0, 0.12])
    t2 = torch.tensor([0.09, 0.06, 0.08, 0.07, 0.15, 0.04])
    image = compressed(sequence, dictionary, efficiency, t1, t2).T.to(torch.complex64)
    assert best_efficiency(image, dictionary) == pytest.approx(efficiency, abs=1e-3)


def test_a_dictionary_of_efficiencies_is_read_as_it_was_written(case, tmp_path):
    _, dictionary = case
    save_dictionary(dictionary, tmp_path / "a.safetensors")
    assert load_dictionary(tmp_path / "a.safetensors").efficiencies.tolist() == [*EFFICIENCIES]


def test_only_a_sequence_with_inversion_has_an_efficiency():
    check_inverted(SEQUENCE)
    check_inverted(qti(0.2, 0.01, 0.002, 0.0, inversion_time=[0.02, 0.0]))
    for sequence in (
        replace(SEQUENCE, inversion_time=None),
        qti(0.2, 0.01, 0.002, 0.0, inversion_time=[0.0, 0.0]),
    ):
        with pytest.raises(ArgumentError, match="without an inversion"):
            check_inverted(sequence)

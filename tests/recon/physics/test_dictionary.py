import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from helpers.trains import train

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.physics.dictionary import (
    AtomGrid,
    TissueGrid,
    build_dictionary,
    cached_dictionary,
    fingerprint_of,
    load_dictionary,
)
from mri2qmap_bids.recon.physics.epg import simulate

GRID = TissueGrid(t1_range=(0.3, 3.0), t2_range=(0.03, 0.3), step=0.2)


def test_grid_spans_its_range_in_steps_no_larger_than_asked():
    for values, limits in ((GRID.t1, GRID.t1_range), (GRID.t2, GRID.t2_range)):
        assert torch.allclose(values[[0, -1]], torch.tensor(limits))
        assert (values[1:] / values[:-1]).max() <= 1.2001


def test_atoms_are_the_compressed_fingerprints():
    sequence = train(n_frames=80)
    dictionary = build_dictionary(sequence, GRID)
    pairs = torch.cartesian_prod(dictionary.t1, dictionary.t2)
    signals = simulate(sequence, pairs[:, 0].contiguous(), pairs[:, 1].contiguous())
    physical = dictionary.physical
    error = (dictionary.atoms @ dictionary.basis.T - signals)[physical].norm() / signals[
        physical
    ].norm()
    assert error**2 <= 1.01 * (1 - dictionary.energy) + 1e-6
    assert dictionary.energy >= 0.9999


def test_tissues_are_physical_up_to_equal_times():
    times = torch.tensor([1.0, 2.0])
    grid = AtomGrid(times, times, torch.zeros(4, 1))
    assert grid.physical.tolist() == [True, False, True, True]  # T2 fastest


def test_cache_is_read_again_and_names_all_it_depends_on(tmp_path):
    sequence = train(n_frames=40)
    path = cached_dictionary(sequence, GRID, 4, 0.9999, tmp_path)
    stamp = path.stat().st_mtime_ns
    assert cached_dictionary(train(n_frames=40), GRID, 4, 0.9999, tmp_path) == path
    assert path.stat().st_mtime_ns == stamp
    direct, loaded = build_dictionary(sequence, GRID, 4), load_dictionary(path)
    assert torch.allclose(direct.atoms, loaded.atoms)
    assert torch.allclose(direct.basis, loaded.basis)
    assert loaded.energy == direct.energy
    others = {
        fingerprint_of(replace(sequence, **change), GRID, 4, 0.9999)
        for change in (
            {"kind": "bSSFP"},
            {"flip_angle": 1.01 * sequence.flip_angle},
            {"repetition_time": 1.01 * sequence.repetition_time},
            {"echo_time": 1.01 * sequence.echo_time},
            {"rf_phase": sequence.rf_phase + 0.2},
            {"inversion_time": None},
            {"inversion_efficiency": 0.9},
            {"preparation_time": 5.0},
            {"slice_profile": (1.0, 0.5)},
        )
    }
    others.add(fingerprint_of(sequence, replace(GRID, step=0.3), 4, 0.9999))
    others.add(fingerprint_of(sequence, GRID, 5, 0.9999))
    assert len(others) == 11
    assert fingerprint_of(sequence, GRID, 4, 0.9999) not in others


def test_those_who_want_the_same_dictionary_at_a_time_build_it_once(tmp_path, monkeypatch):
    calls = []

    def slow(*arguments):
        calls.append(1)
        time.sleep(0.3)
        return build_dictionary(*arguments)

    monkeypatch.setattr("mri2qmap_bids.recon.physics.dictionary.build_dictionary", slow)
    with ThreadPoolExecutor(4) as pool:
        futures = [
            pool.submit(cached_dictionary, train(n_frames=10), GRID, 3, 0.9999, tmp_path)
            for _ in range(4)
        ]
        assert len({future.result() for future in futures}) == 1
    assert len(calls) == 1
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]


def test_nothing_temporary_is_left_in_the_cache(tmp_path):
    cached_dictionary(train(n_frames=10), GRID, 3, 0.9999, tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]


@pytest.mark.parametrize("name", ["b1", "efficiencies"])
@pytest.mark.parametrize("values", [(0.8, 1.2), (0.8, 0.9, 1.2)])
def test_fields_between_which_a_parabola_cannot_be_drawn_are_refused(name, values):
    with pytest.raises(ArgumentError, match=f"{name} must be evenly spaced"):
        TissueGrid(**{name: values})
    TissueGrid(**{name: (0.8, 1.0, 1.2)})

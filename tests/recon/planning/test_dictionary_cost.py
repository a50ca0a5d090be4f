"""Time and memory of a dictionary, predicted."""

import pytest
import torch
from helpers.trains import train

from mri2qmap_bids.recon.physics.dictionary import TissueGrid
from mri2qmap_bids.recon.planning import dictionary_cost
from mri2qmap_bids.recon.planning.dictionary_cost import dictionary_stage

TRAIN = train(n_frames=50)
GRID = TissueGrid(step=0.1)


def test_more_fields_and_frames_need_more():
    stage = dictionary_stage(TRAIN, GRID, torch.device("cpu"))
    wide = dictionary_stage(
        TRAIN, TissueGrid(step=0.1, b1=(0.8, 0.9, 1.0, 1.1)), torch.device("cpu")
    )
    n_atoms = len(GRID.t1) * len(GRID.t2)
    assert wide.device - stage.device == pytest.approx(3 * 3 * 4 * n_atoms * TRAIN.n_frames)
    assert stage.seconds > 0


def test_times_of_few_tissues_are_extended_linearly(monkeypatch):
    monkeypatch.setattr(dictionary_cost, "_simulation_seconds", lambda _, n, __: 2.0 + 0.01 * n)
    n_atoms = len(GRID.t1) * len(GRID.t2)
    seconds = dictionary_stage(TRAIN, GRID, torch.device("cpu")).seconds
    assert seconds == pytest.approx(2.0 + 0.01 * n_atoms, abs=0.2)

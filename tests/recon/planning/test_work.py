"""Work of a method."""

import pytest

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.planning.work import StageWork, Work


def test_counts_are_those_of_all_stages():
    stages = (StageWork("a", 1, 2, 3, 4), StageWork("b"), StageWork("c", 10, 20, 30, 40))
    work = Work(stages)
    assert (work.n_normal, work.n_denoise, work.n_match, work.n_transforms) == (11, 22, 33, 44)


def test_the_data_are_transformed_once_at_least():
    assert Work((StageWork("b"),)).n_transforms == 1


def test_there_is_a_stage():
    with pytest.raises(ArgumentError, match="stages must be at least one"):
        Work(())

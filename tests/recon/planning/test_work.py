"""Work of a method."""

from mri2qmap_bids.recon.planning.work import StageWork, Work


def test_transforms_are_those_of_all_stages_and_at_least_that_of_the_data():
    stages = (StageWork("a", n_transforms=2), StageWork("b"), StageWork("c", n_transforms=3))
    assert Work(stages=stages).n_transforms == 5
    assert Work().n_transforms == Work(stages=stages[1:2]).n_transforms == 1

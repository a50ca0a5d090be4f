"""Sizes of a problem."""

from mri2qmap_bids.recon.planning.size import ProblemSize

SIZE = ProblemSize((64, 48), 1, 5, 8, 4, 30_000, 2000)


def test_sizes_are_counted_in_bytes():
    assert SIZE.n_voxels == 64 * 48 and SIZE.n_pairs == 15
    assert SIZE.component == 8 * 64 * 48 and SIZE.image == 5 * SIZE.component

"""The cost that is predicted of a scan follows from its size."""

from dataclasses import replace

import pytest
from helpers.trains import train

from mri2qmap_bids.errors import MemoryLimitError
from mri2qmap_bids.recon.acquisition.extent import ScanExtent
from mri2qmap_bids.recon.forecast import plan_for, plans_with, problem_size
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.dictionary import TissueGrid, build_dictionary
from mri2qmap_bids.recon.planning.machine import MemoryLimits

FLAT = ScanExtent((5, 96, 96), (5e-3, 2e-3, 2e-3), (5e-3, 0.192, 0.192), False, 12, 100_000)
SOLID = ScanExtent((48, 48, 48), (4e-3,) * 3, (0.192,) * 3, True, 4, 200_000)
OPTIONS = ReconOptions(method="subspace", device="cpu")


def size_of(extent, options=OPTIONS):
    return problem_size(extent, options, rank=5, n_atoms=3000, real_basis=True)


def test_slices_are_counted_and_a_volume_is_one():
    flat, solid = size_of(FLAT), size_of(SOLID)
    assert (flat.shape, flat.n_slices) == ((96, 96), 5)
    assert (solid.shape, solid.n_slices) == ((48, 48, 48), 1)
    assert (flat.n_receive, flat.n_coils) == (12, 8)
    assert (solid.n_receive, solid.n_coils) == (4, 4)


def test_the_image_covers_the_encoded_field_of_view_at_any_matrix():
    assert size_of(replace(FLAT, encoded_fov=(5e-3, 0.384, 0.192))).shape == (192, 96)
    assert size_of(FLAT, replace(OPTIONS, matrix=(5, 48, 48))).shape == (48, 48)


def test_the_least_plan_is_first_where_it_is_asked_for():
    size = size_of(SOLID)
    usual = plan_for(size, OPTIONS, MemoryLimits(64.0))
    least = plan_for(size, OPTIONS, MemoryLimits(64.0, least=True))
    assert least[0].device == min(plan.device for plan in usual)
    assert sorted(map(str, usual)) == sorted(map(str, least))


def test_a_scan_beyond_the_memory_is_refused():
    with pytest.raises(MemoryLimitError, match="memory must be at least"):
        plan_for(size_of(SOLID), OPTIONS, MemoryLimits(0.01))


def test_the_size_is_that_of_the_dictionary():
    sequence = train(n_frames=20)
    dictionary = build_dictionary(sequence, TissueGrid(step=0.5), rank=5)
    limits = MemoryLimits(64.0)
    size = problem_size(FLAT, OPTIONS, 5, len(dictionary.atoms), real_basis=True)
    ways = plans_with(dictionary, FLAT, OPTIONS, limits)
    assert list(map(str, ways)) == list(map(str, plan_for(size, OPTIONS, limits)))

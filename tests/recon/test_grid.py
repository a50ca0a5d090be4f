"""Grids: what stays where it was when the number of voxels changes."""

import numpy as np
import pytest
import torch

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.acquisition.geometry import Geometry, affine
from mri2qmap_bids.recon.grid import (
    centre,
    encoded_support,
    field_of_slices,
    resize,
    resized,
    tissue_grid,
    widened,
)
from mri2qmap_bids.recon.options import ReconOptions

GEOMETRY = Geometry((4, 10, 12), (5e-3, 4e-3, 3e-3), np.array([0.01, -0.02, 0.03]), *np.eye(3))


@pytest.mark.parametrize("is_3d", [True, False])
def test_another_matrix_keeps_the_field_of_view_and_the_origin(is_3d):
    other = resize(GEOMETRY, (8, 5, 7), is_3d)
    assert other.matrix == ((8, 5, 7) if is_3d else (4, 5, 7))
    for n, size, old_n, old_size in zip(
        other.matrix, other.voxel_size, GEOMETRY.matrix, GEOMETRY.voxel_size, strict=True
    ):
        assert n * size == pytest.approx(old_n * old_size)
    for geometry in (GEOMETRY, other):
        origin = affine(geometry) @ [*(n // 2 for n in geometry.matrix[::-1]), 1]
        assert np.allclose(origin[:3], GEOMETRY.position * [-1, -1, 1])
    assert resized(GEOMETRY.matrix, GEOMETRY.voxel_size, None, is_3d) == (
        GEOMETRY.matrix,
        GEOMETRY.voxel_size,
    )


def test_the_support_covers_the_encoded_field_of_view_and_the_grid():
    assert encoded_support((10, 10), (2e-3, 2e-3), (20e-3, 40e-3)) == (10, 20)


def test_a_slab_of_few_partitions_is_refused_unless_more_are_encoded():
    voxels, span = (5e-3, 4e-3, 4e-3), (20e-3, 40e-3, 40e-3)
    with pytest.raises(ArgumentError, match=r"matrixSize must be at least 5.*got \(4, 10, 10\)"):
        encoded_support((4, 10, 10), voxels, span)
    assert encoded_support((4, 10, 10), voxels, (30e-3, *span[1:])) == (6, 10, 10)
    assert encoded_support((10, 10), (2e-3, 2e-3), (10e-3, 41e-3)) == (10, 21)
    # Rounding of a field of view in a header adds no voxel.
    assert encoded_support((10,), (2e-3,), (20.001e-3,)) == (10,)


@pytest.mark.parametrize("full", [(8, 9), (9, 8), (5, 6)])
@pytest.mark.parametrize("part", [(4, 5), (5, 4)])
def test_the_origin_stays_the_origin(full, part):
    image = torch.zeros(3, *full)
    image[:, full[0] // 2, full[1] // 2] = 1
    inner = centre(image, part)
    assert inner.shape == (3, *part)
    assert (inner[:, part[0] // 2, part[1] // 2] == 1).all()


def test_the_transmit_field_goes_on_beyond_the_grid():
    field = torch.rand(5, 6)
    wide = widened(field, (9, 10))
    assert torch.equal(centre(wide, (5, 6)), field)
    assert torch.equal(wide[0], wide[2])
    assert wide.shape == (9, 10)
    volume = torch.rand(4, 5, 6)
    assert torch.equal(centre(widened(volume, (7, 5, 12)), (4, 5, 6)), volume)


def test_every_slice_has_its_field():
    cpu = torch.device("cpu")
    b1 = np.random.default_rng(0).uniform(0.8, 1.2, GEOMETRY.matrix).astype(np.float32)
    assert field_of_slices(None, GEOMETRY, False, cpu) == [None] * 4
    assert field_of_slices(None, GEOMETRY, True, cpu) == [None]
    (volume,) = field_of_slices(b1, GEOMETRY, True, cpu)
    slices = field_of_slices(b1, GEOMETRY, False, cpu)
    assert torch.equal(torch.stack(slices), volume)
    assert np.array_equal(volume.numpy(), b1)


def test_the_dictionary_covers_the_transmit_field():
    b1 = np.linspace(0.71, 1.16, 1000, dtype=np.float32).reshape(10, 10, 10)
    fields = tissue_grid(ReconOptions(), b1).b1
    assert fields[0] <= 0.72 and fields[-1] >= 1.15
    assert np.allclose(np.diff(fields), fields[1] - fields[0])
    assert tissue_grid(ReconOptions()).b1 == (1.0,)

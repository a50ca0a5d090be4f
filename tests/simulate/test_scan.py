"""A scan from its options: the grid asked for, and the maps that it should give."""

from dataclasses import replace

import numpy as np
import pytest

from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.simulate.scan import (
    ScanOptions,
    known_maps,
    place_brain,
    simulate_scan,
    tissue_labels,
)
from mri2qmap_bids.simulate.sequences import make_sequence

OPTIONS = ScanOptions(make_sequence("FISP", 2), matrix=(16, 12, 2), n_coils=3, noise=0.1)


@pytest.fixture(scope="module")
def scan():
    return simulate_scan(OPTIONS, 0, 0)


def test_the_grid_is_that_of_the_options():
    options = replace(OPTIONS, fov=(0.24, 0.18), slice_thickness=4e-3, slice_gap=1e-3)
    geometry, brain = place_brain(options, 0)
    assert geometry.matrix == (2, 12, 16) == brain.labels.shape
    assert geometry.voxel_size == pytest.approx((5e-3, 0.015, 0.015))
    moved, _ = place_brain(replace(options, offset=(0.01, 0.0, -0.02)), 0)
    assert np.allclose(moved.position - geometry.position, [-0.01, 0.0, -0.02])  # LPS of RAS


def test_known_maps_are_the_brain_with_m0_as_whitened_coils_see_it(scan):
    maps = known_maps(scan)
    assert np.array_equal(maps.mask, scan.brain.labels > 0)
    assert np.array_equal(maps.t1, scan.brain.t1)
    weight = np.abs(maps.m0 / np.where(maps.mask, scan.brain.m0, 1))[maps.mask]
    assert weight.mean() == pytest.approx(1, rel=1e-4)
    covariance = scan.acquired.noise_covariance
    s = scan.coil_maps[:, maps.mask]
    expected = np.sqrt((s.conj() * np.linalg.solve(covariance, s)).sum(0).real)
    assert np.allclose(weight, expected / expected.mean(), rtol=1e-3)


def test_only_pure_tissues_have_a_label(scan):
    labels = tissue_labels(scan.brain)
    assert set(np.unique(labels)) <= {0, 1, 2, 3}
    assert np.array_equal(labels, np.where(scan.brain.labels < 4, scan.brain.labels, 0))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"phantom": "maps"}, "--maps: must name"),
        ({"phantom": "brainweb"}, "--labels: must name"),
        ({"offset": (1.5, 0.0, 0.0)}, "must hold some tissue"),
        ({"offset": (9.0, 0.0, 0.0)}, "--offset.*position must .*got 9"),
        ({"n_dims": 3, "matrix": (8, 8)}, "--matrix: must be 1 or 3 numbers"),
        ({"matrix": (0,)}, "--matrix and --fov: must be positive"),
        ({"fov": (-0.1,)}, "--matrix and --fov: must be positive"),
        ({"slice_thickness": 1e-3, "slice_gap": -1e-3}, "--slices, --slice-thickness"),
    ],
)
def test_what_cannot_be_scanned_is_refused(changes, text):
    with pytest.raises(UsageError, match=text):
        simulate_scan(replace(OPTIONS, **changes), 0, 0)

"""Digital brains: seeds, tissues, the grid they lie on."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.simulate.anatomy import (
    Anatomy,
    brainweb,
    centre_and_extent,
    fractions,
    mni152,
)
from mri2qmap_bids.simulate.fields import generator, smooth_field
from mri2qmap_bids.simulate.grid import make_geometry
from mri2qmap_bids.simulate.phantom import RELATIVE_STEP, blurred, from_anatomy
from mri2qmap_bids.simulate.tissue import BRAINWEB_TISSUES, GREY, MNI152_TISSUES
from mri2qmap_bids.simulate.usermaps import MapFiles, from_maps, read_maps

BRAINWEB = Path(__file__).parents[3] / "shared/data/brainweb/subject04_crisp_v.mnc.gz"

THICKNESS = 5e-3


@pytest.fixture(scope="module")
def geometry():
    centre, _ = centre_and_extent(mni152())
    return make_geometry((2, 64, 64), (THICKNESS, 220e-3 / 64, 220e-3 / 64), centre)


@pytest.fixture(scope="module")
def brain(geometry):
    return from_anatomy(mni152(), geometry, 1, THICKNESS)


def test_same_seed_gives_the_same_brain(geometry, brain):
    again = from_anatomy(mni152(), geometry, 1, THICKNESS)
    for name in ("t1", "t2", "m0", "labels"):
        np.testing.assert_array_equal(getattr(again, name), getattr(brain, name))


def test_another_seed_gives_another_brain(geometry, brain):
    other = from_anatomy(mni152(), geometry, 2, THICKNESS)
    both = (brain.labels > 0) & (other.labels > 0)
    assert 0.01 < np.mean(brain.labels != other.labels) < 0.3
    assert np.mean(np.abs(brain.t1 - other.t1)[both]) > 0.02


def test_brain_has_all_tissues_with_plausible_times(brain):
    medians = [np.median(brain.t1[brain.labels == label]) for label in (1, 2, 3)]
    np.testing.assert_allclose(medians, [1.4, 0.85, 3.9], rtol=0.12)
    mask = brain.labels > 0
    assert (brain.t2 <= brain.t1).all()
    assert brain.t2[mask].min() > 0.02 and brain.t2.max() < 2.0
    for values in (brain.t1, brain.t2, brain.m0):
        assert (values[~mask] == 0).all() and (values[mask] != 0).all()


def test_times_lie_on_a_logarithmic_grid(brain):
    steps = np.log(brain.t1[brain.labels > 0].astype(float)) / RELATIVE_STEP
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-3)


def test_fractions_sum_to_one_and_rates_average(geometry):
    anatomy = mni152()
    parts = fractions(anatomy, geometry, None, generator(0, "shape"))
    np.testing.assert_allclose(parts.sum(axis=0), 1.0, atol=1e-5)

    # The middle voxel is half grey and half white matter.
    half = np.full((40, 40, 40), 1, dtype=np.uint8)
    half[:, 20:] = 2
    block = Anatomy(half, np.diag([5e-3, 5e-3, 5e-3, 1.0]), MNI152_TISSUES)
    grid = make_geometry((5, 5, 5), (2e-2, 2e-2, 2e-2), np.full(3, 97.5e-3))
    mixed = from_anatomy(block, grid, seed=0)
    assert mixed.labels[2, 2, 2] == 4
    assert 0.9 < mixed.t1[2, 2, 2] * (0.5 / 1.40 + 0.5 / 0.85) < 1.1


def test_without_a_point_spread_voxels_are_the_averages_of_what_is_inside(geometry, brain):
    parts = fractions(mni152(), geometry, THICKNESS, generator(1, "shape"))
    assert blurred(parts, THICKNESS, 0.0) is parts
    sharp = from_anatomy(mni152(), geometry, 1, THICKNESS, point_spread=0.0)
    blurrier = from_anatomy(mni152(), geometry, 1, THICKNESS, point_spread=1.2)
    # Pure grey and white matter: the sharper, the more voxels.
    pure = [np.isin(b.labels, (1, 2)).sum() for b in (blurrier, brain, sharp)]
    assert pure[0] < 0.7 * pure[1] < 0.7 * 0.9 * pure[2]
    edges = [np.abs(np.diff(np.abs(b.m0), axis=2)).max() for b in (blurrier, brain, sharp)]
    assert edges[0] < edges[1] < edges[2]


def test_slices_are_not_blurred_across():
    parts = np.zeros((1, 5, 9, 9), np.float32)
    parts[0, 2, 4, 4] = 1.0
    assert blurred(parts, THICKNESS)[0, [1, 3]].max() == 0.0
    assert blurred(parts, None)[0, 1, 4, 4] > 0.05
    np.testing.assert_allclose(blurred(parts, THICKNESS).sum(), 1.0, rtol=1e-4)


def test_oblique_grid_sees_the_same_head():
    centre, _ = centre_and_extent(mni152())
    size = (8e-3,) * 3
    straight = from_anatomy(mni152(), make_geometry((25, 25, 25), size, centre), seed=0)
    turned = from_anatomy(
        mni152(), make_geometry((25, 25, 25), size, centre, (0.0, 0.0, np.pi / 2)), seed=0
    )
    # A quarter turn about z: the turned x axis runs along the straight y axis.
    expected = straight.t1.transpose(0, 2, 1)[:, ::-1]
    same = turned.t1 - expected
    assert np.median(np.abs(same[turned.labels > 0])) < 0.02


def test_smooth_field_has_unit_variance_and_its_length():
    points = np.random.default_rng(0).uniform(0, 1.0, size=(4000, 3))
    field = smooth_field(points, 0.02, generator(3, "field"))
    near = smooth_field(points + [0.001, 0, 0], 0.02, generator(3, "field"))
    assert field.std() == pytest.approx(1.0, abs=0.15)
    assert np.abs(field - near).max() < 0.5


def _write(path, values, affine):
    nib.save(nib.Nifti1Image(values.astype(np.float32), affine), path)
    return path


def test_maps_on_their_own_grid_come_back(tmp_path):
    affine = np.diag([-4.0, -4.0, 5.0, 1.0])
    affine[:3, 3] = [40, 40, -5]
    t1 = np.full((20, 20, 3), 1.4)
    t1[10:] = 0.85
    files = MapFiles(
        _write(tmp_path / "T1map.nii.gz", t1, affine),
        _write(tmp_path / "T2map.nii.gz", t1 / 15, affine),
    )
    measured = read_maps(files)
    grid = make_geometry((3, 20, 20), (5e-3, 4e-3, 4e-3), measured.centre)
    # The middle of 20 voxels lies between two of them: the grid is half a voxel off along x, y.
    brain = from_maps(measured, grid, seed=0)
    assert {1, 2} <= set(np.unique(brain.labels))
    np.testing.assert_allclose(np.median(brain.t1[brain.labels == 1]), 1.4, rtol=2e-3)
    np.testing.assert_allclose(np.median(brain.t1[brain.labels == 2]), 0.85, rtol=2e-3)
    ratio = brain.t1[brain.labels > 0] / brain.t2[brain.labels > 0]
    np.testing.assert_allclose(ratio, 15, rtol=5e-3)


def test_maps_in_milliseconds_are_refused(tmp_path):
    path = _write(tmp_path / "T1map.nii.gz", np.full((4, 4, 4), 900.0), np.eye(4))
    with pytest.raises(UsageError, match="must be in seconds"):
        read_maps(MapFiles(path, path))


def test_labels_out_of_range_are_refused(tmp_path):
    path = _write(tmp_path / "labels.nii.gz", np.full((4, 4, 4), 30.0), np.eye(4))
    with pytest.raises(UsageError, match="labels 0..11"):
        brainweb(path)


@pytest.mark.skipif(not BRAINWEB.exists(), reason="no BrainWeb anatomy here")
def test_brainweb_head_has_scalp_and_brain():
    anatomy = brainweb(BRAINWEB)
    centre, extent = centre_and_extent(anatomy)
    assert (extent > 0.15).all() and (extent < 0.25).all()
    grid = make_geometry((1, 96, 96), (THICKNESS, 2.5e-3, 2.5e-3), centre)
    head = from_anatomy(anatomy, grid, 0, THICKNESS)
    assert set(np.unique(head.labels)) == {0, 1, 2, 3, 4, 5}
    assert len(anatomy.tissues) == len(BRAINWEB_TISSUES)
    assert np.median(head.t1[head.labels == 1]) == pytest.approx(GREY.t1, rel=0.12)

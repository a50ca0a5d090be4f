"""Maps on the grid of a T1w image: known maps land where they belong."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import heads

from mri2qmap_bids.dataset.derivatives import MapDocument, relative_path, write_maps
from mri2qmap_bids.dataset.placement import Placement
from mri2qmap_bids.dataset.registration import Registration
from mri2qmap_bids.dataset.t1w_space import on_t1w_grid, remove_placed, t1w_on_maps
from mri2qmap_bids.dataset.transform import transform_path, write_transform

MATRIX = heads.motion((5, -4, 7), (6e-3, -8e-3, 5e-3), np.zeros(3))


@pytest.fixture
def placement():
    target = heads.moved(heads.t1w(), MATRIX)
    return Placement(Registration(MATRIX, np.zeros(3), 1.0, 0.9, (5, 5, 5)), target, "bids:raw:t")


@pytest.fixture
def document():
    maps, _ = heads.scan()
    return MapDocument({"sub": "01", "acq": "x"}, maps, brain=maps.mask)


def test_maps_agree_with_those_of_the_finer_grid(document, placement):
    placed = on_t1w_grid(document, placement)
    truth, _ = heads.head_on((64, 76, 70), (3e-3, 2.5e-3, 2.5e-3), (0.0, 3.0, 0.0))
    both = placed.maps.mask & truth.mask
    assert both.sum() > 0.95 * truth.mask.sum()
    error = np.abs(placed.maps.t1 - truth.t1)[both] / truth.t1[both]
    assert np.median(error) < 0.08
    # Elsewhere it is wrong.
    other = Placement(placement.registration, heads.t1w(), "")
    wrong = on_t1w_grid(document, other).maps
    both = wrong.mask & truth.mask
    assert np.median(np.abs(wrong.t1 - truth.t1)[both] / truth.t1[both]) > 1.5 * np.median(error)


def test_the_outside_does_not_leak_into_the_edge(document, placement):
    flat = np.where(document.maps.mask, 0.8, 123.0).astype(np.float32)
    maps = type(document.maps)(flat, flat, flat + 0j, document.maps.mask, document.maps.affine)
    placed = on_t1w_grid(MapDocument({"sub": "01"}, maps), placement).maps
    assert np.allclose(placed.t1[placed.mask], 0.8, rtol=1e-5)
    assert not placed.t1[~placed.mask].any()


def test_files_are_written_beside_the_others_and_removed(document, placement, tmp_path):
    write_transform(placement, document, tmp_path)
    own = write_maps(document, tmp_path)
    written = write_maps(on_t1w_grid(document, placement), tmp_path)
    entities = {"sub": "01", "acq": "x", "space": "T1w"}
    assert tmp_path / relative_path(entities, "T1map") in written
    assert (tmp_path / relative_path(entities, "R1map", ".json")).is_file()
    assert (tmp_path / transform_path(document.entities)).is_file()
    remove_placed(document.entities, tmp_path)
    assert not list(tmp_path.rglob("*space-T1w*")) + list(tmp_path.rglob("*xfm*"))
    assert all(path.is_file() for path in own)


def test_the_t1w_image_comes_to_the_grid_of_the_maps(placement):
    maps, scan = heads.scan()
    grey = t1w_on_maps(placement, maps).astype(float)
    assert grey.shape == maps.mask.shape
    assert np.corrcoef(grey[maps.mask], scan.values[maps.mask])[0, 1] > 0.8


def test_the_resolution_along_the_axes_of_the_scan_stays_with_its_grid(document, placement):
    described = replace(document, metadata={"EffectiveResolution": [1, 2, 3], "FlipAngle": 10})
    placed = on_t1w_grid(described, placement).metadata
    assert "EffectiveResolution" not in placed and placed["FlipAngle"] == 10

"""B1 maps: which one a run gets, and what field its voxels then have."""

import gzip
import json
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mri2qmap_bids.dataset.fieldmap import (
    FieldMap,
    intended_for,
    nearest,
    read_off_resonance,
    read_transmit_field,
)
from mri2qmap_bids.errors import SidecarError
from mri2qmap_bids.recon.acquisition.geometry import Geometry, affine

AXES = Rotation.from_euler("xyz", [20, -10, 30], degrees=True).as_matrix()
GEOMETRY = Geometry((4, 10, 12), (5e-3, 4e-3, 3e-3), np.array([0.01, -0.02, 0.03]), *AXES.T)
SHAPE = (16, 14, 12)
OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = 6 * Rotation.from_euler("z", 15, degrees=True).as_matrix()
OBLIQUE[:3, 3] = np.array([-10.0, 20.0, 30.0]) - OBLIQUE[:3, :3] @ (np.array(SHAPE) / 2)


def field_at(world_mm):
    """Linear in space, so that linear interpolation is exact."""
    return 95 + world_mm @ np.array([0.2, -0.3, 0.25])


def world_of(shape, matrix):
    index = np.moveaxis(np.indices(shape), 0, -1)
    return index @ matrix[:3, :3].T + matrix[:3, 3]


def image_file(path: Path, values, matrix=OBLIQUE) -> Path:
    nib.save(nib.Nifti1Image(values.astype(np.float32), matrix), path)
    return path


@pytest.fixture
def values():
    return field_at(world_of(SHAPE, OBLIQUE))


def expected():
    millimetres = np.diag([1e3, 1e3, 1e3, 1.0]) @ affine(GEOMETRY)
    return field_at(world_of(GEOMETRY.matrix[::-1], millimetres)).transpose(2, 1, 0) / 100


def test_the_field_is_that_of_the_voxels_place_in_the_world(tmp_path, values):
    field = read_transmit_field(image_file(tmp_path / "b.nii.gz", values), GEOMETRY)
    assert field.shape == GEOMETRY.matrix
    assert np.allclose(field, expected(), atol=1e-4)


def test_voxels_without_a_value_take_that_of_their_neighbours(tmp_path, values):
    values[5:11:2, 4:10:2, 3:9:2] = 0
    values[6, 7, 6] = np.nan
    values[7, 8, 7] = -40
    field = read_transmit_field(image_file(tmp_path / "b.nii.gz", values[..., None]), GEOMETRY)
    assert np.abs(field / expected() - 1).max() < 0.03


def test_beyond_a_map_its_edge_goes_on(tmp_path, values, caplog):
    slab = values[:, :, 5:7]
    matrix = OBLIQUE.copy()
    matrix[:3, 3] += 5 * OBLIQUE[:3, 2]
    field = read_transmit_field(image_file(tmp_path / "b.nii.gz", slab, matrix), GEOMETRY)
    assert (field > 0.3).all()
    assert field.max() <= slab.max() / 100
    assert "b.nii.gz: covers only" in caplog.text


def test_what_is_no_b1_map_is_refused(tmp_path, values):
    elsewhere = OBLIQUE.copy()
    elsewhere[:3, 3] += 1000
    text = tmp_path / "t.nii.gz"
    text.write_text("nothing")
    other = tmp_path / "m.mgz"
    nib.save(nib.MGHImage(values.astype(np.float32), OBLIQUE), other)
    for path, words in (
        (image_file(tmp_path / "r.nii.gz", values / 100), "must be one volume in per cent"),
        (image_file(tmp_path / "z.nii.gz", 0 * values), "got 3 axes with a median of 0"),
        (image_file(tmp_path / "4.nii.gz", np.stack([values] * 2, -1)), "got 4 axes"),
        (image_file(tmp_path / "e.nii.gz", values, elsewhere), "must cover the scan"),
        (text, "must be a complete image file"),
        (other, "must be a NIfTI file, got MGHImage"),
    ):
        with pytest.raises(SidecarError, match=words) as caught:
            read_transmit_field(path, GEOMETRY)
        assert path.name in str(caught.value)


def with_codes(path: Path, values, sform, qform, qform_matrix=OBLIQUE) -> Path:
    image = nib.Nifti1Image(values.astype(np.float32), OBLIQUE)
    image.set_sform(OBLIQUE, sform)
    image.set_qform(qform_matrix, qform)
    nib.save(image, path)
    return path


def test_a_map_must_say_where_it_lies(tmp_path, values, caplog):
    with pytest.raises(SidecarError, match=r"n\.nii: must say where it lies .*, got neither"):
        read_transmit_field(with_codes(tmp_path / "n.nii", values, 0, 0), GEOMETRY)
    for sform, qform in ((1, 0), (0, 1), (2, 1)):
        path = with_codes(tmp_path / "one.nii", values, sform, qform)
        assert np.allclose(read_transmit_field(path, GEOMETRY), expected(), atol=1e-4)
    flat = OBLIQUE.copy()
    flat[:3, 2] = 0
    image = nib.Nifti1Image(values.astype(np.float32), OBLIQUE)
    image.set_sform(flat, 1)
    nib.save(image, tmp_path / "flat.nii")
    with pytest.raises(SidecarError, match="must place voxels in space"):
        read_transmit_field(tmp_path / "flat.nii", GEOMETRY)
    assert not caplog.text


def test_of_two_placements_the_sform_is_taken_with_a_warning(tmp_path, values, caplog):
    other = OBLIQUE.copy()
    other[:3, 3] += [0, 30, 0]
    path = with_codes(tmp_path / "b.nii.gz", values, 1, 1, other)
    assert np.allclose(read_transmit_field(path, GEOMETRY), expected(), atol=1e-4)
    assert "b.nii.gz: sform and qform place it up to 30 mm apart" in caplog.text


def test_a_map_that_hardly_overlaps_the_scan_is_refused(tmp_path, values):
    beside = OBLIQUE.copy()
    beside[:3, 3] += 55 * OBLIQUE[:3, 1] / 6
    with pytest.raises(SidecarError, match=r"must cover the scan, at least 25%.*got 1?\d% of"):
        read_transmit_field(image_file(tmp_path / "b.nii.gz", values, beside), GEOMETRY)


@pytest.mark.parametrize("damage", ["truncated", "text", "folder", "link", "pointer", "header"])
def test_a_map_that_cannot_be_read_is_named(tmp_path, values, damage):
    path = image_file(tmp_path / "b.nii.gz", values)
    whole = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage == "link":
        path.symlink_to("nowhere")
    else:
        header = gzip.compress(gzip.decompress(whole)[:40] + b"\xff" * 400)
        path.write_bytes(
            {
                "truncated": whole[: len(whole) // 2],
                "text": b"nothing",
                "pointer": b"/annex/objects/MD5E-s1--c.nii.gz\n",
                "header": header,
            }[damage]
        )
    with pytest.raises(SidecarError, match="must be a complete image file|datalad get") as caught:
        read_transmit_field(path, GEOMETRY)
    assert str(path) in str(caught.value)


def named(stem):
    entities = dict(part.split("-") for part in stem.split("_"))
    return FieldMap(Path(f"{stem}_TB1map.nii.gz"), "", entities)


@pytest.mark.parametrize(
    ("run", "name"),
    [
        ("sub-1_ses-b", "sub-1_ses-b_acq-x"),
        ("sub-1_ses-b_acq-y", "sub-1_ses-b_acq-y"),
        ("sub-1_ses-d", "sub-1_ses-e"),
        ("sub-1_ses-a", "sub-1_ses-b_acq-x"),
    ],
)
def test_a_run_gets_the_map_of_its_session_or_the_nearest(run, name):
    maps = [named(stem) for stem in ("sub-1_ses-b_acq-y", "sub-1_ses-b_acq-x", "sub-1_ses-e")]
    fieldmap = nearest(maps, named(run).entities)
    assert fieldmap is not None
    assert fieldmap.path.name == f"{name}_TB1map.nii.gz"
    assert nearest([], named(run).entities) is None


@pytest.mark.parametrize(
    ("run", "name"),
    [
        ("sub-1_ses-1", "sub-1_ses-2_run-2"),
        ("sub-1_ses-20", "sub-1_ses-10"),
        ("sub-1_ses-2", "sub-1_ses-2_run-2"),
    ],
)
def test_sessions_and_names_are_in_counting_order(run, name):
    maps = [named(f"sub-1_ses-{end}") for end in ("10", "2_run-10", "2_run-2")]
    assert nearest(maps, named(run).entities) == named(name)


@pytest.mark.parametrize(("units", "factor"), [("Hz", 1), ("rad/s", 2 * np.pi), (None, 1)])
def test_off_resonance_is_that_of_the_voxels_place_in_hz(tmp_path, values, units, factor):
    path = image_file(tmp_path / "f_fieldmap.nii.gz", (values - 95) * factor)
    if units:
        (tmp_path / "f_fieldmap.json").write_text(json.dumps({"Units": units}))
    assert np.allclose(read_off_resonance(path, GEOMETRY), 100 * expected() - 95, atol=1e-2)


@pytest.mark.parametrize(
    "place", ["fieldmap.json", "sub-1/sub-1_fieldmap.json", "sub-1/fmap/sub-1_fieldmap.json"]
)
def test_sidecars_of_a_b0_map_are_inherited(tmp_path, values, place):
    fmap = tmp_path / "sub-1" / "fmap"
    fmap.mkdir(parents=True)
    path = image_file(fmap / "sub-1_acq-x_fieldmap.nii.gz", (values - 95) * 2 * np.pi)
    said = {"Units": "rad/s", "IntendedFor": "anat/sub-1_run-2_MRF.h5"}
    (tmp_path / place).write_text(json.dumps(said))
    assert np.allclose(read_off_resonance(path, GEOMETRY), 100 * expected() - 95, atol=1e-2)
    assert not intended_for(path, "bids:raw:sub-1/anat/sub-1_MRF.h5", {})


@pytest.mark.parametrize("key", ["IntendedFor", "B0FieldIdentifier", "Units"])
@pytest.mark.parametrize("value", [5, ["Hz", 5], {"a": "b"}])
def test_an_entry_that_is_no_text_is_said(tmp_path, values, key, value):
    path = image_file(tmp_path / "f_fieldmap.nii.gz", values)
    (tmp_path / "f_fieldmap.json").write_text(json.dumps({key: value}))
    words = re.escape(f"{path}: {key} must be ") + ".*got " + re.escape(repr(value))
    with pytest.raises(SidecarError, match=words):
        if key == "Units":
            read_off_resonance(path, GEOMETRY)
        else:
            intended_for(path, "bids:raw:sub-1/anat/sub-1_MRF.h5", {"B0FieldSource": "a"})


def test_what_is_no_b0_map_is_refused(tmp_path, values):
    path = image_file(tmp_path / "f_fieldmap.nii.gz", 4096 + values * 10)
    with pytest.raises(SidecarError, match=r"f_fieldmap.nii.gz: must be within 5000 Hz"):
        read_off_resonance(path, GEOMETRY)
    (tmp_path / "f_fieldmap.json").write_text('{"Units": "arbitrary"}')
    with pytest.raises(SidecarError, match=r"Units must be Hz, rad/s, T.*got 'arbitrary'"):
        read_off_resonance(path, GEOMETRY)
    away = image_file(tmp_path / "a_fieldmap.nii.gz", values, OBLIQUE + 300 * np.eye(4, k=3))
    with pytest.raises(SidecarError, match="must cover the scan"):
        read_off_resonance(away, GEOMETRY)
    unplaced = with_codes(tmp_path / "u_fieldmap.nii.gz", values, 0, 0)
    with pytest.raises(SidecarError, match="must say where it lies"):
        read_off_resonance(unplaced, GEOMETRY)


@pytest.mark.parametrize(
    ("sidecar", "metadata", "answer"),
    [
        ({}, {}, True),
        ({"IntendedFor": "bids::sub-1/anat/sub-1_MRF.h5"}, {}, True),
        ({"IntendedFor": ["anat/sub-1_MRF.h5"]}, {}, True),
        ({"IntendedFor": ["anat/sub-1_run-2_MRF.h5"]}, {}, False),
        ({"B0FieldIdentifier": "a"}, {"B0FieldSource": ["b", "a"]}, True),
        ({"B0FieldIdentifier": "a"}, {"B0FieldSource": "b"}, False),
        ({"B0FieldIdentifier": "a"}, {}, True),
    ],
)
def test_a_map_is_for_the_runs_that_it_or_they_name(tmp_path, sidecar, metadata, answer):
    (tmp_path / "f.json").write_text(json.dumps(sidecar))
    uri = "bids:raw:sub-1/anat/sub-1_MRF.h5"
    assert intended_for(tmp_path / "f.nii.gz", uri, metadata) is answer

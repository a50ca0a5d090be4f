"""A run's place in a T1w image, and what is said where there is none."""

import logging
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from helpers import heads

from mri2qmap_bids.dataset.placement import doubts_of, place_in_t1w
from mri2qmap_bids.dataset.registration import Registration
from mri2qmap_bids.recon.physics.maps import QuantitativeMaps


def saved(path, volume):
    affine = np.diag([1e3, 1e3, 1e3, 1.0]) @ volume.affine
    image = nib.Nifti1Image(volume.values.transpose(2, 1, 0), affine)
    image.set_sform(affine, 1)
    nib.save(image, path)
    return path


def test_a_place_is_told(tmp_path, caplog):
    maps, scan = heads.scan()
    matrix = heads.motion((4, 0, 6), (2e-3, 0, 5e-3), scan.affine[:3, 3])
    path = saved(tmp_path / "sub-01_T1w.nii.gz", heads.moved(heads.t1w(), matrix))
    caplog.set_level(logging.INFO)
    placement = place_in_t1w(maps, scan.values, path, "bids:raw:x")
    assert placement.uri == "bids:raw:x"
    assert "Registered to sub-01_T1w.nii.gz: moved by" in caplog.text
    assert "may be wrong" not in caplog.text
    errors = heads.distances(maps.mask, maps.affine, placement.registration.matrix, matrix)
    assert errors.max() < 0.5e-3


TURN = heads.motion((0, 0, 40), (0, 0, 0), np.zeros(3))


@pytest.mark.parametrize(
    ("changes", "doubt"),
    [
        ({}, ""),
        ({"mutual_information": 0.17}, "mutual information of 0.17 (usually above 0.3)"),
        ({"shared": 0.4}, "40% of the scan inside the head"),
        ({"matrix": TURN}, "turned by 40 deg"),
        ({"steps": (9, 9, 200)}, "no convergence"),
    ],
)
def test_what_is_unusual_is_doubted(changes, doubt):
    usual = Registration(np.eye(4), np.zeros(3), 0.9, 0.8, (200, 9, 9))
    assert doubts_of(replace(usual, **changes)) == doubt


def test_a_bad_file_is_warned_of_and_a_thin_scan_told(tmp_path, caplog):
    maps, scan = heads.scan()
    path = tmp_path / "sub-01_T1w.nii.gz"
    path.write_bytes(b"x")
    assert place_in_t1w(maps, scan.values, path, "") is None
    assert f"Not registered to {path.name}: {path}: must be" in caplog.text
    caplog.clear()
    caplog.set_level(logging.INFO)
    slice_ = QuantitativeMaps(
        *(v[20:21] for v in (maps.t1, maps.t2, maps.m0, maps.mask)), maps.affine
    )
    assert place_in_t1w(slice_, scan.values[20:21], path, "") is None
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert "at least 8 voxels and 40 mm" in caplog.text

"""The grid that acquisition headers give."""

from pathlib import Path

import ismrmrd.hdf5
import numpy as np
import pytest

from mri2qmap_bids.errors import RawDataError
from mri2qmap_bids.recon.acquisition.header import ScanHeader
from mri2qmap_bids.recon.acquisition.placement import place_slices, place_volume

FILE = Path("x.h5")
HEADER = ScanHeader((32, 16, 1), (0.32, 0.16, 5e-3), (32, 16, 1), (0.32, 0.16, 5e-3))
TURN = np.deg2rad(30)
AXES = {
    "read_dir": (np.cos(TURN), 0.0, -np.sin(TURN)),
    "phase_dir": (0.0, 1.0, 0.0),
    "slice_dir": (np.sin(TURN), 0.0, np.cos(TURN)),
}


def head(height, axes=AXES):
    """The header of a line in the slice at a height [m] along its normal."""
    fields = np.zeros((), ismrmrd.hdf5.acquisition_header_dtype)
    fields["position"] = 1e3 * (np.array([0.01, 0.02, 0.0]) + height * np.array(AXES["slice_dir"]))
    for name, vector in axes.items():
        fields[name] = vector
    return fields


def test_slices_are_ordered_along_their_normal_and_as_far_apart_as_they_lie():
    heights = (0.014, 0.0, 0.007)
    geometry, order = place_slices(FILE, HEADER, [head(height) for height in heights])
    assert order == [1, 2, 0]
    assert geometry.matrix == (3, 16, 32)
    assert geometry.voxel_size == pytest.approx((7e-3, 0.01, 0.01))
    for place, number in enumerate(order):
        shift = geometry.centre_of(place) - head(heights[number])["position"] * 1e-3
        assert np.abs(shift).max() < 1e-8


def test_a_single_slice_is_as_thick_as_the_header_says():
    geometry, order = place_slices(FILE, HEADER, [head(0.0)])
    assert order == [0] and geometry.voxel_size[0] == pytest.approx(5e-3)


@pytest.mark.parametrize(
    ("heads", "words"),
    [
        ([head(0.0), head(0.005), head(0.015)], "equally spaced along slice_dir, got gaps of"),
        (
            [
                head(0.0),
                head(0.005, {**AXES, "read_dir": AXES["phase_dir"], "phase_dir": AXES["read_dir"]}),
            ],
            "same read, phase and slice direction, got another in slice 1",
        ),
        ([head(0.0, {**AXES, "read_dir": (1.0, 0.0, 0.0)})], "must be orthogonal unit vectors"),
    ],
)
def test_slices_that_are_no_stack_are_refused(heads, words):
    with pytest.raises(RawDataError, match=words):
        place_slices(FILE, HEADER, heads)


def test_slices_at_one_place_are_stacked_by_their_number(caplog):
    geometry, order = place_slices(FILE, HEADER, [head(0.0), head(0.0)])
    assert order == [0, 1] and geometry.matrix[0] == 2
    assert "all slices have the same position" in caplog.text


def test_a_volume_lies_where_its_lines_do():
    header = ScanHeader((32, 16, 8), (0.32, 0.16, 0.04), (32, 16, 8), (0.32, 0.16, 0.04))
    geometry = place_volume(FILE, header, head(0.0))
    assert geometry.matrix == (8, 16, 32)
    assert geometry.voxel_size == pytest.approx((5e-3, 0.01, 0.01))
    assert geometry.position == pytest.approx([0.01, 0.02, 0.0])
    assert geometry.slice_dir == pytest.approx(AXES["slice_dir"])


def test_without_directions_the_scanners_axes_are_taken(caplog):
    nothing = dict.fromkeys(AXES, (0.0, 0.0, 0.0))
    geometry, _ = place_slices(FILE, HEADER, [head(0.0, nothing)])
    assert geometry.read_dir.tolist() == [1, 0, 0] and geometry.slice_dir.tolist() == [0, 0, 1]
    assert "no direction cosines" in caplog.text

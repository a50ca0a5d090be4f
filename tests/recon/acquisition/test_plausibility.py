"""Sizes and positions of files in the wrong unit."""

import logging

import pytest
from helpers.rawfile import header_xml, simple_readouts, write_file

from mri2qmap_bids.errors import RawDataError
from mri2qmap_bids.recon.acquisition.layout import ReadLayout
from mri2qmap_bids.recon.acquisition.raw import read_raw

THREE = ReadLayout(n_frames=3)


def stack(path, positions, **sizes):
    readouts = [
        readout
        for number, position in enumerate(positions)
        for readout in simple_readouts(idx_slice=number, position=position)
    ]
    return write_file(path, readouts, header_xml(**sizes))


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"fov": (0.16, 0.16, 0.005)}, r"encodedSpace fieldOfView_mm x .* mm, got 0.16 \(is it in m\?\)"),
        ({"fov": (2000.0, 160.0, 5.0)}, "fieldOfView_mm x must be 3 to 1500 mm, got 2000"),
        ({"fov": (160.0, 160.0, 0.005)}, r"fieldOfView_mm z must be .*0.005 \(is it in m\?\)"),
        ({"recon_fov": (0.16, 0.16, 5.0)}, "reconSpace fieldOfView_mm x must be"),
        ({"matrix": (3, 8, 1)}, "matrixSize x must be 4 to 4096, got 3"),
        ({"matrix": (8, 20000, 1)}, "matrixSize y must be 4 to 4096, got 2e"),
        ({"matrix": (8, 8, 9000)}, "matrixSize z must be 1 to 4096, got 9000"),
        ({"matrix": (5, 5, 1), "fov": (600.0, 600.0, 5.0)}, "voxel size x must be 0.02 to 100 mm, got 120"),
    ],
)  # fmt: skip
def test_sizes_of_no_scan_are_refused_before_samples_are_read(tmp_path, sizes, words):
    n_dim = 3 if sizes.get("matrix", (8, 8, 1))[2] > 1 else 2
    path = write_file(tmp_path / "x.h5", simple_readouts(n_dim=n_dim), header_xml(**sizes))
    with pytest.raises(RawDataError, match=words) as caught:
        read_raw(path, THREE)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "sizes",
    [
        {"matrix": (150, 150, 1), "fov": (15.0, 15.0, 0.5)},  # rodent
        {"matrix": (512, 512, 1), "fov": (1000.0, 1000.0, 8.0)},  # body, twice the field of view
    ],
)
def test_sizes_of_rodents_and_bodies_pass(tmp_path, sizes):
    path = write_file(tmp_path / "x.h5", simple_readouts(), header_xml(**sizes))
    assert read_raw(path, THREE).geometry.matrix[2] == sizes["matrix"][0]


@pytest.mark.parametrize(
    ("positions", "words"),
    [
        ([(0, 0, 0.005 * n) for n in range(3)], r"5 mm, .* apart, got 0.005 mm \(are positions in m\?\)"),
        ([(0, 0, 0.5 * n) for n in range(3)], r"got 0.5 mm \(are positions in cm\?\)"),
        ([(0, 0, 0.2 * n) for n in range(3)], "apart, got 0.2 mm"),
        ([(0, 0, 50.0 * n) for n in range(3)], "apart, got 50 mm"),
        ([(0, 6.0 * n, 0) for n in range(5)], "must be stacked along slice_dir, got .* 24 mm along phase_dir"),
        ([(6.0 * n, 0, 6.0 * n) for n in range(5)], "24 mm along read_dir"),
        ([(0, 0, 5000.0 + 6 * n) for n in range(3)], "position must .* 0 to 2000 mm"),
    ],
)  # fmt: skip
def test_slices_that_are_no_stack_are_refused(tmp_path, positions, words):
    with pytest.raises(RawDataError, match=words):
        read_raw(stack(tmp_path / "x.h5", positions), THREE)


@pytest.mark.parametrize(("gap", "warned"), [(5.0, False), (3.0, True), (40.0, False)])
def test_gaps_pass_and_overlap_is_said(tmp_path, caplog, gap, warned):
    path = stack(tmp_path / "x.h5", [(0, 0, gap * n) for n in range(3)])
    with caplog.at_level(logging.WARNING):
        scan = read_raw(path, THREE)
    assert scan.geometry.voxel_size[0] == pytest.approx(gap * 1e-3)
    assert ("slices overlap" in caplog.text) == warned


def test_a_header_with_the_thickness_of_the_whole_stack_passes(tmp_path):
    positions = [(0, 0, 5.0 * n) for n in range(8)]
    path = stack(tmp_path / "x.h5", positions, fov=(160.0, 160.0, 40.0))
    assert read_raw(path, THREE).geometry.voxel_size[0] == pytest.approx(5e-3)


@pytest.mark.parametrize(
    ("position", "warned"),
    [((0.012, -0.03, 0.045), True), ((12, -30, 45), False), ((0, 0, 0), False)],
)
def test_a_single_position_that_may_be_in_metres_is_said(tmp_path, caplog, position, warned):
    with caplog.at_level(logging.WARNING):
        read_raw(stack(tmp_path / "x.h5", [position]), THREE)
    assert ("if it is in m" in caplog.text) == warned

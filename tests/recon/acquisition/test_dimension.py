"""2D or 3D: what the samples follow."""

import numpy as np
import pytest
from helpers.rawfile import header_xml, simple_readouts, write_file

from mri2qmap_bids.errors import RawDataError
from mri2qmap_bids.recon.acquisition.layout import ReadLayout
from mri2qmap_bids.recon.acquisition.lines import image_lines
from mri2qmap_bids.recon.acquisition.raw import read_raw
from mri2qmap_bids.recon.acquisition.table import read_table

FLAT = header_xml()
THICK = header_xml(matrix=(8, 8, 2), fov=(160.0, 160.0, 10.0))


def readouts(kz, n_frames=3, **fields):
    """Lines with a third component: a number, or a function of line and sample."""
    lines = simple_readouts(n_frames, n_dim=3, **fields)
    for number, line in enumerate(lines):
        line.traj[:, 2] = kz(number, np.arange(6)) if callable(kz) else kz
    return lines


def encoded(line, sample):
    return 0.5 * (line % 2) - 0.5


def density(line, sample):
    return 0.1 * sample


@pytest.mark.parametrize("kz", [0.0, 0.25], ids=["zero", "constant"])
def test_samples_without_kz_are_one_slice_of_the_whole_thickness(tmp_path, kz, caplog):
    scan = read_raw(write_file(tmp_path / "x.h5", readouts(kz), THICK), ReadLayout(3))
    assert not scan.is_3d
    assert scan.geometry.matrix == (1, 8, 8)
    assert scan.geometry.voxel_size[0] == pytest.approx(0.01)
    assert "2 partitions, but the samples have no kz" in caplog.text


def test_slices_without_kz_are_not_summed(tmp_path, caplog):
    lines = [
        line
        for number in range(3)
        for line in readouts(0.0, seed=number, idx_slice=number, position=(0, 0, 6.0 * number))
    ]
    scan = read_raw(write_file(tmp_path / "x.h5", lines, THICK), ReadLayout(3))
    assert [len(part.frame) for part in scan.slices] == [18] * 3
    assert scan.geometry.voxel_size[0] == pytest.approx(0.006)
    assert "WARNING" in caplog.text


def test_kz_makes_a_volume(tmp_path):
    scan = read_raw(write_file(tmp_path / "x.h5", readouts(encoded), THICK), ReadLayout(3))
    assert scan.is_3d
    assert scan.slices[0].trajectory.shape == (18, 3)


def test_samples_to_discard_do_not_tell_the_dimension(tmp_path):
    lines = readouts(encoded, discard_pre=1)
    for line in lines:
        line.traj[0, 2] = np.nan
    assert read_raw(write_file(tmp_path / "x.h5", lines, THICK), ReadLayout(3)).is_3d
    lines = readouts(lambda line, sample: sample == 0, discard_pre=1)
    assert not read_raw(write_file(tmp_path / "y.h5", lines, FLAT), ReadLayout(3)).is_3d


def test_kz_with_one_partition_is_refused(tmp_path):
    with pytest.raises(RawDataError, match="matrixSize z must be the number of partitions.*got 1"):
        read_raw(write_file(tmp_path / "x.h5", readouts(encoded), FLAT), ReadLayout(3))


def test_a_density_is_no_kz(tmp_path, caplog):
    scan = read_raw(write_file(tmp_path / "x.h5", readouts(density), FLAT), ReadLayout(3))
    assert scan.slices[0].trajectory.shape == (18, 2)
    assert "taken as a density" in caplog.text


def test_with_partitions_in_the_header_a_half_space_of_kz_is_no_density(tmp_path):
    assert read_raw(write_file(tmp_path / "x.h5", readouts(density), THICK), ReadLayout(3)).is_3d


@pytest.mark.parametrize(("kz", "is_3d"), [(0.0, True), (encoded, False)])
def test_metadata_that_contradict_the_samples_are_refused(tmp_path, kz, is_3d):
    path = write_file(tmp_path / "x.h5", readouts(kz), THICK)
    with pytest.raises(RawDataError, match="MRAcquisitionType must be that of the trajectory"):
        read_raw(path, ReadLayout(3, is_3d=is_3d))


def test_kz_of_a_single_line_is_found(tmp_path):
    path = write_file(
        tmp_path / "x.h5", readouts(lambda line, _: 0.5 * (line == 150), n_frames=300), FLAT
    )
    # Too rare to be among the lines that are looked at first.
    assert not image_lines(read_table(path), ReadLayout(300)).is_3d
    with pytest.raises(RawDataError, match="must be one value in a 2D scan, got 0 to 0.5"):
        read_raw(path, ReadLayout(300))


def test_a_volume_of_one_reconstructed_partition_is_refused(tmp_path):
    xml = header_xml((8, 8, 2), (160.0, 160.0, 10.0), (8, 8, 1), (160.0, 160.0, 10.0))
    with pytest.raises(RawDataError, match="reconSpace must be at least 2"):
        read_raw(write_file(tmp_path / "x.h5", readouts(encoded), xml), ReadLayout(3))

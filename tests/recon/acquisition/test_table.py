"""HDF5 files that are not what a converter writes first."""

import os
from pathlib import Path

import h5py
import ismrmrd
import numpy as np
import pytest
import torch
from helpers.rawfile import acquisition, header_xml, simple_readouts, write_file

from mri2qmap_bids.errors import RawDataError
from mri2qmap_bids.recon.acquisition.layout import ReadLayout
from mri2qmap_bids.recon.acquisition.raw import read_raw
from mri2qmap_bids.recon.acquisition.table import read_table

THREE = ReadLayout(n_frames=3)


def noise_line(n_coils=2, **fields):
    data = np.random.default_rng(5).standard_normal((n_coils, 50)) + 0j
    return acquisition(data, None, flags=[ismrmrd.ACQ_IS_NOISE_MEASUREMENT], **fields)


def with_heads(path, **fields):
    """Overwrite fields of all acquisition headers."""
    with h5py.File(path, "a") as file:
        rows = file["dataset/data"][:]
        for name, value in fields.items():
            rows["head"][name] = value
        file["dataset/data"][:] = rows
    return path


def with_xml(path, **content):
    with h5py.File(path, "a") as file:
        del file["dataset/xml"]
        file["dataset"].create_dataset("xml", **content)
    return path


def test_scan_and_noise_may_lie_in_groups_of_their_own(tmp_path):
    expected = read_raw(write_file(tmp_path / "a.h5", [noise_line(), *simple_readouts()]), THREE)
    path = write_file(tmp_path / "b.h5", [noise_line()], group="dataset_1")
    write_file(path, simple_readouts(), group="dataset_2")
    scan = read_raw(path, THREE)
    assert torch.equal(scan.slices[0].kspace, expected.slices[0].kspace)
    assert torch.equal(scan.noise, expected.noise)


@pytest.mark.parametrize("first", ["dataset", "dataset_1"])
def test_two_scans_in_one_file_are_refused(tmp_path, first):
    path = write_file(tmp_path / "x.h5", simple_readouts(), group=first)
    write_file(path, simple_readouts(4), group="dataset_2")
    with pytest.raises(RawDataError, match=f"{first}: 3 image lines, dataset_2: 4 image lines"):
        read_raw(path, THREE)


def test_a_group_without_trajectories_is_no_scan(tmp_path):
    adjustment = [acquisition(np.ones((2, 6)), None) for _ in range(4)]
    path = write_file(tmp_path / "x.h5", adjustment, group="dataset_1")
    write_file(path, simple_readouts(), group="dataset_2")
    assert read_raw(path, THREE).slices[0].kspace.shape == (2, 18)


def test_noise_of_other_coils_is_left_out(tmp_path, caplog):
    lines = [noise_line(3), noise_line(2), *simple_readouts()]
    scan = read_raw(write_file(tmp_path / "x.h5", lines), THREE)
    assert scan.noise.shape == (2, 50)
    assert "1 of 2 noise lines left out: they have [3] channels, the image 2" in caplog.text
    assert read_raw(write_file(tmp_path / "y.h5", [lines[0], *lines[2:]]), THREE).noise is None


def test_every_noise_line_is_scaled_by_its_own_bandwidth(tmp_path):
    lines = [noise_line(sample_time_us=dwell) for dwell in (2.0, 8.0)]
    path = write_file(tmp_path / "x.h5", [*lines, *simple_readouts(sample_time_us=2.0)])
    noise = read_raw(path, THREE).noise
    assert torch.allclose(noise[:, 50:], 2 * noise[:, :50])


def test_noise_that_is_not_finite_is_refused(tmp_path):
    line = noise_line()
    line.data[0, 3] = np.nan
    with pytest.raises(RawDataError, match="noise must be finite"):
        read_raw(write_file(tmp_path / "x.h5", [line, *simple_readouts()]), THREE)


@pytest.mark.parametrize("field", ["number_of_samples", "active_channels"])
def test_heads_that_claim_more_than_the_file_holds_are_refused(tmp_path, field):
    path = with_heads(write_file(tmp_path / "x.h5", simple_readouts()), **{field: 65535})
    with pytest.raises(RawDataError, match="must hold the samples that its acquisitions claim"):
        read_raw(path, THREE)


def test_a_list_that_claims_more_than_the_file_holds_is_refused(tmp_path):
    path = write_file(tmp_path / "x.h5", simple_readouts())
    with h5py.File(path, "a") as file:
        file["dataset/data"].resize((1_000_000_000,))
    with pytest.raises(RawDataError, match="must hold the 1000000000 acquisitions that it claims"):
        read_raw(path, THREE)


def test_heads_with_no_samples_are_refused(tmp_path):
    path = write_file(tmp_path / "x.h5", [noise_line(), *simple_readouts()])
    with_heads(path, number_of_samples=0, active_channels=0)
    with pytest.raises(RawDataError, match="number_of_samples 0.*active_channels 0"):
        read_raw(path, THREE)


def test_an_empty_list_is_refused(tmp_path):
    path = write_file(tmp_path / "x.h5", simple_readouts())
    with h5py.File(path, "a") as file:
        file["dataset/data"].resize((0,))
    with pytest.raises(RawDataError, match="got none among 0 lines"):
        read_raw(path, THREE)


@pytest.mark.parametrize("name", ["flags", "measurement_uid", "idx"])
def test_heads_that_lack_a_field_are_refused(tmp_path, name):
    path = write_file(tmp_path / "x.h5", simple_readouts())
    with h5py.File(path, "a") as file:
        rows = file["dataset/data"][:]
        head = rows.dtype["head"]
        fields = [(n, head[n]) for n in head.names if n != name]
        members = [("head", fields), *((n, rows.dtype[n]) for n in ("traj", "data"))]
        del file["dataset/data"]
        file["dataset"].create_dataset("data", len(rows), np.dtype(members))
    with pytest.raises(RawDataError, match=rf"fields of an acquisition header, got none.*{name}"):
        read_raw(path, THREE)


@pytest.mark.parametrize("content", [np.zeros(0), np.zeros(5), np.zeros((), "i4"), None])
def test_data_that_are_no_acquisitions_are_refused(tmp_path, content):
    path = write_file(tmp_path / "x.h5", simple_readouts())
    with h5py.File(path, "a") as file:
        del file["dataset/data"]
        if content is None:
            file["dataset"].create_group("data")
        else:
            file["dataset"]["data"] = content
    with pytest.raises(RawDataError, match="must be a list of acquisitions"):
        read_raw(path, THREE)


@pytest.mark.parametrize(
    "content",
    [
        {"data": header_xml()},
        {"data": header_xml(), "dtype": h5py.string_dtype()},
        {"data": [header_xml().encode()], "dtype": h5py.string_dtype()},
        {"data": np.array([header_xml().encode()])},
    ],
    ids=["scalar", "scalar string", "array", "fixed length"],
)
def test_the_header_may_be_stored_in_any_way_that_can_be_read(tmp_path, content):
    path = with_xml(write_file(tmp_path / "x.h5", simple_readouts()), **content)
    assert read_raw(path, THREE).geometry.matrix == (1, 8, 8)


@pytest.mark.parametrize("content", [{"shape": (0,), "dtype": "S5"}, {"data": 5}, {"data": "\xe9"}])
def test_a_header_that_is_no_text_is_refused(tmp_path, content):
    path = with_xml(write_file(tmp_path / "x.h5", simple_readouts()), **content)
    with pytest.raises(RawDataError, match="must (hold the header as text|be valid XML)"):
        read_raw(path, THREE)


@pytest.mark.parametrize("member", ["", "/xml", "/data"])
@pytest.mark.parametrize("kind", ["external", "soft"])
def test_links_are_not_followed(tmp_path, member, kind):
    whole = write_file(tmp_path / "whole.h5", simple_readouts())
    path = tmp_path / "x.h5"
    path.write_bytes(whole.read_bytes())
    with h5py.File(path, "a") as file:
        del file[f"dataset{member}"]
        target = h5py.ExternalLink(whole, f"/dataset{member}")
        if kind == "soft":
            file["outside"] = target
            target = h5py.SoftLink("/outside")
        file[f"dataset{member}"] = target
    with pytest.raises(RawDataError, match="links are not followed"):
        read_raw(path, THREE)


def test_data_stored_in_another_file_are_refused(tmp_path):
    path = write_file(tmp_path / "x.h5", simple_readouts())
    with h5py.File(path, "a") as file:
        old = file["dataset/data"]
        layout = h5py.VirtualLayout(old.shape, old.dtype)
        layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "dataset/data", old.shape, old.dtype)
        del file["dataset/data"]
        file["dataset"].create_virtual_dataset("data", layout)
    with pytest.raises(RawDataError, match="must lie in the file itself"):
        read_raw(path, THREE)


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_a_look_at_the_headers_keeps_nothing_of_the_samples(tmp_path):
    lines = [
        acquisition(np.ones((4, 20_000)), np.zeros((20_000, 2)), idx_contrast=i) for i in range(20)
    ]
    path = write_file(tmp_path / "large.h5", lines)
    size = path.stat().st_size
    read_table(path)
    before = resident_bytes()
    for _ in range(10):
        read_table(path)
    assert resident_bytes() - before < 3 * size

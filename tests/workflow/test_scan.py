"""A scan that is handed on is the one that the headers describe, or they are read again."""

import os
from dataclasses import replace

import numpy as np
import pytest
from helpers.trains import train

from mri2qmap_bids.dataset import sidecar
from mri2qmap_bids.simulate.rawfile import RawFileOptions, write_raw_file
from mri2qmap_bids.simulate.scan import ScanOptions, simulate_scan
from mri2qmap_bids.simulate.sidecar import make_sidecar
from mri2qmap_bids.workflow.scan import describe_scan, save_scan


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Raw file, metadata, a scan file of them, and a list that grows with every reading of headers."""
    path, sequence = tmp_path / "sub-01_MRF.h5", train(n_frames=6)
    scan = simulate_scan(ScanOptions(sequence, matrix=(16, 16), n_coils=3), 1, 1)
    write_raw_file(path, scan.acquired, sequence, scan.geometry, RawFileOptions())
    metadata = make_sidecar(sequence, scan.acquired.trajectory, 3, RawFileOptions())
    save_scan(describe_scan(metadata, path), tmp_path / "scan.pickle")
    read_table, readings = sidecar.read_table, []
    monkeypatch.setattr(
        sidecar, "read_table", lambda path: readings.append(path) or read_table(path)
    )
    return path, metadata, tmp_path / "scan.pickle", readings


def test_a_scan_handed_on_is_that_of_the_headers(run):
    path, metadata, scan_file, readings = run
    scan = describe_scan(metadata, path, scan_file)
    assert not readings
    again = describe_scan(metadata, path)
    assert readings == [path]
    assert scan.lines.header == again.lines.header
    assert np.array_equal(scan.lines.heads, again.lines.heads)
    assert np.array_equal(scan.sequence.flip_angle, again.sequence.flip_angle)


def test_headers_of_a_raw_file_that_changed_are_read_again(run):
    path, metadata, scan_file, readings = run
    os.utime(path, (1, 1))
    describe_scan(metadata, path, scan_file)
    assert readings == [path]


def test_a_sidecar_that_changed_counts(run):
    path, metadata, scan_file, readings = run
    longer = {**metadata, "InversionTime": metadata["InversionTime"] + 0.01}
    assert describe_scan(longer, path, scan_file).sequence.inversion_time == pytest.approx(
        longer["InversionTime"]
    )
    assert readings == [path]


def test_scans_of_another_version_are_not_taken(run):
    path, metadata, scan_file, readings = run
    scan = describe_scan(metadata, path, scan_file)
    save_scan(replace(scan, origin=("0.0.0", *scan.origin[1:])), scan_file)
    describe_scan(metadata, path, scan_file)
    assert readings == [path]


@pytest.mark.parametrize("content", [b"", b"no pickle", None])
def test_without_a_readable_scan_file_the_headers_are_read(run, content):
    path, metadata, scan_file, readings = run
    scan_file.unlink() if content is None else scan_file.write_bytes(content)
    describe_scan(metadata, path, scan_file)
    assert readings == [path]

"""The size of a scan is the same before and after its samples are read."""

from dataclasses import replace

import pytest
from helpers.trains import train

from mri2qmap_bids.recon.acquisition.extent import extent_of, extent_of_lines
from mri2qmap_bids.recon.acquisition.layout import ReadLayout
from mri2qmap_bids.recon.acquisition.lines import image_lines
from mri2qmap_bids.recon.acquisition.raw import read_samples
from mri2qmap_bids.recon.acquisition.table import read_table
from mri2qmap_bids.simulate.rawfile import RawFileOptions, write_raw_file
from mri2qmap_bids.simulate.scan import ScanOptions, simulate_scan


@pytest.mark.parametrize("matrix", [(16, 16, 3), (12, 12, 12)])
def test_headers_tell_the_size_of_the_samples(tmp_path, matrix):
    n_dims = 2 if matrix[2] == 3 else 3
    sequence = train(n_frames=6)
    options = ScanOptions(
        sequence,
        n_dims=n_dims,
        matrix=matrix,
        n_coils=3,
        trajectory="radial" if n_dims == 2 else "stack-of-stars",
    )
    scan = simulate_scan(options, 1, 1)
    path = tmp_path / "x.h5"
    raw_file = RawFileOptions(discard_pre=2, discard_post=1)
    write_raw_file(path, scan.acquired, sequence, scan.geometry, raw_file)
    lines = image_lines(read_table(path), ReadLayout(n_frames=6))
    extent = extent_of_lines(lines)
    # Times are read only where off-resonance is corrected.
    assert replace(extent, readout_time=0.0) == extent_of(read_samples(lines))
    timed = extent_of(read_samples(lines, timed=True)).readout_time
    assert 0 < timed <= extent.readout_time
    assert extent.matrix == matrix[::-1] and extent.n_coils == 3 and extent.is_3d == (n_dims == 3)
    kspace = scan.acquired.kspace
    assert extent.n_samples == kspace.shape[1] * kspace.shape[2] * kspace.shape[4]

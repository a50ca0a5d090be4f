"""Off-resonance of a scan: which slices have it, what is refused, and what is said of balanced sequences."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.scans import disc_brain, raw_scan
from helpers.threads import torch_threads

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.off_resonance import frequency_of_slices, span_of, warn_of_bands
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.reconstruct import reconstruct
from mri2qmap_bids.simulate.acquire import acquire
from mri2qmap_bids.simulate.coils import coil_maps
from mri2qmap_bids.simulate.grid import make_geometry
from mri2qmap_bids.simulate.sequences import make_sequence
from mri2qmap_bids.simulate.trajectory import make_trajectory

CPU = torch.device("cpu")
DWELL = 2e-5
FOV = 0.2


@pytest.fixture(scope="module")
def case():
    """A noise-free spiral scan of a disc in a field, the disc and the field."""
    n, sequence = 24, make_sequence("FISP", 40)
    brain = disc_brain(n, FOV, 0.35 * n)
    y, x = np.mgrid[:n, :n] / n - 0.5
    field = (500 * x - 300 * x * y + 30)[None].astype(np.float32)
    trajectory = make_trajectory("spiral", (n, n), 40, 1.0, 3)
    maps = coil_maps((1, n, n), False, 4, 0)
    acquired = acquire(brain, sequence, trajectory, maps, 0.01, 0, 1.0, field, DWELL)
    geometry = make_geometry((1, n, n), (5e-3, FOV / n, FOV / n), np.zeros(3), (0.0, 0.0, 0.0))
    scan = raw_scan(acquired, geometry)
    n_samples = trajectory.positions.shape[2]
    time = torch.arange(n_samples).repeat(40 * trajectory.positions.shape[1]) * DWELL
    scan = replace(scan, slices=(replace(scan.slices[0], time=time),))
    return scan, sequence, brain, field


def error_of(case, b0):
    """Mean relative error of T2 in the disc."""
    scan, sequence, brain, _ = case
    maps = reconstruct(scan, sequence, ReconOptions("subspace", device="cpu"), b0=b0)
    inside = brain.labels > 0
    return float(np.mean(np.abs(maps.t2[inside] / brain.t2[inside] - 1)))


def test_a_field_takes_the_error_of_off_resonance_out_of_the_maps(case):
    assert error_of(case, case[3]) < 0.02
    assert error_of(case, None) > 0.05


@pytest.fixture
def one_thread():
    """Several threads add samples in any order."""
    with torch_threads(1):
        yield


def test_a_zero_field_changes_nothing(case, one_thread):
    scan, sequence, _, field = case
    options = ReconOptions("gridding", device="cpu")
    plain = reconstruct(scan, sequence, options)
    zero = reconstruct(scan, sequence, options, b0=np.zeros_like(field))
    np.testing.assert_array_equal(zero.t1, plain.t1)
    np.testing.assert_array_equal(zero.m0, plain.m0)


def test_a_field_of_another_shape_or_unit_or_without_times_is_refused(case):
    scan = replace(case[0], slices=(replace(case[0].slices[0], time=None),))
    shape = scan.geometry.matrix
    for field, text in (
        (np.zeros((1, 2, 3), np.float32), "b0 must be finite of shape"),
        (np.full(shape, np.nan, np.float32), "b0 must be finite of shape"),
        (np.full(shape, 2e4, np.float32), "b0"),
        (np.zeros(shape, np.float32), "time must be known of every sample"),
    ):
        with pytest.raises(ArgumentError, match=text):
            frequency_of_slices(field, scan.geometry, scan, CPU)
    assert frequency_of_slices(None, scan.geometry, scan, CPU) == [None] * len(scan.slices)


def test_the_span_is_the_range_of_frequencies():
    assert span_of(None) == 0
    assert span_of(np.array([[[-30.0, 70.0]]], np.float32)) == 100


@pytest.mark.parametrize(("shift", "share"), [(0, 0), (1, 0), (0.5, 100), (0.3, 0), (0.4, 100)])
def test_the_share_outside_the_pass_band_is_said(caplog, shift, share):
    sequence = make_sequence("bSSFP", 10)
    spacing = 1 / float(np.mean(sequence.repetition_time))
    warn_of_bands(sequence, np.full((1, 2, 2), shift * spacing, np.float32))
    assert f"{share} % of the voxels are outside the pass band" in caplog.text


def test_without_a_map_a_balanced_sequence_gets_a_warning_and_another_none(caplog):
    warn_of_bands(make_sequence("FISP", 10), None)
    assert not caplog.text
    warn_of_bands(make_sequence("bSSFP", 10), None)
    assert "without a B0 map" in caplog.text

"""Positions of readouts: of a file, of the source, or as Cartesian lines."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.readouts import readouts

from mri2qmap_bids.convert.conversion import ConversionOptions
from mri2qmap_bids.convert.positions import Centres, place_readouts, requested_grid
from mri2qmap_bids.errors import RawDataError, UsageError
from mri2qmap_bids.recon.acquisition.header import ScanHeader

PATH = Path("scan.dat")
MATRIX, FOV = (8, 8, 1), (0.16, 0.24, 0.005)
HEADER = ScanHeader(MATRIX, FOV, MATRIX, FOV)
SOLID = ScanHeader((8, 8, 4), FOV, (8, 8, 4), FOV)


def placed(several, options=None, header=HEADER, frame=None, stored=None, **centres):
    n = len(several.samples)
    centre = {
        name: np.full(n, centres.get(name, default))
        for name, default in (("sample", several.samples[0].shape[1] // 2), ("line", 0), ("partition", 0))
    }  # fmt: skip
    frame = np.zeros(n, np.int64) if frame is None else frame
    options = options or ConversionOptions()
    return place_readouts(PATH, several, Centres(**centre), frame, header, options, stored)


@pytest.mark.parametrize(
    ("matrix", "fov", "grid"),
    [
        (None, None, (MATRIX, FOV)),
        ((16,), (0.3,), ((16, 16, 1), (0.3, 0.3, 0.005))),
        ((16, 12), (0.3, 0.2), ((16, 12, 1), (0.3, 0.2, 0.005))),
        ((16, 12, 3), (0.3, 0.2, 0.1), ((16, 12, 3), (0.3, 0.2, 0.1))),
    ],
)
def test_what_the_user_leaves_out_is_the_sources(matrix, fov, grid):
    assert requested_grid(MATRIX, FOV, ConversionOptions(matrix=matrix, fov=fov)) == grid


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_whole_lines_fill_the_grid_without_oversampling(factor):
    several = readouts(8, 8 * factor, kspace_encode_step_1=range(8))
    placement = placed(several)
    assert placement.header == HEADER
    assert placement.oversampling == factor
    assert {part.shape for part in placement.readouts.samples} == {(1, 8)}
    # The steps of a Fourier transform, 1 / fov apart, with k = 0 at half the matrix.
    steps = np.arange(8) - 4
    x, y = np.moveaxis(np.stack(placement.positions), -1, 0)
    np.testing.assert_allclose(x, np.broadcast_to(steps / FOV[0], (8, 8)), rtol=1e-6)
    np.testing.assert_allclose(y.T, np.broadcast_to(steps / FOV[1], (8, 8)), rtol=1e-6)


def test_lines_that_are_cut_short_keep_their_samples():
    several = readouts(8, 12, kspace_encode_step_1=range(8))
    placement = placed(several, sample=4)
    assert placement.oversampling == 1
    assert placement.header.encoded_matrix == (16, 8, 1)
    assert placement.header.encoded_fov == (2 * FOV[0], FOV[1], FOV[2])
    assert placement.header.recon_fov == FOV
    for part, samples in zip(placement.readouts.samples, several.samples, strict=True):
        np.testing.assert_array_equal(part, samples)
    np.testing.assert_allclose(
        placement.positions[0][:, 0], (np.arange(12) - 4) / (2 * FOV[0]), rtol=1e-6
    )


def test_the_centre_of_the_source_is_at_zero():
    several = readouts(8, 8, kspace_encode_step_1=range(8), kspace_encode_step_2=[1] * 8)
    positions = placed(several, header=SOLID, sample=3, line=5, partition=1).positions
    np.testing.assert_array_equal(positions[5][3], 0)
    # No centre in the source: the middle, 2 of 4 partitions.
    np.testing.assert_allclose(placed(several, header=SOLID).positions[4][4], (0, 0, -1 / FOV[2]))


def test_the_order_of_lines_may_number_them():
    frame = np.repeat([0, 1], 8)
    counted = readouts(16, 8, kspace_encode_step_1=[*range(8)] * 2)
    ordered = readouts(16, 8, kspace_encode_step_1=[99] * 16)
    expected = placed(counted, frame=frame).positions
    found = placed(ordered, ConversionOptions(line_counter="order"), frame=frame).positions
    np.testing.assert_array_equal(found, expected)


def test_positions_of_a_file_and_of_the_source_are_the_same(tmp_path):
    angle = np.pi * np.arange(6) / 6
    spokes = (
        np.linspace(-4, 4, 9)[None, :, None] * np.stack([np.cos(angle), np.sin(angle)], 1)[:, None]
    )
    np.save(tmp_path / "k.npy", spokes)
    several = readouts(6, 9)
    units = ConversionOptions(trajectory_units="cycles/fov")
    stored = placed(several, units, stored=list(spokes.astype(np.float32)))
    own = placed(several, replace(units, trajectory=tmp_path / "k.npy"))
    np.testing.assert_array_equal(stored.positions, own.positions)
    np.testing.assert_allclose(stored.positions, spokes / FOV[:2], rtol=1e-5)
    assert stored.header == own.header == HEADER
    # The file outweighs the source.
    both = placed(
        several, replace(units, trajectory=tmp_path / "k.npy"), stored=[np.ones((9, 2))] * 6
    )
    np.testing.assert_array_equal(both.positions, own.positions)


def test_lines_beyond_the_matrix_are_refused():
    with pytest.raises(RawDataError, match=r"scan.dat: line numbers .* matrix size 8, got 8"):
        placed(readouts(9, 8, kspace_encode_step_1=range(9)))
    beyond = readouts(5, 8, kspace_encode_step_2=range(5))
    with pytest.raises(RawDataError, match=r"scan.dat: partition numbers .* size 4, got 4"):
        placed(beyond, header=SOLID)


def test_lines_of_different_lengths_need_a_trajectory():
    several = readouts(2, 8)
    uneven = replace(several, samples=[several.samples[0], several.samples[1][:, :6]])
    with pytest.raises(
        UsageError, match=r"--trajectory: must be given .* 6 to 8 samples in scan.dat"
    ):
        placed(uneven)

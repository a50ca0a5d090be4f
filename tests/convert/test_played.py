"""Readouts as a Pulseq file played them."""

from pathlib import Path

import numpy as np
import pytest
from helpers.readouts import readouts

from mri2qmap_bids.convert.conversion import ConversionOptions
from mri2qmap_bids.convert.played import as_played, with_pulseq
from mri2qmap_bids.convert.pulseq import PulseqScan
from mri2qmap_bids.errors import RawDataError

PATH = Path("raw.h5")
FRAME = np.array([-1, -1, 0, 1, 0, 1])
POSITIONS = [np.full((5, 2), number, np.float32) for number in range(6)]
SCAN = PulseqScan(Path("a.seq"), FRAME, POSITIONS, (10, 10, 1), (0.2, 0.2, 0.005), {})


def numbers(parts):
    return [int(part.flat[0].real) for part in parts]


def test_readouts_before_the_first_excitation_are_noise():
    played = as_played(SCAN, readouts(6), PATH)
    assert numbers(played.noise) == [0, 1]
    assert numbers(played.readouts.samples) == played.places.tolist() == [2, 3, 4, 5]
    assert played.frame.tolist() == [0, 1, 0, 1]


def test_counters_heads_and_positions_stay_with_their_samples():
    played = as_played(SCAN, readouts(6, slice=10 * np.arange(6)), PATH)
    assert (played.readouts.counters["slice"] == 10 * played.places).all()
    assert [head["number"] for head in played.readouts.heads] == played.places.tolist()
    assert numbers(played.positions) == played.places.tolist()


def test_a_file_without_the_noise_has_the_same_frames_and_positions():
    whole, images = as_played(SCAN, readouts(6), PATH), as_played(SCAN, readouts(4), PATH)
    assert images.noise == []
    assert images.places.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(images.frame, whole.frame)
    np.testing.assert_array_equal(images.positions, whole.positions)


@pytest.mark.parametrize(("n", "n_samples"), [(5, 5), (7, 5), (6, 4)])
def test_readouts_of_another_scan_are_refused(n, n_samples):
    with pytest.raises(RawDataError, match=r"raw.h5: .*a.seq"):
        as_played(SCAN, readouts(n, n_samples), PATH)


def test_the_users_grid_outweighs_that_of_the_file():
    options = with_pulseq(ConversionOptions(trajectory_units="rad/pixel"), SCAN)
    assert (options.matrix, options.fov) == (SCAN.matrix, SCAN.fov)
    # Positions of a Pulseq file have one unit.
    assert options.trajectory_units == "1/m"
    own = ConversionOptions(matrix=(16,), fov=(0.3,))
    options = with_pulseq(own, SCAN)
    assert (options.matrix, options.fov) == (own.matrix, own.fov)

"""What every converter of readouts does last."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.readouts import readouts

from mri2qmap_bids.convert.assembly import conversion_of
from mri2qmap_bids.convert.positions import Placement
from mri2qmap_bids.recon.acquisition.header import ScanHeader

HEADER = ScanHeader((8, 8, 1), (0.2, 0.2, 0.005), (8, 8, 1), (0.2, 0.2, 0.005))
FRAME = np.array([0, 1])


def converted(noise=(), **changes):
    axes = dict(zip(("read_dir", "phase_dir", "slice_dir"), np.eye(3), strict=True))
    several = replace(readouts(2), heads=[{"position": np.zeros(3), **axes}] * 2)
    line = np.stack([np.arange(5.0), np.zeros(5)], 1).astype(np.float32)
    words = {
        "reverse": False,
        "dwell_time": 1e-5,
        "is_cartesian": True,
        "coil_names": (),
        "metadata": {},
    }
    placement = Placement(several, [line, 2 * line], HEADER)
    return conversion_of(Path("x.dat"), placement, FRAME, noise, **{**words, **changes})


def test_positions_against_the_directions_are_negated():
    forward, reverse = (converted(reverse=reverse).scan.slices[0] for reverse in (False, True))
    assert (forward.trajectory == -reverse.trajectory).all() and forward.trajectory.any()
    assert (forward.kspace == reverse.kspace).all()


def test_noise_scans_are_joined():
    assert converted().scan.noise is None
    n_coils = len(readouts(2).samples[0])
    parts = [np.full((n_coils, n), n, np.complex64) for n in (16, 24)]
    noise = converted(parts).scan.noise.numpy()
    np.testing.assert_array_equal(noise, np.concatenate(parts, axis=1))


@pytest.mark.parametrize(
    ("dwell_time", "metadata", "value"),
    [(1e-5, {}, 1e-5), (0.0, {}, None), (1e-5, {"DwellTime": 2e-5}, 2e-5)],
)
def test_the_sidecar_has_the_dwell_time_if_it_is_known(dwell_time, metadata, value):
    conversion = converted(dwell_time=dwell_time, metadata=metadata)
    assert conversion.metadata.get("DwellTime") == value

"""Units of trajectories: the right one is taken, every other is refused with the one that would fit."""

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mri2qmap_bids.errors import RawDataError
from mri2qmap_bids.recon.acquisition.trajectory import (
    TrajectoryUnits,
    check_energy,
    cycles_per_metre,
    flip_is_needed,
)

PATH = Path("x.h5")
MATRIX, FOV = (32, 32, 1), (0.22, 0.22, 0.005)


def spirals(matrix=MATRIX, fov=FOV, reach=1.0):
    """Positions within an ellipse up to the edge of k-space [cycles/m], shape (sample, 2)."""
    angle = np.linspace(0, 40 * np.pi, 4000)
    edge = reach * np.array(matrix[:2]) / (2 * np.array(fov[:2]))
    radius = np.linspace(0, 1, 4000)
    ring = np.linspace(0, 2 * np.pi, 64)
    unit = np.stack(
        [np.r_[radius * np.cos(angle), np.cos(ring)], np.r_[radius * np.sin(angle), np.sin(ring)]],
        1,
    )
    return (unit * edge).astype(np.float32)


def scale(unit, matrix=MATRIX, fov=FOV):
    """What cycles/m are multiplied with to be in a unit, by its definition."""
    fov, n = np.array(fov[:2]), np.array(matrix[:2])
    return {
        "cycles/pixel": fov / n,
        "cycles/fov": fov,
        "rad/pixel": 2 * np.pi * fov / n,
        "1/m": np.ones(2),
        "1/cm": np.full(2, 1e-2),
        "1/mm": np.full(2, 1e-3),
    }[unit]


@pytest.mark.parametrize("stored", TrajectoryUnits)
@pytest.mark.parametrize("named", [None, *TrajectoryUnits])
def test_every_unit_is_right_only_for_itself(stored, named, caplog):
    positions = spirals()
    file = (positions * scale(stored)).astype(np.float32)
    if named == stored or (named is None and stored in ("cycles/pixel", "cycles/fov")):
        assert np.allclose(cycles_per_metre(PATH, file, MATRIX, FOV, named), positions, rtol=1e-5)
        return
    if (stored, named) == ("cycles/pixel", "1/cm"):  # reaches two thirds: the name is believed
        cycles_per_metre(PATH, file, MATRIX, FOV, named)
        assert "cycles/pixel would fit exactly" in caplog.text
        return
    with pytest.raises(RawDataError, match=rf"x\.h5.*{stored} would fit.*MRFTrajectoryUnits"):
        cycles_per_metre(PATH, file, MATRIX, FOV, named)


@given(
    st.integers(8, 400),
    st.floats(0.015, 0.5),
    st.sampled_from(["rad/pixel", "1/m", "1/cm", "1/mm"]),
)
@settings(deadline=None, max_examples=60)
def test_no_other_unit_is_taken_for_a_detected_one(n, fov, stored):
    matrix, extent = (n, n, 1), (fov, fov, 0.005)
    positions = spirals(matrix, extent)
    file = (positions * scale(stored, matrix, extent)).astype(np.float32)
    try:
        found = cycles_per_metre(PATH, file, matrix, extent, None)
    except RawDataError:
        return
    # Where units nearly agree (1 mm voxels: 1/mm is cycles/pixel) the positions nearly do.
    ratio = np.abs(found).max() / np.abs(positions).max()
    assert 0.86 < ratio < 1.25


def test_one_axis_in_another_unit_is_refused_with_both():
    file = spirals() * np.stack([scale("cycles/pixel")[0], scale("1/m")[1]])
    with pytest.raises(RawDataError, match=r"cycles/pixel along x, 1/m along y would fit"):
        cycles_per_metre(PATH, file.astype(np.float32), MATRIX, FOV, None)


@pytest.mark.parametrize("named", [None, "cycles/fov"])
@pytest.mark.parametrize("matrix", [(32, 24, 1), (32, 28, 1)])
def test_exchanged_matrix_sizes_are_refused(matrix, named):
    file = spirals(matrix) * scale("cycles/fov", matrix)
    swapped = (matrix[1], matrix[0], 1)
    with pytest.raises(RawDataError, match="equally far"):
        cycles_per_metre(PATH, file.astype(np.float32), swapped, FOV, named)


def test_positions_over_half_of_an_oversampled_field_of_view_are_refused():
    file = (spirals() * scale("cycles/fov")).astype(np.float32)
    with pytest.raises(RawDataError, match="equally far.*51.6 % along x.*33 x 32 positions"):
        cycles_per_metre(PATH, file, (64, 32, 1), (0.44, 0.22, 0.005), None)


@pytest.mark.parametrize(
    ("reach", "right"), [(0.45, True), (0.2, False), (1.15, True), (1.3, False)]
)
def test_a_tenth_of_k_space_must_be_covered_and_no_more_than_an_overshoot(reach, right):
    file = (spirals(reach=reach) * scale("cycles/pixel")).astype(np.float32)
    if right:
        cycles_per_metre(PATH, file, MATRIX, FOV, None)
        return
    with pytest.raises(RawDataError, match="must"):
        cycles_per_metre(PATH, file, MATRIX, FOV, None)


def test_a_named_unit_may_reach_beyond_the_matrix_with_a_warning(caplog):
    file = (spirals(reach=1.8) * scale("cycles/pixel")).astype(np.float32)
    with caplog.at_level(logging.WARNING):
        cycles_per_metre(PATH, file, MATRIX, FOV, "cycles/pixel")
    assert "samples outside" in caplog.text
    with pytest.raises(RawDataError):
        cycles_per_metre(PATH, (2 * file).astype(np.float32), MATRIX, FOV, "cycles/pixel")


@pytest.mark.parametrize("kz", [[-0.5, 0.5], [-1, 0], [-1, 0, 1], [-2, -1, 0, 1]])
def test_few_partitions_reach_the_edge(kz):
    plane = spirals() * scale("cycles/fov")
    file = np.concatenate([np.c_[plane, np.full(len(plane), z)] for z in kz]).astype(np.float32)
    fov, n = (0.22, 0.22, 0.04), len(kz)
    found = cycles_per_metre(PATH, file, (32, 32, n), fov, None)
    assert np.allclose(found[:, 2], file[:, 2] / 0.04)


def test_energy_must_lie_at_the_centre():
    positions = spirals()
    signal = np.exp(-((positions / 20) ** 2).sum(1)).astype(np.complex64)[None].repeat(2, 0)
    check_energy(PATH, signal, positions)
    check_energy(PATH, np.ones_like(signal), positions)
    with pytest.raises(RawDataError, match="signal's energy at the centre"):
        check_energy(PATH, np.ascontiguousarray(signal[:, ::-1]), positions)


def echo_planar_lines(n, half_a_sample):
    """Lines of a disc and their positions, every other one reversed and both in order of time, shape (line, sample)."""
    k = np.arange(n) - n // 2 + half_a_sample
    kx, ky = np.meshgrid(k, np.arange(n) - n // 2)
    place = (np.arange(n) - n // 2) / n
    disc = np.hypot(place[:, None] - 0.05, place) < 0.35
    rows = np.exp(-2j * np.pi * np.outer(np.arange(n) - n // 2, place))
    rng = np.random.default_rng(0)
    samples = rows @ disc @ np.exp(-2j * np.pi * np.outer(k, place)).T
    samples += 10 * (rng.normal(size=(2, n, n)) * [[[1]], [[1j]]]).sum(0)
    reverse = np.arange(n) % 2 == 1
    samples[reverse] = samples[reverse, ::-1]
    positions = np.stack([kx, ky], -1).astype(np.float32)
    return samples.astype(np.complex64), positions, reverse


@pytest.mark.parametrize("n", [64, 192])
@pytest.mark.parametrize("half_a_sample", [0.0, 0.5])
@pytest.mark.parametrize("as_sampled", [True, False])
def test_lines_of_an_even_number_of_samples_are_told_as_sampled_or_not(
    n, half_a_sample, as_sampled
):
    """The two orders differ by a sample, or by nothing but the direction of the positions."""
    samples, positions, reverse = echo_planar_lines(n, half_a_sample)
    if as_sampled:
        positions[reverse] = positions[reverse, ::-1]
    lengths = np.full(n, n)
    flat = samples.reshape(1, -1), positions.reshape(-1, 2)
    assert flip_is_needed(*flat, np.cumsum(lengths), lengths, reverse) is not as_sampled

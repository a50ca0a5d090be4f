"""Trajectories: extent, spacing, rotation from frame to frame."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.simulate.trajectory import full_arms, make_trajectory, spiral_arm

CASES = [("spiral", (24, 24)), ("radial", (24, 24)), ("spiral", (16,) * 3), ("radial", (16,) * 3)]


@pytest.mark.parametrize(("kind", "matrix"), CASES)
def test_positions_fill_the_radius_and_stay_inside(kind, matrix):
    trajectory = make_trajectory(kind, matrix, 6, 4.0)
    radius = np.linalg.norm(trajectory.positions, axis=-1)
    assert trajectory.positions.shape[0] == 6
    assert radius.max() <= matrix[0] / 2
    assert radius.max() > matrix[0] / 2 - 0.51
    assert radius.min() < 1e-6


@pytest.mark.parametrize(("kind", "matrix"), CASES)
def test_one_full_frame_meets_nyquist(kind, matrix):
    positions = make_trajectory(kind, matrix, 1, 1.0).positions.reshape(-1, len(matrix))
    probes = np.random.default_rng(0).uniform(-0.5, 0.5, size=(3000, len(matrix))) * matrix
    probes = probes[np.linalg.norm(probes, axis=1) < matrix[0] / 2 - 1]
    distance, _ = cKDTree(positions).query(probes)
    # Evenly interleaved planes leave no gap beyond one cycle; golden means in space a little more.
    limit = 0.75 if len(matrix) == 2 else 1.6
    assert distance.max() < limit
    assert np.percentile(distance, 95) < 0.75 * limit


def test_samples_along_an_arm_are_closer_than_one_cycle():
    steps = np.linalg.norm(np.diff(spiral_arm(64, 4), axis=0), axis=1)
    assert 0.5 < steps.max() <= 0.8


def test_acceleration_keeps_a_part_and_at_least_one_arm():
    full = full_arms("radial", 32, 2)
    assert make_trajectory("radial", (32, 32), 2, 4.0).positions.shape[1] == full // 4
    assert make_trajectory("radial", (32, 32), 2, 1e6).positions.shape[1] == 1
    assert make_trajectory("spiral", (32, 32), 2, 1.0, arms=5).positions.shape[1] == 5


@pytest.mark.parametrize(("kind", "matrix"), CASES)
def test_every_frame_reads_elsewhere(kind, matrix):
    positions = make_trajectory(kind, matrix, 40, 1e6).positions[:, 0]
    ends = positions[:, -1]
    nearest = np.linalg.norm(ends[:, None] - ends[None], axis=-1) + 1e3 * np.eye(40)
    assert nearest.min() > 0.02


def test_directions_in_space_are_uniform():
    positions = make_trajectory("radial", (8, 8, 8), 400, 1e6).positions[:, 0]
    ends = positions[:, 0] / np.linalg.norm(positions[:, 0], axis=-1, keepdims=True)
    np.testing.assert_allclose(ends.T @ ends / len(ends), np.eye(3) / 3, atol=0.02)


@pytest.mark.parametrize("matrix", [(24, 20), (12, 10, 8)])
def test_cartesian_frames_together_visit_every_line_and_lie_on_the_grid(matrix):
    positions = make_trajectory("cartesian", matrix, 400, 10.0).positions
    assert positions.shape[1] == max(matrix) ** (len(matrix) - 1) // 10
    assert (np.abs(positions) <= np.array(matrix) / 2).all()
    lines = positions[:, :, 0, 1:].reshape(-1, len(matrix) - 1)
    np.testing.assert_allclose(lines, np.rint(lines), atol=1e-4)
    assert (positions[..., 1:] == positions[:, :, :1, 1:]).all()
    visited = np.unique(np.rint(lines), axis=0, return_counts=True)[1]
    assert len(visited) == np.prod(matrix[1:])
    assert visited.min() >= visited.mean() / 4
    assert visited.max() <= 2.5 * visited.mean()


@pytest.mark.parametrize("matrix", [(48, 48), (32, 32, 32)])
def test_cartesian_lines_are_denser_at_the_centre_where_there_are_few(matrix):
    """Lines within half of the rim: (1/2)^(1/p) of them along each axis, p near 1.5."""
    lines = make_trajectory("cartesian", matrix, 400, 24.0).positions[:, :, 0, 1:]
    inside = (np.abs(lines) < np.array(matrix[1:]) / 4).mean((0, 1))
    np.testing.assert_allclose(inside, 0.5 ** (1 / 1.5), atol=0.05)


def test_a_whole_cartesian_frame_is_every_line_once():
    lines = np.rint(make_trajectory("cartesian", (24, 24), 3, 1.0).positions[:, :, 0, 1])
    for frame in lines:
        assert sorted(frame) == list(range(-12, 12))


def test_unequal_matrix_scales_each_axis():
    positions = make_trajectory("radial", (32, 16), 50, 1.0).positions
    np.testing.assert_allclose(np.abs(positions).max(axis=(0, 1, 2)), (16, 8), rtol=0.01)


def test_nonsense_is_refused():
    with pytest.raises(UsageError, match="--acceleration"):
        make_trajectory("spiral", (8, 8), 1, 0.5)
    with pytest.raises(UsageError, match="--arms"):
        make_trajectory("spiral", (8, 8), 1, 1.0, arms=0)

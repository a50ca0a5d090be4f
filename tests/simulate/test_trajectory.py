"""Trajectories: extent, spacing, rotation from frame to frame."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.simulate.arm_order import ARM_ORDERS
from mri2qmap_bids.simulate.arms import (
    SpiralDensity,
    spiral_arm,
    spiral_interleaves,
)
from mri2qmap_bids.simulate.trajectory import TRAJECTORY_KINDS, Readout, full_arms, make_trajectory

CASES = [("spiral", (24, 24)), ("radial", (24, 24)), ("spiral", (16,) * 3), ("radial", (16,) * 3)]
STACKS = ["stack-of-spirals", "stack-of-stars"]
DENSITIES = [
    SpiralDensity(a, p, turns)
    for a in (0.2, 0.6, 1.0)
    for p in (1.0, 1.7, 3.0)
    for turns in (1.5, 10)
]
DENSE = Readout(SpiralDensity(0.3, 2.0, 3.0))


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


def _every_way():
    """Every kind, order and form of the arms that there is."""
    for kind in TRAJECTORY_KINDS:
        for matrix in [(14, 12), (12, 10, 8)]:
            if len(matrix) == 2 and kind in STACKS:
                continue
            spiral = "spiral" in kind
            turned = kind in STACKS or (len(matrix) == 2 and kind != "cartesian")
            for order in ARM_ORDERS if turned else ("golden", "random"):
                if order == "sequential" and len(matrix) == 3:
                    continue
                yield kind, matrix, Readout(order=order)
            for density in DENSITIES[::5] if spiral else ():
                yield kind, matrix, Readout(density, in_out=density.linear < 1)


@pytest.mark.parametrize(("kind", "matrix", "readout"), list(_every_way()))
def test_every_kind_stays_inside_k_space(kind, matrix, readout):
    trajectory = make_trajectory(kind, matrix, 5, 3.0, readout=readout)
    edge = np.array(matrix) / 2
    assert trajectory.positions.shape[::3] == (5, len(matrix))
    assert (np.abs(trajectory.positions) <= edge).all()
    axes = {"cartesian": 0, "stack-of-spirals": 2, "stack-of-stars": 2}.get(kind, len(matrix))
    if axes:
        radius = np.linalg.norm((trajectory.positions / edge)[..., :axes], axis=-1)
        assert 0.9 < radius.max() <= 1.0


@pytest.mark.parametrize("density", [None, *DENSITIES])
def test_a_full_spiral_frame_has_no_gap_beyond_a_cycle(density):
    """In and out, too: such an arm is two interleaves."""
    for in_out in (False, True):
        readout = Readout(density, in_out=in_out)
        positions = make_trajectory("spiral", (32, 32), 1, 1.0, readout=readout).positions
        probes = np.random.default_rng(0).uniform(-16, 16, size=(3000, 2))
        probes = probes[np.linalg.norm(probes, axis=1) < 15]
        distance, _ = cKDTree(positions.reshape(-1, 2)).query(probes)
        assert distance.max() < 0.8


@pytest.mark.parametrize("density", [None, SpiralDensity(0.4, 2.5, 3.0)])
def test_an_in_out_arm_is_symmetric_about_the_centre_that_it_passes(density):
    readout = Readout(density, in_out=True)
    arm = make_trajectory("spiral", (32, 32), 1, 1e6, readout=readout).positions[0, 0]
    half = len(arm) // 2
    np.testing.assert_allclose(arm, -arm[::-1], atol=1e-5)
    assert np.linalg.norm(arm[half]) < 1e-6 and len(arm) == 2 * half + 1
    assert np.linalg.norm(arm[0]) > 15.99
    # Straight on, not back where it came from.
    before, after = arm[half] - arm[half - 1], arm[half + 1] - arm[half]
    assert before @ after > 0.9 * np.linalg.norm(before) * np.linalg.norm(after)


def test_in_out_takes_half_the_arms():
    one, both = full_arms("spiral", 96, 2), full_arms("spiral", 96, 2, in_out=True)
    assert both == -(-one // 2)


def test_a_shorter_sample_spacing_reads_more_samples_along_the_same_arm():
    for density in (None, SpiralDensity(0.5, 2.0, 4.0)):
        coarse, fine = (
            make_trajectory(
                "spiral", (32, 32), 1, 1e6, readout=Readout(density, sample_spacing=spacing)
            ).positions[0, 0]
            for spacing in (0.8, 0.2)
        )
        assert len(fine) == pytest.approx(4 * len(coarse), rel=0.03)
        distance, _ = cKDTree(fine).query(coarse)
        assert distance.max() < 0.15


def _turns_between_frames(kind, matrix, readout, period):
    """Angles from each arm's last sample to that of the next frame's [deg], modulo a period."""
    ends = make_trajectory(kind, matrix, 30, 1e6, readout=readout).positions[:, 0, -1, :2]
    angle = np.rad2deg(np.arctan2(ends[:, 1], ends[:, 0]))
    return np.mod(np.diff(angle), period)


@pytest.mark.parametrize(
    ("kind", "in_out", "period"),
    [("radial", False, 180), ("spiral", True, 180), ("spiral", False, 360)],
)
def test_frames_turn_by_the_golden_or_the_seventh_tiny_golden_angle(kind, in_out, period):
    """pi / (tau + N - 1) with the golden ratio tau, of half a turn: 111.246 and 23.628 degrees."""
    tau = (1 + np.sqrt(5)) / 2
    assert np.allclose([180 / tau, 180 / (tau + 6)], [111.246, 23.628], atol=5e-4)
    for order, step in (("golden", 180 / tau), ("tiny-golden", 180 / (tau + 6))):
        turns = _turns_between_frames(kind, (24, 24), Readout(in_out=in_out, order=order), period)
        angle = step * period / 180
        # The golden angle of a full turn is by custom the smaller one, 137.5 degrees.
        if (order, period) == ("golden", 360):
            angle = 360 - angle
        np.testing.assert_allclose(turns, angle, atol=1e-2)


@pytest.mark.parametrize(
    ("kind", "acceleration"), [("spiral", 1e6), ("radial", 1e6), ("radial", 8)]
)
def test_sequential_frames_repeat_the_arms_of_a_full_frame_to_the_last_bit(kind, acceleration):
    readout = Readout(order="sequential")
    scan = make_trajectory(kind, (48, 48), 100, acceleration, readout=readout)
    n_full, n_arms = scan.n_full_arms, scan.positions.shape[1]
    assert 2 <= n_full < 100
    np.testing.assert_array_equal(scan.positions[n_full:], scan.positions[:-n_full])
    if n_arms == 1:
        period = 360 if kind == "spiral" else 180
        turns = _turns_between_frames(kind, (48, 48), readout, period)
        np.testing.assert_allclose(turns, period / n_full, atol=1e-2)


@pytest.mark.parametrize(
    ("kind", "matrix"),
    [("spiral", (12, 12)), ("radial", (12, 12)), ("cartesian", (12, 12)), ("spiral", (8, 8, 8)),
     ("radial", (8, 8, 8)), ("cartesian", (8, 8, 8)), *((kind, (8, 8, 6)) for kind in STACKS)],
)  # fmt: skip
def test_random_orders_are_those_of_their_seed(kind, matrix):
    def positions(seed):
        random = Readout(order="random")
        return make_trajectory(kind, matrix, 20, 4.0, readout=random, seed=seed).positions

    np.testing.assert_array_equal(positions(1), positions(1))
    assert (positions(1) != positions(2)).any(axis=-1).mean() > 0.4


def test_random_angles_are_uniform():
    for kind, period in (("radial", np.pi), ("spiral", 2 * np.pi)):
        random = Readout(order="random")
        ends = make_trajectory(kind, (12, 12), 2000, 1e6, readout=random).positions[:, 0, -1]
        angles = np.arctan2(ends[:, 1], ends[:, 0])
        assert abs(np.exp(2j * np.pi / period * angles).mean()) < 0.06


@pytest.mark.parametrize("order", [order for order in ARM_ORDERS if order != "sequential"])
@pytest.mark.parametrize("kind", STACKS)
def test_stacks_read_arms_of_the_plane_in_whole_planes_and_visit_all(kind, order):
    readout, matrix = Readout(order=order), (16, 16, 10)
    stack = make_trajectory(kind, matrix, 200, 1e6, readout=readout, seed=3).positions
    kz = stack[..., 2]
    assert (kz == kz[:, :, :1]).all()
    planes = kz[:, :, 0] / (1 - 1e-6)
    np.testing.assert_allclose(planes, np.rint(planes), atol=1e-4)
    assert set(np.rint(planes).ravel()) == set(range(-5, 5))
    flat = make_trajectory(
        {"stack-of-spirals": "spiral", "stack-of-stars": "radial"}[kind],
        matrix[:2], 200, 1e6, readout=readout, seed=3,
    ).positions  # fmt: skip
    np.testing.assert_allclose(stack[..., :2], flat, atol=1e-5)


@pytest.mark.parametrize("order", [order for order in ARM_ORDERS if order != "sequential"])
@pytest.mark.parametrize("kind", STACKS)
def test_every_plane_of_a_stack_sees_all_angles(kind, order):
    """A plane that always comes with the same angle would be read along one direction only."""
    readout = Readout(order=order)
    ends = make_trajectory(kind, (16, 16, 12), 480, 1e6, readout=readout).positions[:, 0, -1]
    period = 2 * np.pi if kind == "stack-of-spirals" else np.pi
    parts = np.mod(np.arctan2(ends[:, 1], ends[:, 0]) / period, 1)
    for plane in np.unique(ends[:, 2]):
        angles = np.sort(parts[ends[:, 2] == plane])
        gaps = np.diff(np.append(angles, angles[0] + 1))
        assert gaps.max() < 8 / len(angles)


def test_planes_are_denser_at_the_centre_where_there_are_few():
    kz = make_trajectory("stack-of-stars", (32, 32, 32), 600, 500.0).positions[:, :, 0, 2]
    assert (np.abs(kz) < 8).mean() == pytest.approx(0.5 ** (1 / 1.5), abs=0.05)


def test_a_stack_needs_the_arms_of_a_plane_for_each_plane():
    dense = SpiralDensity(0.5, 2.0, 3.0)
    assert full_arms("stack-of-stars", 20, 3, n_planes=7) == 7 * full_arms("radial", 20, 2)
    for density in (None, dense):
        per_plane = full_arms("spiral", 20, 2, density)
        assert full_arms("stack-of-spirals", 20, 3, density, n_planes=7) == 7 * per_plane
    # Turns at the rim, where a turn adds (a + (1 - a) p) / turns of the radius.
    assert spiral_interleaves(20, dense) == np.ceil(10 * 1.5 / 3.0)


@pytest.mark.parametrize(
    ("kind", "matrix", "readout", "text"),
    [
        ("stack-of-stars", (8, 8), Readout(), "--trajectory: .* got stack-of-stars"),
        ("stack-of-spirals", (8, 8), Readout(), "--trajectory: .* got stack-of-spirals"),
        ("radial", (8, 8), DENSE, "--spiral-density: .* got radial"),
        ("cartesian", (8, 8), Readout(in_out=True), "--in-out: .* got cartesian"),
        ("stack-of-stars", (8,) * 3, Readout(sample_spacing=0.5), "--sample-spacing: .* a spiral"),
        ("cartesian", (8, 8), Readout(order="tiny-golden"), "--arm-order: .* got tiny-golden"),
        ("radial", (8,) * 3, Readout(order="tiny-golden"), "--arm-order: .* 3D radial"),
        ("cartesian", (8, 8), Readout(order="sequential"), "--arm-order: .* got 2D cartesian"),
        (STACKS[0], (8,) * 3, Readout(order="sequential"), "--arm-order: .* got 3D stack"),
        ("spiral", (8, 8), Readout(SpiralDensity(-0.1)), "--spiral-density: .* got -0.1 2 4"),
        ("spiral", (8, 8), Readout(SpiralDensity(0.5, 0.9)), "--spiral-density: .* got 0.5 0.9 4"),
        ("spiral", (8, 8), Readout(SpiralDensity(turns=0.0)), "--spiral-density: .* got 0.5 2 0"),
        ("spiral", (8, 8), Readout(SpiralDensity(np.nan)), "--spiral-density: .* got nan"),
        ("spiral", (8, 8), Readout(SpiralDensity(turns=np.inf)), "--spiral-density: .* inf"),
        ("spiral", (8, 8), Readout(sample_spacing=0.0), "--sample-spacing: .* got 0"),
        ("spiral", (8, 8), Readout(sample_spacing=np.nan), "--sample-spacing: .* got nan"),
    ],
)
def test_readouts_that_cannot_be_are_refused_by_name(kind, matrix, readout, text):
    with pytest.raises(UsageError, match=text):
        make_trajectory(kind, matrix, 1, 1.0, readout=readout)


def test_nonsense_is_refused():
    for acceleration in (0.5, np.nan):
        with pytest.raises(UsageError, match="--acceleration"):
            make_trajectory("spiral", (8, 8), 1, acceleration)
    with pytest.raises(UsageError, match="--arms"):
        make_trajectory("spiral", (8, 8), 1, 1.0, arms=0)

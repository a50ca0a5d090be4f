"""Where each arm of each frame reads k-space, in cycles per field of view."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.errors import UsageError

TrajectoryKind = Literal["spiral", "radial", "cartesian"]

TURNS_PER_ARM = 8.0
"""Revolutions of one spiral arm unless the number of arms is given."""
CENTRE_SPACING = 0.6
"""Distance between spiral turns at the centre [cycles per field of view]; 1 at the rim."""
CENTRE_POWER = 1.5
"""How much denser Cartesian lines are at the centre: their number falls as |y|^(1/p - 1)."""
SAMPLE_SPACING = 0.75
"""Distance between samples along a spiral arm [cycles per field of view]."""
_GOLDEN_TURN = np.pi * (3.0 - np.sqrt(5.0))
_GOLDEN_HALF_TURN = np.pi * (np.sqrt(5.0) - 1.0) / 2.0
# The two-dimensional golden means: 1/v and 1/v^2 of the root v of v^3 = v^2 + 1.
_MEANS = (0.6823278038280193, 0.4655712318767680)
_EDGE = 1.0 - 1e-6


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Sample positions of a whole scan."""

    kind: TrajectoryKind
    """spiral (in 3D: rotated spiral discs), radial (in 3D: rotated spokes) or cartesian."""
    positions: NDArray[np.float32]
    """Components x, y[, z] [cycles per field of view], shape (frame, arm, sample, dim)."""
    n_full_arms: int
    """Arms that one fully sampled frame takes."""


def spiral_arm(n: int, n_arms: int) -> NDArray[np.float64]:
    """One spiral arm from the centre to radius n / 2, its turns opening outward.

    The turns of all arms together lie g(r) apart, which grows linearly from
    ``CENTRE_SPACING`` at the centre to 1 cycle per field of view at the rim:
    theta(r) = 2 pi / n_arms * integral of dr / g(r). Samples are equally
    spaced along the arm.

    Parameters
    ----------
    n
        Matrix size.
    n_arms
        Interleaves of the fully sampled plane.

    Returns
    -------
    Positions [cycles per field of view], shape (sample, 2).

    References
    ----------
    Kim, Adalsteinsson, Spielman, Simple analytic variable density spiral
    design (2003), doi:10.1002/mrm.10493.
    """
    radius = np.linspace(0.0, n / 2 * _EDGE, 4096 + 64 * n)
    gap = CENTRE_SPACING + (1.0 - CENTRE_SPACING) * radius / (n / 2)
    step = np.diff(radius)
    middle = 2.0 * np.pi / n_arms * 2.0 / (gap[1:] + gap[:-1])
    angle = np.concatenate([[0.0], np.cumsum(middle * step)])
    mean_radius = (radius[1:] + radius[:-1]) / 2
    path = np.concatenate([[0.0], np.cumsum(step * np.hypot(1.0, mean_radius * middle))])
    at = np.linspace(0.0, path[-1], int(np.ceil(path[-1] / SAMPLE_SPACING)) + 1)
    r, theta = np.interp(at, path, radius), np.interp(at, path, angle)
    return np.stack([r * np.cos(theta), r * np.sin(theta)], axis=1)


def spiral_interleaves(n: int, turns: float = TURNS_PER_ARM) -> int:
    """Interleaves that sample an n x n plane fully with about ``turns`` revolutions each."""
    total = n / 2 * np.log(1.0 / CENTRE_SPACING) / (1.0 - CENTRE_SPACING)
    return max(1, int(np.ceil(total / turns)))


def full_arms(kind: TrajectoryKind, n: int, n_dims: int) -> int:
    """Arms that one fully sampled frame takes (Nyquist at the rim of k-space).

    Spiral: :func:`spiral_interleaves`, in 3D for each of pi n / 2 discs.
    Radial: pi n / 2 spokes, in 3D pi n^2 / 2. Cartesian: n lines, in 3D n^2.

    Parameters
    ----------
    kind
        spiral, radial or cartesian.
    n
        Matrix size.
    n_dims
        2 or 3.

    Returns
    -------
    Number of arms.
    """
    half_circle = int(np.ceil(np.pi / 2 * n))
    if kind == "spiral":
        return spiral_interleaves(n) * (1 if n_dims == 2 else half_circle)
    if kind == "cartesian":
        return int(n ** (n_dims - 1))
    return half_circle if n_dims == 2 else int(np.ceil(np.pi / 2 * n * n))


def make_trajectory(
    kind: TrajectoryKind,
    matrix: tuple[int, ...],
    n_frames: int,
    acceleration: float,
    arms: int | None = None,
) -> Trajectory:
    """The whole scan: a part of the arms in each frame, turned from frame to frame.

    2D: the arms of a frame are evenly turned, and each frame is turned by the
    golden angle against the one before. 3D: discs and spokes follow one another
    over arms and frames by the two-dimensional golden means. Cartesian lines run along x.
    Their order is alike: evenly spread within a frame and shifted by the golden ratio from
    frame to frame, in 3D by the golden means over y and z. The fewer lines a frame has, the
    denser they are at the centre: a place u in -1..1 becomes y = sign(u) |u|^p n / 2 with p
    from 1, all lines, to ``CENTRE_POWER``, hardly any.

    Parameters
    ----------
    kind
        spiral, radial or cartesian.
    matrix
        Voxels along x, y[, z].
    n_frames
        Number of frames.
    acceleration
        A frame keeps floor(arms / acceleration) arms, at least one.
    arms
        Arms of one fully sampled frame; None: :func:`full_arms`. In 3D spirals
        this includes the discs.

    Returns
    -------
    The trajectory.

    Raises
    ------
    UsageError
        If a number is out of range.

    References
    ----------
    Winkelmann et al., An optimal radial profile order based on the golden ratio
    (2007), doi:10.1109/TMI.2006.885337.
    Chan et al., Temporal stability of adaptive 3D radial MRI using
    multidimensional golden means (2009), doi:10.1002/mrm.21837.
    Cao et al., Optimized multi-axis spiral projection MR fingerprinting (2022),
    doi:10.1002/mrm.29194.
    """
    if acceleration < 1.0:
        raise UsageError(f"--acceleration: must be at least 1, got {acceleration:g}")
    if arms is not None and arms < 1:
        raise UsageError(f"--arms: must be at least 1, got {arms}")
    n, n_dims = max(matrix), len(matrix)
    n_full = arms or full_arms(kind, n, n_dims)
    kept = max(1, int(n_full / acceleration))
    half_circle = int(np.ceil(np.pi / 2 * n))
    interleaves = n_full if n_dims == 2 else max(1, round(n_full / half_circle))
    if kind == "cartesian":
        return Trajectory(kind, _lines(matrix, n_frames, kept), n_full)
    arm = spiral_arm(n, interleaves) if kind == "spiral" else _spoke(n)
    index = np.arange(n_frames * kept)
    in_plane = n_dims == 2
    rotations = (
        _plane_rotations(kind, index // kept, index % kept, kept)
        if in_plane
        else _space_rotations(index)
    )
    unit = (arm / (n / 2)) @ rotations.transpose(0, 2, 1)
    positions = unit * (np.array(matrix) / 2)
    shape = (n_frames, kept, len(arm), n_dims)
    return Trajectory(kind, positions.reshape(shape).astype(np.float32), n_full)


def _spoke(n: int) -> NDArray[np.float64]:
    """A spoke through the centre with two-fold oversampling, shape (sample, 2)."""
    x = (np.arange(2 * n) - n) / 2.0 * _EDGE
    return np.stack([x, np.zeros_like(x)], axis=1)


def _lines(matrix: tuple[int, ...], n_frames: int, n_lines: int) -> NDArray[np.float32]:
    """Lines along x at whole steps of y[, z], shape (frame, line, sample, dim)."""
    index = np.arange(n_frames * n_lines)
    if len(matrix) == 2:
        golden = _GOLDEN_HALF_TURN / np.pi
        parts = ((index % n_lines + 0.5) / n_lines + golden * (index // n_lines))[:, None]
    else:
        parts = index[:, None] * np.array(_MEANS)
    sizes = np.array(matrix[1:])
    power = CENTRE_POWER + (1.0 - CENTRE_POWER) * min(1.0, n_lines / sizes.prod())
    place = 2.0 * np.mod(parts, 1.0) - 1.0
    warped = (np.sign(place) * np.abs(place) ** power + 1.0) / 2.0
    steps = np.floor(warped * sizes) - sizes // 2
    along = _spoke(matrix[0])[:, 0]
    lines = np.empty((len(index), len(along), len(matrix)), np.float32)
    lines[..., 0] = along
    lines[..., 1:] = steps[:, None] * _EDGE
    return lines.reshape(n_frames, n_lines, len(along), len(matrix))


def _plane_rotations(
    kind: TrajectoryKind, frame: NDArray[np.int_], arm: NDArray[np.int_], n_arms: int
) -> NDArray[np.float64]:
    """Rotations of arms in the plane, shape (arm, 2, 2)."""
    if kind == "spiral":
        angle = 2.0 * np.pi * arm / n_arms + _GOLDEN_TURN * frame
    else:
        angle = np.pi * arm / n_arms + _GOLDEN_HALF_TURN * frame
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], axis=-2)


def _space_rotations(index: NDArray[np.int_]) -> NDArray[np.float64]:
    """Where the arm's own x and y axes point in space, shape (arm, 3, 2).

    The arm's x axis is uniform on the sphere and the arm is turned about it at
    random (all by golden means), so spokes and discs are both uniform.
    """
    cosine = 2.0 * np.mod((index + 0.5) * _MEANS[1], 1.0) - 1.0
    sine = np.sqrt(1.0 - cosine**2)
    azimuth = 2.0 * np.pi * np.mod(index * _MEANS[0], 1.0)
    first = np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine], axis=1)
    across = np.stack([-np.sin(azimuth), np.cos(azimuth), np.zeros_like(azimuth)], axis=1)
    other = np.cross(first, across)
    turn = (_GOLDEN_TURN * index)[:, None]
    second = np.cos(turn) * across + np.sin(turn) * other
    return np.stack([first, second], axis=-1)

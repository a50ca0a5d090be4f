"""Where each arm of each frame reads k-space, in cycles per field of view.

sigpy has radial and spiral trajectories, too, but others: its spokes run from the centre to the edge, by
golden angles alone, and its spiral follows from limits of the gradients, with no order of arms over frames.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.simulate.fields import generator

TrajectoryKind = Literal["spiral", "radial", "cartesian", "stack-of-spirals", "stack-of-stars"]
TRAJECTORY_KINDS: tuple[TrajectoryKind, ...] = get_args(TrajectoryKind)
ArmOrder = Literal["golden", "tiny-golden", "random"]
ARM_ORDERS: tuple[ArmOrder, ...] = get_args(ArmOrder)

TURNS_PER_ARM = 8.0
"""Revolutions of one uniform-density spiral arm unless the number of arms is given."""
CENTRE_SPACING = 0.6
"""Distance between uniform spiral turns at the centre [cycles per field of view]; 1 at the rim."""
CENTRE_POWER = 1.5
"""How much denser Cartesian lines are at the centre: their number falls as |y|^(1/p - 1)."""
SAMPLE_SPACING = 0.75
"""Distance between samples along a spiral arm [cycles per field of view]."""
_GOLDEN_TURN = np.pi * (3.0 - np.sqrt(5.0))
_GOLDEN_HALF_TURN = np.pi * (np.sqrt(5.0) - 1.0) / 2.0
# Tiny golden angles pi / (tau + N - 1), tau the golden ratio: the seventh (Wundrak et al. 2015).
_TINY = 7
_TINY_HALF_TURN = np.pi / ((1.0 + np.sqrt(5.0)) / 2.0 + _TINY - 1)
# The two-dimensional golden means: 1/v and 1/v^2 of the root v of v^3 = v^2 + 1.
_MEANS = (0.6823278038280193, 0.4655712318767680)
# Step from plane to plane of a stack, modulo 1. Were it golden as the angle is, every plane would
# see one angle only: no whole multiples of the two steps and of 1 may add up to 0.
_PLANE_STEP = np.sqrt(3.0) - 1.0
_EDGE = 1.0 - 1e-6


@dataclass(frozen=True)
class SpiralDensity:
    """A variable-density spiral: radius rho(s) = a s + (1 - a) s^p of the turns s in 0..1.

    rho is relative to the edge of k-space. With a = 1 or p = 1 the turns are equally far apart
    (Archimedean); the smaller a and the larger p, the denser is the centre.
    """

    linear: float = 0.5
    """a, 0..1."""
    power: float = 2.0
    """p, 1..10."""
    turns: float = 4.0
    """Revolutions from the centre to the edge."""


@dataclass(frozen=True)
class Readout:
    """The form of one arm, and how arms follow one another."""

    density: SpiralDensity | None = None
    """Of spirals; None: nearly uniform, :func:`spiral_arm`."""
    in_out: bool = False
    """Whether a spiral starts at the edge, passes the centre and ends at the opposite edge: two
    interleaves in one arm."""
    order: ArmOrder = "golden"
    """By what angles, lines or planes arms follow one another."""
    sample_spacing: float = SAMPLE_SPACING
    """Distance between samples along a spiral arm [cycles per field of view]: the shorter, the
    more samples has a readout."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Sample positions of a whole scan."""

    kind: TrajectoryKind
    """spiral (in 3D: rotated spiral discs), radial (in 3D: rotated spokes), cartesian, or in 3D a
    stack of spirals or spokes in planes of constant kz."""
    positions: NDArray[np.float32]
    """Components x, y[, z] [cycles per field of view], shape (frame, arm, sample, dim)."""
    n_full_arms: int
    """Arms that one fully sampled frame takes."""


def spiral_arm(n: int, n_arms: int, sample_spacing: float = SAMPLE_SPACING) -> NDArray[np.float64]:
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
    sample_spacing
        Distance between samples [cycles per field of view].

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
    at = np.linspace(0.0, path[-1], int(np.ceil(path[-1] / sample_spacing)) + 1)
    r, theta = np.interp(at, path, radius), np.interp(at, path, angle)
    return np.stack([r * np.cos(theta), r * np.sin(theta)], axis=1)


def variable_density_arm(
    n: int, density: SpiralDensity, sample_spacing: float = SAMPLE_SPACING
) -> NDArray[np.float64]:
    """One arm of radius n / 2 rho(s) and angle 2 pi turns s, s from 0 to 1.

    Samples are equally spaced in s, at constant angular velocity: where the gradients' slew rate
    is the limit, as it is at the centre, a scanner reads about so. The centre is therefore denser
    than the distance of the turns alone makes it.

    Parameters
    ----------
    n
        Matrix size.
    density
        rho and the number of turns.
    sample_spacing
        Distance between samples at the edge [cycles per field of view].

    Returns
    -------
    Positions [cycles per field of view], shape (sample, 2).
    """
    n_samples = int(np.ceil(np.pi * n * density.turns / sample_spacing)) + 1
    s = np.linspace(0.0, 1.0, n_samples)
    rho = density.linear * s + (1.0 - density.linear) * s**density.power
    angle = 2.0 * np.pi * density.turns * s
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    arm: NDArray[np.float64] = n / 2 * _EDGE * rho[:, None] * direction
    return arm


def spiral_interleaves(
    n: int, density: SpiralDensity | None = None, turns: float = TURNS_PER_ARM
) -> int:
    """Interleaves that sample an n x n plane fully.

    Parameters
    ----------
    n
        Matrix size.
    density
        Of the spiral: as many as put neighbouring turns 1 cycle per field of view apart at the
        rim. None: nearly uniform, with about ``turns`` revolutions each.
    turns
        Revolutions of a uniform spiral.
    """
    if density is None:
        total = n / 2 * np.log(1.0 / CENTRE_SPACING) / (1.0 - CENTRE_SPACING)
        return max(1, int(np.ceil(total / turns)))
    slope = density.linear + (1.0 - density.linear) * density.power
    return max(1, int(np.ceil(n / 2 * slope / density.turns)))


def full_arms(
    kind: TrajectoryKind,
    n: int,
    n_dims: int,
    density: SpiralDensity | None = None,
    n_planes: int = 1,
    in_out: bool = False,
) -> int:
    """Arms that one fully sampled frame takes (Nyquist at the rim of k-space).

    Spiral: :func:`spiral_interleaves`, half as many if each goes in and out, in 3D for each of
    pi n / 2 discs. Radial: pi n / 2 spokes, in 3D pi n^2 / 2. Cartesian: n lines, in 3D n^2.
    Stacks: those of a plane, for each plane.

    Parameters
    ----------
    kind
        Of the trajectory.
    n
        Matrix size.
    n_dims
        2 or 3.
    density
        Of a spiral; None: nearly uniform.
    n_planes
        Planes of a stack.
    in_out
        Whether a spiral arm is two interleaves.

    Returns
    -------
    Number of arms.
    """
    half_circle = int(np.ceil(np.pi / 2 * n))
    if kind == "stack-of-stars":
        return half_circle * n_planes
    if "spiral" in kind:
        per_plane = -(-spiral_interleaves(n, density) // (2 if in_out else 1))
        if kind == "stack-of-spirals":
            return per_plane * n_planes
        return per_plane * (1 if n_dims == 2 else half_circle)
    if kind == "cartesian":
        return int(n ** (n_dims - 1))
    return half_circle if n_dims == 2 else int(np.ceil(np.pi / 2 * n * n))


def make_trajectory(
    kind: TrajectoryKind,
    matrix: tuple[int, ...],
    n_frames: int,
    acceleration: float,
    arms: int | None = None,
    readout: Readout | None = None,
    seed: int = 0,
) -> Trajectory:
    """The whole scan: a part of the arms in each frame, turned from frame to frame.

    2D: the arms of a frame are evenly turned, and each frame is turned by the golden (or tiny
    golden) angle against the one before, or every arm by a random angle. 3D: discs and spokes
    follow one another over arms and frames by the two-dimensional golden means, or at random.
    Stacks: arms in the plane turn as in 2D with one arm a frame, and their planes step by
    sqrt(3) - 1 of all, modulo 1, or at random. Cartesian lines run along x: evenly spread within a
    frame and shifted by the golden ratio from frame to frame, in 3D by the golden means over y and
    z, or at random. The fewer lines (or planes) a frame has, the denser they are at the centre: a
    place u in -1..1 becomes y = sign(u) |u|^p n / 2 with p from 1, all lines, to
    ``CENTRE_POWER``, hardly any.

    Parameters
    ----------
    kind
        Of the trajectory.
    matrix
        Voxels along x, y[, z].
    n_frames
        Number of frames.
    acceleration
        A frame keeps floor(arms / acceleration) arms, at least one.
    arms
        Arms of one fully sampled frame; None: :func:`full_arms`. In 3D spirals
        this includes the discs.
    readout
        Form and order of the arms; None: :class:`Readout`'s defaults.
    seed
        Of random orders.

    Returns
    -------
    The trajectory.

    Raises
    ------
    UsageError
        If a number is out of range, or the options do not fit the kind.

    References
    ----------
    Winkelmann et al., An optimal radial profile order based on the golden ratio
    (2007), doi:10.1109/TMI.2006.885337.
    Wundrak et al., Golden ratio sparse MRI using tiny golden angles (2015),
    doi:10.1002/mrm.25831.
    Chan et al., Temporal stability of adaptive 3D radial MRI using
    multidimensional golden means (2009), doi:10.1002/mrm.21837.
    Cao et al., Optimized multi-axis spiral projection MR fingerprinting (2022),
    doi:10.1002/mrm.29194.
    """
    readout = readout or Readout()
    if not acceleration >= 1.0:
        raise UsageError(f"--acceleration: must be at least 1, got {acceleration:g}")
    if arms is not None and arms < 1:
        raise UsageError(f"--arms: must be at least 1, got {arms}")
    _check(kind, len(matrix), readout)
    n, n_dims = max(matrix), len(matrix)
    stack = kind.startswith("stack")
    if stack:
        n = max(matrix[:2])
    in_out = readout.in_out
    n_full = arms or full_arms(kind, n, n_dims, readout.density, matrix[-1], in_out)
    n_arms = max(1, int(n_full / acceleration))
    if kind == "cartesian":
        lines = _lines(matrix, n_frames, n_arms, readout.order, seed)
        return Trajectory(kind, lines, n_full)
    half_circle = int(np.ceil(np.pi / 2 * n))
    per_plane = {2: 1, 3: matrix[-1] if stack else half_circle}[n_dims]
    interleaves = round((2 if in_out else 1) * n_full / per_plane)
    arm = _arm(kind, n, max(1, interleaves), readout)
    index = np.arange(n_frames * n_arms)
    # Half a turn gives an arm from edge to edge the same place again.
    period = 2.0 * np.pi if "spiral" in kind and not in_out else np.pi
    if n_dims == 2:
        rotations = _in_plane(period, index // n_arms, index % n_arms, n_arms, readout.order, seed)
    elif stack:
        rotations = _in_plane(period, index, 0 * index, 1, readout.order, seed)
    else:
        rotations = _in_space(index, readout.order, seed)
    unit = (arm / (n / 2)) @ rotations.transpose(0, 2, 1)
    positions = unit * (np.array(matrix[: unit.shape[-1]]) / 2)
    if stack:
        planes = _planes(matrix[2], n_frames, n_arms, n_full, readout.order, seed)
        across = np.broadcast_to(planes[:, None, None], (*positions.shape[:2], 1))
        positions = np.concatenate([positions, across], axis=2)
    shape = (n_frames, n_arms, len(arm), n_dims)
    return Trajectory(kind, positions.reshape(shape).astype(np.float32), n_full)


def _check(kind: TrajectoryKind, n_dims: int, readout: Readout) -> None:
    """Options that fit neither one another nor the kind."""
    if kind.startswith("stack") and n_dims == 2:
        raise UsageError(f"--trajectory: must be spiral, radial or cartesian in 2D, got {kind}")
    spiral_options = {
        "--spiral-density": readout.density is not None,
        "--in-out": readout.in_out,
        "--sample-spacing": readout.sample_spacing != SAMPLE_SPACING,
    }
    if "spiral" not in kind and any(spiral_options.values()):
        names = ", ".join(name for name, is_set in spiral_options.items() if is_set)
        raise UsageError(f"{names}: must go with a spiral, got {kind}")
    turned = kind.startswith("stack") or (n_dims == 2 and kind != "cartesian")
    if readout.order == "tiny-golden" and not turned:
        raise UsageError(
            f"--arm-order: must be golden or random for {n_dims}D {kind}, got tiny-golden"
        )
    density = readout.density
    if density and not (
        0 <= density.linear <= 1 and 1 <= density.power <= 10 and 0 < density.turns <= 1000
    ):
        raise UsageError(
            "--spiral-density: must be A in 0..1, P in 1..10 and TURNS above 0 and at most 1000, "
            f"got {density.linear:g} {density.power:g} {density.turns:g}"
        )
    if not 0 < readout.sample_spacing <= 2:
        raise UsageError(
            f"--sample-spacing: must be above 0 and at most 2, got {readout.sample_spacing:g}"
        )


def _arm(kind: TrajectoryKind, n: int, interleaves: int, readout: Readout) -> NDArray[np.float64]:
    """One arm in its own plane [cycles per field of view], shape (sample, 2)."""
    if "spiral" not in kind:
        return _spoke(n)
    if readout.density is None:
        arm = spiral_arm(n, interleaves, readout.sample_spacing)
    else:
        arm = variable_density_arm(n, readout.density, readout.sample_spacing)
    # Turned by half a revolution and reversed, so that the centre is passed straight on.
    return np.concatenate([-arm[:0:-1], arm]) if readout.in_out else arm


def _spoke(n: int) -> NDArray[np.float64]:
    """A spoke through the centre with two-fold oversampling, shape (sample, 2)."""
    x = (np.arange(2 * n) - n) / 2.0 * _EDGE
    return np.stack([x, np.zeros_like(x)], axis=1)


def _lines(
    matrix: tuple[int, ...], n_frames: int, n_lines: int, order: ArmOrder, seed: int
) -> NDArray[np.float32]:
    """Lines along x at whole steps of y[, z], shape (frame, line, sample, dim)."""
    index = np.arange(n_frames * n_lines)
    if order == "random":
        parts = generator(seed, "lines").uniform(size=(len(index), len(matrix) - 1))
    elif len(matrix) == 2:
        golden = _GOLDEN_HALF_TURN / np.pi
        parts = ((index % n_lines + 0.5) / n_lines + golden * (index // n_lines))[:, None]
    else:
        parts = index[:, None] * np.array(_MEANS)
    sizes = np.array(matrix[1:])
    steps = _denser_at_the_centre(parts, sizes, n_lines / sizes.prod())
    along = _spoke(matrix[0])[:, 0]
    lines = np.empty((len(index), len(along), len(matrix)), np.float32)
    lines[..., 0] = along
    lines[..., 1:] = steps[:, None] * _EDGE
    return lines.reshape(n_frames, n_lines, len(along), len(matrix))


def _planes(
    n_planes: int, n_frames: int, n_arms: int, n_full: int, order: ArmOrder, seed: int
) -> NDArray[np.float64]:
    """kz of every arm of a stack [cycles per field of view], shape (arm,)."""
    parts: NDArray[np.float64] = _PLANE_STEP * np.arange(n_frames * n_arms)
    if order == "random":
        parts = generator(seed, "planes").uniform(size=len(parts))
    share = min(1.0, n_arms / n_full)
    planes: NDArray[np.float64] = (
        _denser_at_the_centre(parts[:, None], np.array([n_planes]), share)[:, 0] * _EDGE
    )
    return planes


def _denser_at_the_centre(
    parts: NDArray[np.float64], sizes: NDArray[np.int_], share: float
) -> NDArray[np.float64]:
    """Whole steps from the centre for places modulo 1 along each axis, shape (line, axis)."""
    power = CENTRE_POWER + (1.0 - CENTRE_POWER) * min(1.0, share)
    place = 2.0 * np.mod(parts, 1.0) - 1.0
    warped = (np.sign(place) * np.abs(place) ** power + 1.0) / 2.0
    steps: NDArray[np.float64] = np.floor(warped * sizes) - sizes // 2
    return steps


def _in_plane(
    period: float,
    frame: NDArray[np.int_],
    arm: NDArray[np.int_],
    n_arms: int,
    order: ArmOrder,
    seed: int,
) -> NDArray[np.float64]:
    """Rotations of arms that repeat after an angle, in the plane, shape (arm, 2, 2)."""
    if order == "random":
        angle = generator(seed, "angles").uniform(0.0, period, size=len(frame))
    else:
        golden = _GOLDEN_TURN if period > np.pi else _GOLDEN_HALF_TURN
        tiny = _TINY_HALF_TURN * (period / np.pi)
        angle = period * arm / n_arms + (golden if order == "golden" else tiny) * frame
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], axis=-2)


def _in_space(index: NDArray[np.int_], order: ArmOrder, seed: int) -> NDArray[np.float64]:
    """Where the arm's own x and y axes point in space, shape (arm, 3, 2).

    The arm's x axis is uniform on the sphere and the arm is turned about it at
    random (all by golden means, or by random numbers), so spokes and discs are both uniform.
    """
    first_part, second_part = (index + 0.5) * _MEANS[1], index * _MEANS[0]
    turn = _GOLDEN_TURN * index
    if order == "random":
        parts = generator(seed, "directions").uniform(size=(3, len(index)))
        first_part, second_part, turn = parts[0], parts[1], 2.0 * np.pi * parts[2]
    cosine = 2.0 * np.mod(first_part, 1.0) - 1.0
    sine = np.sqrt(1.0 - cosine**2)
    azimuth = 2.0 * np.pi * np.mod(second_part, 1.0)
    first = np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine], axis=1)
    across = np.stack([-np.sin(azimuth), np.cos(azimuth), np.zeros_like(azimuth)], axis=1)
    other = np.cross(first, across)
    second = np.cos(turn)[:, None] * across + np.sin(turn)[:, None] * other
    return np.stack([first, second], axis=-1)

"""By what angles, lines and planes arms follow one another."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.simulate.arms import EDGE, spoke
from mri2qmap_bids.simulate.fields import generator

ArmOrder = Literal["golden", "tiny-golden", "sequential", "random"]
ARM_ORDERS: tuple[ArmOrder, ...] = get_args(ArmOrder)
CENTRE_POWER = 1.5
"""How much denser Cartesian lines are at the centre: their number falls as |y|^(1/p - 1)."""
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


def cartesian_lines(
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
    along = spoke(matrix[0])[:, 0]
    lines = np.empty((len(index), len(along), len(matrix)), np.float32)
    lines[..., 0] = along
    lines[..., 1:] = steps[:, None] * EDGE
    return lines.reshape(n_frames, n_lines, len(along), len(matrix))


def stack_planes(
    n_planes: int, n_frames: int, n_arms: int, n_full: int, order: ArmOrder, seed: int
) -> NDArray[np.float64]:
    """kz of every arm of a stack [cycles per field of view], shape (arm,)."""
    parts: NDArray[np.float64] = _PLANE_STEP * np.arange(n_frames * n_arms)
    if order == "random":
        parts = generator(seed, "planes").uniform(size=len(parts))
    share = min(1.0, n_arms / n_full)
    planes: NDArray[np.float64] = (
        _denser_at_the_centre(parts[:, None], np.array([n_planes]), share)[:, 0] * EDGE
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


def plane_rotations(
    period: float,
    frame: NDArray[np.int_],
    arm: NDArray[np.int_],
    n_arms: int,
    n_full: int,
    order: ArmOrder,
    seed: int,
) -> NDArray[np.float64]:
    """Rotations of arms that repeat after an angle, in the plane, shape (arm, 2, 2)."""
    if order == "random":
        angle = generator(seed, "angles").uniform(0.0, period, size=len(frame))
    elif order == "sequential":
        # In whole numbers: the same arm has the same angle to the last bit.
        place = (arm * n_full + frame * n_arms) % (n_arms * n_full)
        angle = period * place / (n_arms * n_full)
    else:
        golden = _GOLDEN_TURN if period > np.pi else _GOLDEN_HALF_TURN
        tiny = _TINY_HALF_TURN * (period / np.pi)
        angle = period * arm / n_arms + (golden if order == "golden" else tiny) * frame
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], axis=-2)


def space_rotations(index: NDArray[np.int_], order: ArmOrder, seed: int) -> NDArray[np.float64]:
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

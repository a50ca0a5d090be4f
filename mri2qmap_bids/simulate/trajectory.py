"""Where each arm of each frame reads k-space, in cycles per field of view.

sigpy has radial and spiral trajectories, too, but others: its spokes run from the centre to the edge, by
golden angles alone, and its spiral follows from limits of the gradients, with no order of arms over frames.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.simulate.arm_order import (
    ArmOrder,
    cartesian_lines,
    plane_rotations,
    space_rotations,
    stack_planes,
)
from mri2qmap_bids.simulate.arms import (
    SAMPLE_SPACING,
    SpiralDensity,
    spiral_arm,
    spiral_interleaves,
    spoke,
    variable_density_arm,
)

TrajectoryKind = Literal["spiral", "radial", "cartesian", "stack-of-spirals", "stack-of-stars"]
TRAJECTORY_KINDS: tuple[TrajectoryKind, ...] = get_args(TrajectoryKind)


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
    golden) angle against the one before, or to the next arm of a fully sampled frame
    (sequential), or every arm by a random angle. 3D: discs and spokes
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
        lines = cartesian_lines(matrix, n_frames, n_arms, readout.order, seed)
        return Trajectory(kind, lines, n_full)
    half_circle = int(np.ceil(np.pi / 2 * n))
    per_plane = {2: 1, 3: matrix[-1] if stack else half_circle}[n_dims]
    interleaves = round((2 if in_out else 1) * n_full / per_plane)
    arm = _arm(kind, n, max(1, interleaves), readout)
    index = np.arange(n_frames * n_arms)
    # Half a turn gives an arm from edge to edge the same place again.
    period = 2.0 * np.pi if "spiral" in kind and not in_out else np.pi
    if n_dims == 2:
        rotations = plane_rotations(
            period, index // n_arms, index % n_arms, n_arms, n_full, readout.order, seed
        )
    elif stack:
        rotations = plane_rotations(period, index, 0 * index, 1, n_full, readout.order, seed)
    else:
        rotations = space_rotations(index, readout.order, seed)
    unit = (arm / (n / 2)) @ rotations.transpose(0, 2, 1)
    positions = unit * (np.array(matrix[: unit.shape[-1]]) / 2)
    if stack:
        planes = stack_planes(matrix[2], n_frames, n_arms, n_full, readout.order, seed)
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
    if readout.order == "sequential" and (n_dims != 2 or kind == "cartesian"):
        raise UsageError(
            f"--arm-order: sequential must go with a 2D spiral or radial, got {n_dims}D {kind}"
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
        return spoke(n)
    if readout.density is None:
        arm = spiral_arm(n, interleaves, readout.sample_spacing)
    else:
        arm = variable_density_arm(n, readout.density, readout.sample_spacing)
    # Turned by half a revolution and reversed, so that the centre is passed straight on.
    return np.concatenate([-arm[:0:-1], arm]) if readout.in_out else arm

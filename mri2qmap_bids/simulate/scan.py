"""One simulated scan from its options: geometry, brain, train, trajectory, coils, samples."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.errors import ArgumentError, UsageError
from mri2qmap_bids.recon.acquisition.geometry import Geometry, affine
from mri2qmap_bids.recon.physics.maps import QuantitativeMaps
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence
from mri2qmap_bids.simulate.acquire import Acquired, acquire
from mri2qmap_bids.simulate.anatomy import brainweb, centre_and_extent, mni152
from mri2qmap_bids.simulate.coils import COIL_RADIUS, coil_maps
from mri2qmap_bids.simulate.fields import static_field, transmit_field
from mri2qmap_bids.simulate.grid import grid_centre, make_geometry, voxel_centres
from mri2qmap_bids.simulate.phantom import POINT_SPREAD, DigitalBrain, from_anatomy
from mri2qmap_bids.simulate.rawfile import RawFileOptions
from mri2qmap_bids.simulate.tissue import FLUID
from mri2qmap_bids.simulate.trajectory import Readout, TrajectoryKind, make_trajectory
from mri2qmap_bids.simulate.usermaps import MapFiles, from_maps, read_maps

PhantomKind = Literal["mni152", "maps", "brainweb"]
_MARGIN = 1.2
_FOV_STEP = 10e-3


@dataclass(frozen=True, eq=False)
class ScanOptions:
    """What to scan and how, in SI units."""

    sequence: PulseSequence
    """The train."""
    phantom: PhantomKind = "mni152"
    """Where the brain comes from."""
    labels: Path | None = None
    """BrainWeb label file."""
    maps: MapFiles | None = None
    """Files of measured maps."""
    n_dims: Literal[2, 3] = 2
    """2D slices or one 3D volume."""
    matrix: tuple[int, ...] = (96, 96)
    """Voxels along x, y[, z]; a third number is the number of slices in 2D."""
    fov: tuple[float, ...] | None = None
    """Field of view along x, y[, z] [m]; None: the head and a margin."""
    slice_thickness: float = 5e-3
    """Thickness of a 2D slice [m]."""
    slice_gap: float = 0.0
    """Gap between 2D slices [m]."""
    oblique: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Rotation of the grid about L, P, S [rad]."""
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Centre of the grid relative to the middle of the head, RAS+ [m]."""
    point_spread: float = POINT_SPREAD
    """Standard deviation of the blur of digital brains before they are scanned [voxel]; 0: voxels
    are the averages of what is inside them, with edges as sharp as a scanner sees."""
    n_coils: int = 8
    """Number of receive coils."""
    coil_radius: float = COIL_RADIUS
    """Distance of the coils from the axis in units of half the field of view: the farther away,
    the more their sensitivities overlap."""
    trajectory: TrajectoryKind = "spiral"
    """Kind of readout."""
    arms: int | None = None
    """Arms of a fully sampled frame; None: as many as it takes."""
    acceleration: float = 8.0
    """Only one in so many arms is read."""
    readout: Readout = Readout()
    """Form and order of the arms."""
    b1: float = 0.0
    """Largest deviation of the transmit field from nominal, 0..1."""
    off_resonance: float = 0.0
    """Largest off-resonance frequency [Hz]."""
    noise: float = 0.1
    """Standard deviation of the noise relative to the root mean square of the signal."""
    raw_file: RawFileOptions = field(default_factory=RawFileOptions)
    """How the file is written."""


@dataclass(frozen=True, eq=False)
class Scan:
    """A finished simulation."""

    geometry: Geometry
    """The grid."""
    brain: DigitalBrain
    """The known maps."""
    coil_maps: NDArray[np.complex64]
    """Sensitivities, shape (coil, z, y, x)."""
    acquired: Acquired
    """The samples."""
    b1: float = 0.0
    """Largest deviation of the transmit field from nominal, 0..1."""
    off_resonance: float = 0.0
    """Largest off-resonance frequency [Hz]."""


def simulate_scan(options: ScanOptions, subject_seed: int, scan_seed: int) -> Scan:
    """Make one subject's brain and scan it.

    Parameters
    ----------
    options
        What to scan and how.
    subject_seed
        Of the brain and the coils.
    scan_seed
        Of the noise.

    Returns
    -------
    The scan.

    Raises
    ------
    UsageError
        If the options contradict one another or nothing lies in the field of view.
    """
    geometry, brain = place_brain(options, subject_seed)
    if not (brain.labels > 0).any():
        raise UsageError("field of view: must hold some tissue, got an empty volume")
    in_plane = geometry.matrix[::-1][: options.n_dims]
    trajectory = make_trajectory(
        options.trajectory,
        in_plane,
        options.sequence.n_frames,
        options.acceleration,
        options.arms,
        options.readout,
        scan_seed,
    )
    maps = coil_maps(
        geometry.matrix, options.n_dims == 3, options.n_coils, subject_seed, options.coil_radius
    )
    field: NDArray[np.float32] | float = 1.0
    if options.b1:
        values = transmit_field(voxel_centres(geometry), grid_centre(geometry), options.b1)
        field = values.reshape(geometry.matrix).astype(np.float32)
    frequency = None
    if options.off_resonance:
        points, centre = voxel_centres(geometry), grid_centre(geometry)
        values = static_field(points, centre, options.off_resonance)
        frequency = values.reshape(geometry.matrix).astype(np.float32)
    acquired = acquire(
        brain,
        options.sequence,
        trajectory,
        maps,
        options.noise,
        scan_seed,
        field,
        frequency,
        options.raw_file.dwell_time,
    )
    return Scan(geometry, brain, maps, acquired, options.b1, options.off_resonance)


def known_maps(scan: Scan) -> QuantitativeMaps:
    """The maps that a perfect reconstruction of the scan would give.

    M0 is weighted by the coils as in a noise-whitened reconstruction,
    sqrt(S^H C^-1 S) with sensitivities S and noise covariance C (the unit
    matrix if there is no noise), scaled to a mean of one over the tissue.

    Returns
    -------
    Maps; M0 carries the phase of the magnetisation, without that of the coils.
    """
    brain, covariance = scan.brain, scan.acquired.noise_covariance
    mask = brain.labels > 0
    maps = scan.coil_maps[:, mask]
    whitened = maps if covariance is None else np.linalg.solve(np.linalg.cholesky(covariance), maps)
    weight = np.sqrt((np.abs(whitened) ** 2).sum(axis=0))
    m0 = np.zeros_like(brain.m0)
    m0[mask] = brain.m0[mask] * weight / weight.mean()
    return QuantitativeMaps(brain.t1, brain.t2, m0, mask, affine(scan.geometry))


def tissue_labels(brain: DigitalBrain) -> NDArray[np.uint8]:
    """Pure tissues only: 1 grey matter, 2 white matter, 3 fluid, else 0; axes (z, y, x)."""
    return np.where(brain.labels <= FLUID, brain.labels, 0).astype(np.uint8)


def place_brain(options: ScanOptions, seed: int) -> tuple[Geometry, DigitalBrain]:
    """The grid around the head, and the head on it."""
    thickness = options.slice_thickness if options.n_dims == 2 else None
    if options.phantom == "maps":
        if options.maps is None:
            raise UsageError("--maps: must name T1 and T2 files with --phantom maps, got none")
        measured = read_maps(options.maps)
        geometry = _geometry(options, measured.centre, measured.extent)
        return geometry, from_maps(measured, geometry, seed, thickness)
    if options.phantom == "brainweb" and options.labels is None:
        raise UsageError("--labels: must name a label file with --phantom brainweb, got none")
    anatomy = brainweb(options.labels) if options.labels is not None else mni152()
    geometry = _geometry(options, *centre_and_extent(anatomy))
    brain = from_anatomy(anatomy, geometry, seed, thickness, options.point_spread)
    return geometry, brain


def _geometry(
    options: ScanOptions, centre: NDArray[np.float64], extent: NDArray[np.float64]
) -> Geometry:
    """The grid that the options ask for, around the middle of the head."""
    matrix = options.matrix
    fov = options.fov or (float(np.ceil(_MARGIN * extent.max() / _FOV_STEP) * _FOV_STEP),)
    sizes = _per_axis(matrix, options.n_dims, "--matrix")
    spans = _per_axis(fov, options.n_dims, "--fov")
    if min(sizes) < 1 or min(spans) <= 0:
        raise UsageError(f"--matrix and --fov: must be positive, got {matrix} and {fov}")
    steps = [span / size for span, size in zip(spans, sizes, strict=True)]
    if options.n_dims == 2:
        sizes = (*sizes, matrix[2] if len(matrix) == 3 else 1)
        steps.append(options.slice_thickness + options.slice_gap)
    if sizes[2] < 1 or steps[2] <= 0:
        raise UsageError(
            f"--slices, --slice-thickness and --slice-gap: must give slices apart from one another, got "
            f"{sizes[2]:g} slices {1e3 * steps[2]:g} mm apart"
        )
    try:
        return make_geometry(
            (int(sizes[2]), int(sizes[1]), int(sizes[0])),
            (steps[2], steps[1], steps[0]),
            centre + np.array(options.offset),
            options.oblique,
        )
    except ArgumentError as error:
        raise UsageError(f"--matrix, --fov, --offset, --slice-thickness: {error}") from error


def _per_axis(values: tuple[float, ...], n_dims: int, option: str) -> tuple[float, ...]:
    """One value for each encoded axis x, y[, z]."""
    if len(values) == 1:
        return values * n_dims
    if len(values) < n_dims or len(values) > 3:
        raise UsageError(f"{option}: must be 1 or {n_dims} numbers, got {len(values)}")
    return values[:n_dims]

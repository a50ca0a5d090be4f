"""Scans whose maps are known: BrainWeb subjects and measured maps of volunteers."""

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from mri2qmap_bids.recon.acquisition.scan import RawScan, SliceSamples
from mri2qmap_bids.recon.physics.maps import QuantitativeMaps
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence
from mri2qmap_bids.simulate.acquire import acquire
from mri2qmap_bids.simulate.coils import COIL_RADIUS, coil_maps
from mri2qmap_bids.simulate.phantom import POINT_SPREAD, DigitalBrain
from mri2qmap_bids.simulate.scan import (
    Scan,
    ScanOptions,
    known_maps,
    place_brain,
    tissue_labels,
)
from mri2qmap_bids.simulate.sequences import make_sequence
from mri2qmap_bids.simulate.trajectory import Readout, TrajectoryKind, full_arms, make_trajectory
from mri2qmap_bids.simulate.usermaps import MapFiles

FULL_TRAIN = 1000
"""Frames of the train that R = 1 stands for."""


@dataclass(frozen=True)
class Case:
    """One scan to simulate."""

    source: str
    """brainweb41 or vol0_slice10: the file the known maps come from."""
    acceleration: int = 8
    """R: the train is cut to 1000 / R frames, one spiral arm each."""
    noise: float = 0.3
    """Standard deviation of a sample's noise relative to the rms signal."""
    n_dims: int = 2
    """2: one slice of 1 mm; 3: whole head of 2 mm."""
    kind: str = "FISP"
    """FISP or bSSFP."""
    trajectory: TrajectoryKind = "spiral"
    """spiral, radial or cartesian."""
    lesions: bool = False
    """Whether lesions are put into the white matter."""
    readout: Readout = Readout()
    """Form and order of the arms."""
    matrix: int | None = None
    """Voxels along each encoded axis over the same field of view; None: 1 mm (2D) or 2 mm (3D)."""
    point_spread: float = POINT_SPREAD
    """Blur of digital brains [voxel]; 0: sharp."""
    n_coils: int = 8
    """Receive coils."""
    coil_radius: float = COIL_RADIUS
    """Of the cylinder that they lie on, in units of half the field of view."""
    frames: int | None = None
    """Frames of the train; None: as R says."""
    seed: int = 3
    """Of coils and noise."""

    @property
    def name(self) -> str:
        """A name for tables."""
        sampling = f"{self.trajectory} {self.sampling}" if self.readout.density else self.trajectory
        return f"{self.source} {self.kind} {sampling} {self.n_dims}D R{self.acceleration} noise {self.noise:g}"

    @property
    def sampling(self) -> str:
        """Where samples lie, in words."""
        if self.trajectory != "spiral":
            return self.trajectory
        return "dense centre" if self.readout.density else "uniform"


@dataclass(frozen=True, eq=False)
class Problem:
    """A simulated scan and what its maps should be."""

    scan: RawScan
    """What a reconstruction gets."""
    sequence: PulseSequence
    """The train."""
    truth: QuantitativeMaps
    """The known maps."""
    labels: NDArray[np.uint8]
    """1 grey matter, 2 white matter, 3 fluid, else 0, inside the brain."""
    lesions: NDArray[np.int_] = field(default_factory=lambda: np.zeros(0, int))
    """Number of the lesion that a voxel belongs to, 0 none."""


def make_problem(case: Case, data: Path) -> Problem:
    """Simulate a case.

    Parameters
    ----------
    case
        What to simulate.
    data
        Folder with ``brainweb``, ``maps_invivo`` and ``sequences``.
    """
    sequence = _sequence(case, data / "sequences" / "yun")
    with tempfile.TemporaryDirectory() as folder:
        options = _options(case, sequence, data, Path(folder))
        geometry, brain = place_brain(options, case.seed)
    lesions = np.zeros(brain.labels.shape, int)
    if case.lesions:
        brain, lesions = _with_lesions(brain, case.seed)
    in_plane = geometry.matrix[::-1][: case.n_dims]
    # 2D: as large a part of a frame as one arm is of a full spiral. 3D: 16 arms, each one of the
    # 16 interleaves of a disc of its own.
    if case.n_dims == 2:
        part = full_arms("spiral", max(in_plane), 2)
        full = part if case.readout.density else None
    else:
        stack = case.trajectory.startswith("stack")
        part = in_plane[-1] if stack else int(np.ceil(np.pi / 2 * max(in_plane)))
        full = 16 * part
    arms = make_trajectory(
        case.trajectory, in_plane, sequence.n_frames, part, full, case.readout, case.seed
    )
    coils = coil_maps(geometry.matrix, case.n_dims == 3, case.n_coils, case.seed, case.coil_radius)
    acquired = acquire(brain, sequence, arms, coils, case.noise, case.seed)
    scan = Scan(geometry, brain, coils, acquired)
    fov = np.array([n * size for n, size in zip(geometry.matrix, geometry.voxel_size, strict=True)])
    positions = arms.positions / fov[::-1][: case.n_dims]
    n_frames, n_arms, n_samples, _ = positions.shape
    frame = np.repeat(np.arange(n_frames), n_arms * n_samples)
    slices = tuple(
        SliceSamples(
            kspace=torch.from_numpy(
                np.ascontiguousarray(part.transpose(2, 0, 1, 3).reshape(len(coils), -1))
            ),
            trajectory=torch.from_numpy(positions.reshape(-1, case.n_dims).astype(np.float32)),
            frame=torch.from_numpy(frame),
        )
        for part in acquired.kspace
    )
    raw = RawScan(
        slices=slices,
        noise=None if acquired.noise is None else torch.from_numpy(acquired.noise),
        geometry=geometry,
        encoded_fov=(float(fov[0]), float(fov[1]), float(fov[2])),
        n_frames=sequence.n_frames,
        is_3d=case.n_dims == 3,
    )
    labels = tissue_labels(brain)
    if case.source.startswith("vol"):
        labels = np.where(_brain(brain), labels, 0).astype(np.uint8)
    return Problem(raw, sequence, known_maps(scan), labels, lesions)


def _sequence(case: Case, folder: Path) -> PulseSequence:
    flips = np.deg2rad(np.loadtxt(folder / "fa.txt"))
    times = np.loadtxt(folder / "tr.txt") * 1e-3
    n_frames = min(case.frames or FULL_TRAIN // case.acceleration, len(flips))
    if case.kind == "bSSFP":
        return make_sequence("bSSFP", n_frames, flips)
    return make_sequence("FISP", n_frames, flips, times, 1.9e-3)


def _options(case: Case, sequence: PulseSequence, data: Path, folder: Path) -> ScanOptions:
    common = ScanOptions(
        sequence, trajectory=case.trajectory, noise=case.noise, point_spread=case.point_spread
    )
    if case.n_dims == 3:
        n = case.matrix or 112
        matrix, fov = (n, n, round(n * 6 / 7)), (0.224, 0.224, 0.192)
        common = replace(common, n_dims=3, matrix=matrix, fov=fov)
    else:
        n = case.matrix or 224
        common = replace(common, matrix=(n, n), fov=(0.224, 0.224), slice_thickness=3e-3)
    if case.source.startswith("brainweb"):
        number = case.source.removeprefix("brainweb")
        labels = data / "brainweb" / f"subject{number}_crisp_v.mnc.gz"
        return replace(common, phantom="brainweb", labels=labels, offset=(0.0, 0.0, 15e-3))
    return replace(common, phantom="maps", maps=_as_nifti(case.source, data, folder))


def _as_nifti(source: str, data: Path, folder: Path) -> MapFiles:
    """Measured maps as files that the simulator reads; noise outside the head left out."""
    t1, t2, real, imaginary = np.load(data / "maps_invivo" / f"{source}.npz")["qmaps"]
    m0 = real + 1j * imaginary
    magnitude = ndimage.gaussian_filter(np.abs(m0), 0.7)
    head = ndimage.binary_opening(magnitude > 0.1 * np.percentile(magnitude, 99), iterations=1)
    names = {}
    for name, values in (("t1", t1), ("t2", t2), ("m0", m0)):
        plane = np.where(head, values, 0)[:, :, None].swapaxes(0, 1)
        # Three equal slices, so that a thick slice through the middle one has no edge.
        volume = np.repeat(plane, 3, axis=2)
        affine = np.diag([1.0, 1.0, 3.0, 1.0])
        affine[:3, 3] = -115, -115, -3
        names[name] = folder / f"{name}.nii"
        kind = np.complex64 if np.iscomplexobj(volume) else np.float32
        nib.save(nib.Nifti1Image(volume.astype(kind), affine), names[name])
    return MapFiles(**names)


def _brain(brain: DigitalBrain) -> NDArray[np.bool_]:
    """Inside the skull: the largest piece of tissue that is neither thin nor fat."""
    inside = np.zeros(brain.labels.shape, bool)
    for z, plane in enumerate(brain.labels):
        tissue = (
            (brain.t1[z] > 0.6)
            & (brain.t1[z] < 1.8)
            & (brain.t2[z] > 0.042)
            & (brain.t2[z] < 0.2)
            & (plane > 0)
        )
        opened = ndimage.binary_opening(ndimage.median_filter(tissue, 5), iterations=5)
        pieces, n_pieces = ndimage.label(opened)
        if n_pieces:
            sizes = ndimage.sum_labels(opened, pieces, range(1, n_pieces + 1))
            grown = ndimage.binary_dilation(pieces == 1 + np.argmax(sizes), iterations=6)
            inside[z] = ndimage.binary_fill_holes(grown)
    return inside


def _with_lesions(brain: DigitalBrain, seed: int) -> tuple[DigitalBrain, NDArray[np.int_]]:
    """Ellipses of 3 to 8 mm in white matter, T1 and T2 longer by 30 to 60 %."""
    rng = np.random.default_rng([seed, 5])
    t1, t2 = brain.t1.copy(), brain.t2.copy()
    numbers = np.zeros(brain.labels.shape, int)
    size_z, size_y, size_x = brain.voxel_size
    z, y, x = np.indices(numbers.shape)
    free = ndimage.binary_erosion(brain.labels == 2, np.ones((1, 5, 5)))
    for number, diameter in enumerate((3e-3, 4e-3, 5e-3, 6e-3, 7e-3, 8e-3), start=1):
        candidates = np.argwhere(free)
        if not len(candidates):
            break
        cz, cy, cx = candidates[rng.integers(len(candidates))]
        away = np.hypot(np.hypot((y - cy) * size_y, (x - cx) * size_x), (z - cz) * size_z)
        inside = (away <= diameter / 2) & (brain.labels > 0)
        numbers[inside] = number
        t1[inside] *= rng.uniform(1.3, 1.6)
        t2[inside] *= rng.uniform(1.3, 1.6)
        free &= away > 12e-3
    t2 = np.minimum(t2, t1)
    return DigitalBrain(t1, t2, brain.m0, brain.labels, brain.voxel_size), numbers


def score(t1: NDArray, t2: NDArray, m0: NDArray, problem: Problem) -> dict[str, float]:
    """MAPE of T1 and T2 in grey and white matter, NRMSE of M0 over the tissues [%]."""
    truth, tissue = problem.truth, np.isin(problem.labels, (1, 2))
    scores: dict[str, float] = {}
    for name, estimate, true_map in (("T1", t1, truth.t1), ("T2", t2, truth.t2)):
        relative = estimate[tissue] / true_map[tissue] - 1
        scores[name] = 100 * float(np.abs(relative).mean())
        scores[f"{name}_bias"] = 100 * float(relative.mean())
    inside = problem.labels > 0
    own, reference = np.abs(m0[inside]), np.abs(truth.m0[inside])
    scale = float(own @ reference) / max(float(own @ own), 1e-30)
    scores["M0"] = 100 * float(np.linalg.norm(scale * own - reference) / np.linalg.norm(reference))
    return scores

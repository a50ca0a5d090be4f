"""Diagnostics of a reconstruction, stored beside the maps."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.recon.physics.event_sequence import EventSequence
from mri2qmap_bids.recon.physics.events import event_from_record, event_record
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence
from mri2qmap_bids.recon.planning.plan import Plan, Stage

_LEAST_SIGNAL = 0.3


@dataclass(frozen=True, eq=False)
class Plane:
    """One plane through a volume, or one slice."""

    axis: int
    """Array axis (z, y, x) that it is normal to."""
    index: int
    """Index along that axis."""
    misfit: NDArray[np.float16]
    """|x - m0 Phi^H d| / |x| of the subspace image x and the maps, shape (row, column)."""
    residual: NDArray[np.float16]
    """Image of the residual of the samples, relative to the image that noise alone would give,
    shape (row, column)."""
    coils: NDArray[np.float16]
    """Magnitude of the virtual coils' sensitivities, shape (coil, row, column)."""
    start_t1: NDArray[np.float16] | None
    """T1 matched to the initial image of a plug-and-play method [s], shape (row, column); None: no such
    image."""
    start_t2: NDArray[np.float16] | None
    """T2 matched to it [s]."""


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """Subspace signals of some voxels, and those predicted from their maps."""

    voxels: NDArray[np.int32]
    """Array indices (z, y, x), shape (voxel, 3)."""
    t1: NDArray[np.float32]
    """[s], shape (voxel,)."""
    t2: NDArray[np.float32]
    """[s], shape (voxel,)."""
    data: NDArray[np.complex64]
    """Subspace image, shape (voxel, rank)."""
    model: NDArray[np.complex64]
    """m0 Phi^H d(T1, T2), shape (voxel, rank)."""


@dataclass(frozen=True, eq=False)
class Residual:
    """Residual of the maps in the samples of the strongest virtual coil."""

    noise: float
    """Standard deviation of a complex sample, from the median; 1 is expected for whitened coils."""
    frames: NDArray[np.float32]
    """Root mean square over each frame, shape (frame,)."""
    radii: NDArray[np.float32]
    """Root mean square over shells of k-space, from its centre to the grid's edge."""


@dataclass(frozen=True, eq=False)
class Sampling:
    """Where k-space was sampled."""

    density: tuple[NDArray[np.float32], ...]
    """Samples per cell of the grid's k-space, all frames together; one image for a slice, three
    mean projections (along z, y, x) for a volume."""
    coverage: float
    """Share of cells inside the grid's ellipsoid that any frame has sampled, 0..1."""
    readouts: NDArray[np.float32]
    """Positions (x, y[, z]) of the first samples, in units of the grid's k-space edge."""
    readout_frames: NDArray[np.int32]
    """Frames of these samples, shape (sample,)."""
    n_samples: int
    """Samples of one coil in the slice or volume."""


@dataclass(frozen=True, eq=False)
class Convergence:
    """Distance of the last linear solve from its minimiser."""

    energy_left: NDArray[np.float32]
    """Energy of the distance to the minimiser relative to that of the image and its error, in every
    shell of k-space from its centre to the grid's edge: of all components together, then of
    each, shape (1 + rank, shell)."""
    met: bool
    """Whether the solver met its criterion before the maximum number of steps."""

    @property
    def worst(self) -> float:
        """Largest share over shells, all components together: at least 0; NaN: the solution is no number."""
        return float(np.max(self.energy_left[0], initial=0.0))


@dataclass(frozen=True)
class Figures:
    """Figures of a scan's quality."""

    snr: float
    """Median over bright voxels of the first component over the deviation of its error."""
    acceleration: float
    """Cells of k-space over those that a frame samples."""
    condition: float | None
    """Condition number of the regularised encoding; None: the method solves no linear problem."""
    displacement: float | None = None
    """Motion between blocks of frames, estimated from the residual [voxel]; None: as above."""
    delay: float | None = None
    """Delay of the samples against the trajectory, estimated from the residual [sample]; None: as above."""
    misfit: float | None = None
    """Mean difference between measured and predicted fingerprints, see :func:`mean_misfit`; None: written by a
    version without it."""


@dataclass(frozen=True)
class SliceQuality:
    """Quality of one slice, or of the volume."""

    signal: float
    """Length of the subspace image."""
    noise: float
    """Of the residual, as ``Residual.noise``."""
    energy_left: float | None
    """Of the last linear solve, as ``Convergence.worst``; None: the method solves no linear problem."""
    figures: Figures
    """Its delay is that of a search in the middle slice alone."""


def slices_with_signal(slices: Sequence[SliceQuality]) -> list[int]:
    """Numbers of the slices whose image is at least 30 % as long as the longest: others have little tissue."""
    longest = max((each.signal for each in slices), default=0.0)
    return [i for i, each in enumerate(slices) if not each.signal < _LEAST_SIGNAL * longest]


@dataclass(frozen=True, eq=False)
class CoilNoise:
    """Noise of the receive coils before whitening."""

    correlation: NDArray[np.float16]
    """Magnitude of the correlation between coils, shape (coil, coil)."""
    deviation: NDArray[np.float32]
    """Standard deviation of each coil's complex samples, relative to their median."""


@dataclass(frozen=True, eq=False)
class PartDiagnostics:
    """Diagnostics of the middle slice, or of the volume."""

    planes: tuple[Plane, ...]
    fingerprints: Fingerprints
    residual: Residual
    sampling: Sampling
    convergence: Convergence | None
    """None: the method solves no linear problem."""


@dataclass(frozen=True, eq=False)
class Diagnostics:
    """All that a report needs beyond the maps."""

    sequence: PulseSequence
    """The train."""
    basis: NDArray[np.float32] | NDArray[np.complex64]
    """Phi, shape (frame, rank)."""
    energy: float
    """Share of the fingerprints' energy in the subspace, 0..1."""
    t1_range: tuple[float, float]
    """Of the dictionary [s]."""
    t2_range: tuple[float, float]
    """Of the dictionary [s]."""
    n_atoms: int
    """Tissues in the dictionary."""
    part: PartDiagnostics
    """The middle slice, or the volume."""
    slices: tuple[SliceQuality, ...]
    """All slices in their order, or the volume; the middle slice alone, or none, if written by an earlier version."""
    coil_noise: CoilNoise | None
    """None: the file has no noise scan."""
    steps: Mapping[str, list[Mapping[str, float]]]
    """Figures of every solver step, by solver; of the middle slice."""
    seconds: Mapping[str, float]
    """Time of each stage [s]."""
    plan: Plan
    """The plan used, with its predicted memory and time."""
    device: str
    """Device used."""
    is_3d: bool
    """Whether the scan is one volume."""


def save_diagnostics(diagnostics: Diagnostics, path: Path) -> None:
    """Write a compressed ``.npz``: arrays, and all else as JSON in ``facts``."""
    part, sequence = diagnostics.part, diagnostics.sequence
    arrays: dict[str, Any] = {
        "basis": diagnostics.basis,
        "flip_angle": sequence.flip_angle,
        "repetition_time": sequence.repetition_time,
        "echo_time": sequence.echo_time,
        "rf_phase": sequence.rf_phase,
        **_named("fingerprints", asdict(part.fingerprints)),
        "residual_frames": part.residual.frames,
        "residual_radii": part.residual.radii,
        "readouts": part.sampling.readouts,
        "readout_frames": part.sampling.readout_frames,
        **{f"density_{i}": image for i, image in enumerate(part.sampling.density)},
    }
    for i, plane in enumerate(part.planes):
        arrays |= _named(f"plane_{i}", asdict(plane))
    if part.convergence is not None:
        arrays["energy_left"] = part.convergence.energy_left
    if diagnostics.coil_noise is not None:
        arrays |= _named("coil_noise", asdict(diagnostics.coil_noise))
    facts = {
        "sequence": {
            key: getattr(sequence, key)
            for key in (
                "kind",
                "inversion_time",
                "inversion_efficiency",
                "preparation_time",
                "slice_profile",
            )
        },
        "events": [event_record(event) for event in sequence.events]
        if isinstance(sequence, EventSequence)
        else None,
        "noise": part.residual.noise,
        "coverage": part.sampling.coverage,
        "converged": part.convergence is not None and part.convergence.met,
        "n_samples": part.sampling.n_samples,
        "slices": [asdict(each) for each in diagnostics.slices],
        "plan": asdict(diagnostics.plan),
        **{
            key: getattr(diagnostics, key)
            for key in (
                "energy",
                "t1_range",
                "t2_range",
                "n_atoms",
                "steps",
                "seconds",
                "device",
                "is_3d",
            )
        },
    }
    with path.open("wb") as file:
        np.savez_compressed(file, facts=json.dumps(facts), **arrays)


def load_diagnostics(path: Path) -> Diagnostics:
    """Read what :func:`save_diagnostics` wrote."""
    with np.load(path) as file:
        arrays = dict(file)
    facts = json.loads(str(arrays.pop("facts")))
    own = facts["sequence"]
    fields = {
        **{key: arrays[key] for key in ("flip_angle", "repetition_time", "echo_time", "rf_phase")},
        **{**own, "slice_profile": tuple(own["slice_profile"])},
    }
    if facts.get("events") is None:
        sequence = PulseSequence(**fields)
    else:
        sequence = EventSequence(**fields, events=tuple(map(event_from_record, facts["events"])))
    planes: list[Plane] = []
    while f"plane_{len(planes)}_axis" in arrays:
        plane = _fields(arrays, f"plane_{len(planes)}")
        axis, index = int(plane.pop("axis")), int(plane.pop("index"))
        planes.append(Plane(axis, index, **{"start_t1": None, "start_t2": None, **plane}))
    density: list[NDArray[np.float32]] = []
    while f"density_{len(density)}" in arrays:
        density.append(arrays[f"density_{len(density)}"])
    coil_noise = _fields(arrays, "coil_noise")
    plan = facts["plan"]
    return Diagnostics(
        sequence=sequence,
        basis=arrays["basis"],
        part=PartDiagnostics(
            planes=tuple(planes),
            fingerprints=Fingerprints(**_fields(arrays, "fingerprints")),
            residual=Residual(facts["noise"], arrays["residual_frames"], arrays["residual_radii"]),
            sampling=Sampling(
                tuple(density),
                facts["coverage"],
                arrays["readouts"],
                arrays["readout_frames"],
                facts["n_samples"],
            ),
            convergence=Convergence(arrays["energy_left"], facts["converged"])
            if "energy_left" in arrays
            else None,
        ),
        slices=_slices_of(facts, arrays.get("energy_left")),
        coil_noise=CoilNoise(**coil_noise) if coil_noise else None,
        plan=Plan(**{**plan, "stages": tuple(Stage(**stage) for stage in plan["stages"])}),
        t1_range=tuple(facts["t1_range"]),
        t2_range=tuple(facts["t2_range"]),
        **{key: facts[key] for key in ("energy", "n_atoms", "steps", "seconds", "device", "is_3d")},
    )


def _slices_of(
    facts: Mapping[str, Any], energy_left: NDArray[np.float32] | None
) -> tuple[SliceQuality, ...]:
    if "slices" in facts:
        return tuple(
            SliceQuality(**{**each, "figures": Figures(**each["figures"])})
            for each in facts["slices"]
        )
    if not facts.get("figures"):
        return ()
    # Of an earlier version, which had the middle slice alone.
    worst = None if energy_left is None else Convergence(energy_left, facts["converged"]).worst
    return (SliceQuality(1.0, facts["noise"], worst, Figures(**facts["figures"])),)


def _named(prefix: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix}_{name}": value for name, value in fields.items() if value is not None}


def _fields(arrays: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    start = prefix + "_"
    return {name[len(start) :]: v for name, v in arrays.items() if name.startswith(start)}

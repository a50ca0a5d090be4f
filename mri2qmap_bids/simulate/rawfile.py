"""A simulated scan as an ISMRMRD file, as a scanner's converter would write it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import ismrmrd
import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.recon.acquisition.geometry import Geometry
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence
from mri2qmap_bids.simulate.acquire import Acquired
from mri2qmap_bids.simulate.trajectory import TrajectoryKind

FrameCounter = Literal[
    "contrast", "repetition", "kspace_encode_step_2", "phase", "set", "segment", "order"
]
TrajectoryUnits = Literal["cycles/fov", "cycles/pixel", "rad/pixel"]
FIELD_STRENGTH = 3.0
"""Static field [T]."""
LARMOR_FREQUENCY = 127_740_000
"""Of hydrogen at that field [Hz]."""
DWELL_TIME = 2.5e-6
"""Time between samples [s], unless another is asked for."""
# ISMRMRD has no word for stacks: what their planes are.
_TYPES: dict[TrajectoryKind, str] = {
    "spiral": "spiral",
    "radial": "radial",
    "cartesian": "cartesian",
    "stack-of-spirals": "spiral",
    "stack-of-stars": "radial",
}


@dataclass(frozen=True)
class RawFileOptions:
    """Ways of writing one and the same scan."""

    trajectory_units: TrajectoryUnits = "cycles/fov"
    """Unit of the stored trajectory."""
    frame_counter: FrameCounter = "contrast"
    """ISMRMRD counter that holds the frame; order: none, only the order of acquisitions."""
    discard_pre: int = 0
    """Meaningless samples before each readout, flagged to be discarded."""
    discard_post: int = 0
    """The same after each readout."""
    slice_thickness: float | None = None
    """Thickness of a 2D slice [m]; None: the distance between slices."""
    dwell_time: float = DWELL_TIME
    """Time between samples [s]."""


def write_raw_file(
    path: Path,
    acquired: Acquired,
    sequence: PulseSequence,
    geometry: Geometry,
    options: RawFileOptions,
) -> None:
    """Write one scan in one go: header, noise scan, then every slice, arm and frame.

    Parameters
    ----------
    path
        The file to make; replaced if there.
    acquired
        The samples; several slices mean 2D.
    sequence
        The train, for the header.
    geometry
        The grid; slices lie ``geometry.voxel_size[0]`` apart.
    options
        Ways of writing.
    """
    path.unlink(missing_ok=True)
    with ismrmrd.File(str(path), "w") as file:
        dataset = file["dataset"]
        dataset.header = make_header(acquired, sequence, geometry, options)
        dataset.acquisitions = _acquisitions(acquired, geometry, options)


def make_header(
    acquired: Acquired, sequence: PulseSequence, geometry: Geometry, options: RawFileOptions
) -> Any:
    """The XML header: matrix and field of view [mm], coils, limits, timing [ms]."""
    xsd = ismrmrd.xsd
    n_slices, n_frames, n_arms, n_coils, _ = acquired.kspace.shape
    space = _encoding_space(acquired, geometry, options)
    encoding = xsd.encodingType(
        encodedSpace=space,
        reconSpace=space,
        trajectory=xsd.trajectoryType(_TYPES[acquired.trajectory.kind]),
        encodingLimits=_limits(n_slices, n_frames, n_arms, options),
    )
    milliseconds = 1e3
    return xsd.ismrmrdHeader(
        version=1,
        studyInformation=xsd.studyInformationType(studyDescription="Simulated MRF"),
        measurementInformation=xsd.measurementInformationType(
            patientPosition=xsd.patientPositionType("HFS"), protocolName=f"{sequence.kind}_MRF"
        ),
        acquisitionSystemInformation=xsd.acquisitionSystemInformationType(
            systemVendor="mri2qmap-simulate",
            systemFieldStrength_T=FIELD_STRENGTH,
            receiverChannels=n_coils,
        ),
        experimentalConditions=xsd.experimentalConditionsType(
            H1resonanceFrequency_Hz=LARMOR_FREQUENCY
        ),
        encoding=[encoding],
        sequenceParameters=xsd.sequenceParametersType(
            TR=_distinct(sequence.repetition_time * milliseconds),
            TE=_distinct(sequence.echo_time * milliseconds),
            TI=[] if sequence.inversion_time is None else [sequence.inversion_time * milliseconds],
            flipAngle_deg=[round(float(a), 6) for a in np.rad2deg(sequence.flip_angle)],
            sequence_type=sequence.kind,
        ),
    )


def _encoding_space(acquired: Acquired, geometry: Geometry, options: RawFileOptions) -> Any:
    """Matrix and field of view of the volume, or of one slice."""
    xsd = ismrmrd.xsd
    nz, ny, nx = geometry.matrix
    dz, dy, dx = (size * 1e3 for size in geometry.voxel_size)
    if acquired.trajectory.positions.shape[-1] == 2:
        thickness = options.slice_thickness
        nz, dz = 1, dz if thickness is None else thickness * 1e3
    return xsd.encodingSpaceType(
        matrixSize=xsd.matrixSizeType(x=nx, y=ny, z=nz),
        fieldOfView_mm=xsd.fieldOfViewMm(
            x=round(nx * dx, 6), y=round(ny * dy, 6), z=round(nz * dz, 6)
        ),
    )


def _limits(n_slices: int, n_frames: int, n_arms: int, options: RawFileOptions) -> Any:
    """Ranges of the counters that are used."""
    limits = ismrmrd.xsd.encodingLimitsType(
        kspace_encoding_step_1=_limit(n_arms, 0),
        slice=_limit(n_slices, n_slices // 2),
    )
    if options.frame_counter != "order":
        field = options.frame_counter.replace("encode", "encoding")
        setattr(limits, field, _limit(n_frames, 0))
    return limits


def _limit(count: int, centre: int) -> Any:
    """The range 0..count-1."""
    return ismrmrd.xsd.limitType(minimum=0, maximum=count - 1, center=centre)


def _acquisitions(
    acquired: Acquired, geometry: Geometry, options: RawFileOptions
) -> list[ismrmrd.Acquisition]:
    """Noise scan, then slice by slice, shot by shot, frame by frame."""
    n_slices, n_frames, n_arms = acquired.kspace.shape[:3]
    positions = _in_units(acquired.trajectory.positions, geometry, options.trajectory_units)
    pad = (options.discard_pre, options.discard_post)
    positions = np.pad(positions, ((0, 0), (0, 0), pad, (0, 0)), mode="edge")
    centre = int(np.linalg.norm(acquired.trajectory.positions[0, 0], axis=-1).argmin())
    # The samples to discard would ruin any image that they entered.
    garbage = complex(10.0 * np.abs(acquired.kspace).max())
    result = []
    for index, arm, frame in np.ndindex(n_slices, n_arms, n_frames):
        samples = acquired.kspace[index, frame, arm]
        padded = np.pad(samples, ((0, 0), pad), constant_values=garbage)
        acquisition = ismrmrd.Acquisition.from_array(padded, positions[frame, arm])
        _place(acquisition, geometry, index if n_slices > 1 else None, options.dwell_time)
        acquisition.center_sample = options.discard_pre + centre
        acquisition.discard_pre, acquisition.discard_post = pad
        acquisition.idx.slice = index
        acquisition.idx.kspace_encode_step_1 = arm
        if options.frame_counter != "order":
            setattr(acquisition.idx, options.frame_counter, frame)
        result.append(acquisition)
    result[-1].setFlag(ismrmrd.ACQ_LAST_IN_MEASUREMENT)
    if acquired.noise is not None:
        noise = ismrmrd.Acquisition.from_array(acquired.noise)
        noise.setFlag(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
        _place(noise, geometry, None, options.dwell_time)
        result.insert(0, noise)
    for number, acquisition in enumerate(result):
        acquisition.scan_counter = number
    return result


def _place(
    acquisition: ismrmrd.Acquisition, geometry: Geometry, index: int | None, dwell_time: float
) -> None:
    """Position [mm] and directions (LPS) of the volume, or of one of its slices."""
    position = geometry.position * 1e3
    if index is not None:
        step = geometry.voxel_size[0] * 1e3
        position = position + (index - geometry.matrix[0] // 2) * step * geometry.slice_dir
    acquisition.position[:] = position.tolist()
    acquisition.read_dir[:] = geometry.read_dir.tolist()
    acquisition.phase_dir[:] = geometry.phase_dir.tolist()
    acquisition.slice_dir[:] = geometry.slice_dir.tolist()
    acquisition.sample_time_us = dwell_time * 1e6
    acquisition.available_channels = acquisition.active_channels


def _in_units(
    positions: NDArray[np.float32], geometry: Geometry, units: TrajectoryUnits
) -> NDArray[np.float32]:
    """Cycles per field of view in another unit."""
    per_pixel = positions / np.array(geometry.matrix[::-1][: positions.shape[-1]])
    scaled = {
        "cycles/fov": positions,
        "cycles/pixel": per_pixel,
        "rad/pixel": 2.0 * np.pi * per_pixel,
    }[units]
    return np.asarray(scaled, dtype=np.float32)


def _distinct(values: NDArray[np.float64]) -> list[float]:
    """One value if all are the same, else all."""
    rounded = [round(float(value), 6) for value in values]
    return rounded[:1] if len(set(rounded)) == 1 else rounded

"""A simulated scan as an ISMRMRD file, as a scanner's converter would write it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import ismrmrd
import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.dataset.rawheader import EncodingSpace, RawHeader, xml_header
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
        dataset.header = xml_header(make_header(acquired, sequence, geometry, options))
        dataset.acquisitions = _acquisitions(acquired, geometry, options)


def make_header(
    acquired: Acquired, sequence: PulseSequence, geometry: Geometry, options: RawFileOptions
) -> RawHeader:
    """Content of the header: grid, coils, counters and timing."""
    xsd = ismrmrd.xsd
    n_slices, n_frames, n_arms, n_coils, _ = acquired.kspace.shape
    space = _encoding_space(acquired, geometry, options)
    counters = {"kspace_encoding_step_1": n_arms, "slice": n_slices}
    if options.frame_counter != "order":
        counters[options.frame_counter.replace("encode", "encoding")] = n_frames
    inversion = sequence.inversion_time
    return RawHeader(
        encoded=space,
        recon=space,
        trajectory=_TYPES[acquired.trajectory.kind],
        n_coils=n_coils,
        larmor_frequency=LARMOR_FREQUENCY,
        counters=counters,
        field_strength=FIELD_STRENGTH,
        vendor="mri2qmap-simulate",
        repetition_time=_distinct(sequence.repetition_time),
        echo_time=_distinct(sequence.echo_time),
        inversion_time=[] if inversion is None else [inversion],
        flip_angle_deg=np.rad2deg(sequence.flip_angle).tolist(),
        sequence_type=sequence.kind,
        further={
            "studyInformation": xsd.studyInformationType(studyDescription="Simulated MRF"),
            "measurementInformation": xsd.measurementInformationType(
                patientPosition=xsd.patientPositionType("HFS"), protocolName=f"{sequence.kind}_MRF"
            ),
        },
    )


def _encoding_space(
    acquired: Acquired, geometry: Geometry, options: RawFileOptions
) -> EncodingSpace:
    """Matrix and field of view of the volume, or of one slice."""
    nz, ny, nx = geometry.matrix
    dz, dy, dx = geometry.voxel_size
    if acquired.trajectory.positions.shape[-1] == 2:
        thickness = options.slice_thickness
        nz, dz = 1, dz if thickness is None else thickness
    return EncodingSpace((nz, ny, nx), (nz * dz, ny * dy, nx * dx))


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
    acquisition.position[:] = (geometry.centre_of(index) * 1e3).tolist()
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
    """One value if all are the same to a nanosecond, else all [s]."""
    rounded = [round(float(value), 9) for value in values]
    return rounded[:1] if len(set(rounded)) == 1 else rounded

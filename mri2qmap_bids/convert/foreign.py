"""ISMRMRD files of other converters: any counter for the frame, with or without a trajectory."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ismrmrd
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from mri2qmap_bids.convert.assembly import conversion_of
from mri2qmap_bids.convert.conversion import Conversion, ConversionOptions
from mri2qmap_bids.convert.played import as_played, with_pulseq
from mri2qmap_bids.convert.positions import Centres, place_readouts, requested_grid
from mri2qmap_bids.convert.pulseq import read_pulseq_scan
from mri2qmap_bids.convert.readouts import COUNTERS, Readouts, frames_of
from mri2qmap_bids.errors import RawDataError
from mri2qmap_bids.recon.acquisition.dimension import dimension_of
from mri2qmap_bids.recon.acquisition.flags import Role, has_flag
from mri2qmap_bids.recon.acquisition.header import ScanHeader
from mri2qmap_bids.recon.acquisition.noise import noise_scale
from mri2qmap_bids.recon.acquisition.readout import line_of, samples_of
from mri2qmap_bids.recon.acquisition.table import (
    AcquisitionTable,
    document_of,
    open_file,
    read_table,
)
from mri2qmap_bids.recon.acquisition.trajectory import flip_is_needed

_DIRECTIONS = ("position", "read_dir", "phase_dir", "slice_dir")
_AT_ONCE = 1024


def convert_ismrmrd(path: Path, options: ConversionOptions) -> Conversion:
    """A scan from an ISMRMRD file: imaging readouts, noise scans, geometry, coil names and timing.

    Calibration, navigator and dummy readouts are left out. Without trajectories the readouts are Cartesian lines,
    whose oversampling is removed. All else in the header, names, dates and identifiers among it, is left behind.

    Parameters
    ----------
    path
        The file (HDF5).
    options
        The counter of frames, and what the file lacks.

    Raises
    ------
    RawDataError
        If the file is unreadable, or its frames, lines, trajectory or slices do not fit.
    """
    table = read_table(path)
    encoding = _encoding(table)
    source, heads, is_image = table.headers[encoding], table.heads, table.roles == Role.IMAGE
    with open_file(path) as file:
        group = file[table.group]
        document = ismrmrd.xsd.CreateFromDocument(document_of(path, group))
        samples, stored = _imaging(
            path, group["data"], heads, np.flatnonzero(is_image), options.pulseq is not None
        )
        noise = _noise(file, table)
    labels = _coil_names(document)
    images, n_coils = heads[is_image], samples[0].shape[0]
    readouts = Readouts(samples, _counters(images), [_head(head) for head in images])
    centres = _centres(document.encoding[encoding], images, samples)
    played = None if options.pulseq is None else read_pulseq_scan(options.pulseq, options.n_frames)
    if played is not None:
        part = as_played(played, readouts, path)
        readouts, frame, stored = part.readouts, part.frame, part.positions
        noise += [(samples, 0.0) for samples in part.noise]  # with the bandwidth of the scan
        options = with_pulseq(options, played)
    else:
        frame = frames_of(path, readouts, options.frame_counter, options.n_frames)
        if stored is not None:
            stored = _fitting(path, images, samples, stored, source)
    header = _grid(source, options, stored is not None)
    placement = place_readouts(path, readouts, centres, frame, header, options, stored)
    dwell = float(images["sample_time_us"][0]) * 1e-6
    dwell_time = dwell * placement.oversampling
    is_cartesian = stored is None and options.trajectory is None
    against = is_cartesian and _counts_against_directions(document)
    reverse = against if options.reverse_k is None else options.reverse_k
    fitting = [
        part * noise_scale(own, dwell_time) for part, own in noise if part.shape[0] == n_coils
    ]
    conversion = conversion_of(
        path,
        placement,
        frame,
        fitting,
        reverse=reverse,
        dwell_time=dwell_time,
        is_cartesian=is_cartesian,
        coil_names=labels if len(labels) == n_coils else (),
        metadata=_metadata(document, source) | ({} if played is None else dict(played.metadata)),
    )
    return replace(conversion, train=_train(source))


def _grid(source: ScanHeader, options: ConversionOptions, has_trajectory: bool) -> ScanHeader:
    """Matrix and field of view: the user's or Pulseq's, else the file's; for lines those without oversampling."""
    size, span = requested_grid(source.recon_matrix, source.recon_fov, options)
    grid = replace(source, recon_matrix=size, recon_fov=span)
    if has_trajectory and options.pulseq is None:
        return grid
    # Along y and z more may be encoded than is shown; the user's numbers are for both.
    lines = source.encoded_matrix if options.matrix is None else size
    spans = source.encoded_fov if options.fov is None else span
    return replace(
        grid,
        encoded_matrix=(size[0], lines[1], lines[2]),
        encoded_fov=(span[0], spans[1], spans[2]),
    )


def _fitting(
    path: Path,
    heads: NDArray[Any],
    samples: list[NDArray[np.complex64]],
    stored: list[NDArray[np.float32]],
    source: ScanHeader,
) -> list[NDArray[np.float32]]:
    """Stored positions with as many components as the scan has axes; samples of reversed readouts in their order."""
    n_slices = len(np.unique(heads["idx"]["slice"]))
    n_dim = 3 if dimension_of(path, source, stored, n_slices, None).is_3d else 2
    positions = [part[:, :n_dim] for part in stored]
    reverse = np.flatnonzero(has_flag(heads, "IS_REVERSE"))
    if len(reverse):
        lengths = np.array([len(positions[number]) for number in reverse])
        kspace = np.concatenate([samples[number] for number in reverse], axis=1)
        where = np.concatenate([positions[number] for number in reverse])
        if flip_is_needed(kspace, where, np.cumsum(lengths), lengths, np.ones(len(reverse), bool)):
            for number in reverse:
                samples[number] = samples[number][:, ::-1]
    return positions


def _encoding(table: AcquisitionTable) -> int:
    """The one encoding of all image lines."""
    encodings = np.unique(table.heads["encoding_space_ref"][table.roles == Role.IMAGE]).tolist()
    if len(encodings) > 1 or encodings[0] >= len(table.headers):
        raise RawDataError(
            f"{table.path}: image lines must refer to one of the header's {len(table.headers)} encodings "
            f"(encoding_space_ref), got {', '.join(map(str, encodings))}"
        )
    return int(encodings[0])


def _coil_names(document: Any) -> tuple[str, ...]:
    system = document.acquisitionSystemInformation
    labels = sorted(system.coilLabel or (), key=lambda label: label.coilNumber) if system else ()
    return tuple(str(label.coilName) for label in labels)


def _counts_against_directions(document: Any) -> bool:
    """Whether lines are counted as by Siemens' product sequences (see the module for twix files)."""
    system, measurement = document.acquisitionSystemInformation, document.measurementInformation
    vendor = (system.systemVendor if system else None) or ""
    protocol = (measurement.protocolName if measurement else None) or ""
    return "siemens" in vendor.lower() and "pulseq" not in protocol.lower()


def _metadata(document: Any, header: ScanHeader) -> dict[str, Any]:
    """Keys for the sidecar: a list of these alone, so that nothing else comes along."""
    system, conditions = (
        document.acquisitionSystemInformation,
        document.experimentalConditions,
    )
    frequency = conditions.H1resonanceFrequency_Hz if conditions else None
    keys = {
        "Manufacturer": header.manufacturer,
        "ManufacturersModelName": system.systemModel if system else None,
        "MagneticFieldStrength": header.field_strength,
        "ImagingFrequency": frequency and frequency * 1e-6,
    }
    return {key: value for key, value in keys.items() if value}


def _train(header: ScanHeader) -> dict[str, Any]:
    """Flip angles and times of the header, in the units of BIDS."""
    keys = {
        "RepetitionTimeExcitation": _one_or_all(header.repetition_time),
        "EchoTime": _one_or_all(header.echo_time),
        "InversionTime": _one_or_all(header.inversion_time[:1]),
        "FlipAngle": _one_or_all(header.flip_angle),
    }
    return {key: value for key, value in keys.items() if value}


def _one_or_all(values: Sequence[float]) -> float | list[float] | None:
    rounded = [round(value, 9) for value in values]
    return rounded[0] if len(rounded) == 1 else rounded or None


def _imaging(
    path: Path, data: Any, heads: NDArray[Any], places: NDArray[np.int64], as_sampled: bool
) -> tuple[list[NDArray[np.complex64]], list[NDArray[np.float32]] | None]:
    """Samples of the imaging readouts, and their positions if every one has them.

    ``as_sampled``: reversed lines stay in the order of time.
    """
    if not len(places):
        raise RawDataError(f"{path}: must hold imaging acquisitions, got none")
    dims = set(heads["trajectory_dimensions"][places].tolist())
    if len(dims) > 1:
        raise RawDataError(
            f"{path}: all or no imaging acquisitions must carry a trajectory, got {sorted(dims)} components"
        )
    is_reverse = has_flag(heads, "IS_REVERSE")
    samples, stored = [], []
    with tqdm(total=len(places), unit="readouts", desc=path.name, disable=None) as bar:
        for start in range(0, len(places), _AT_ONCE):
            numbers = places[start : start + _AT_ONCE].tolist()
            for number, record in zip(numbers, data[numbers], strict=True):
                values, positions = line_of(path, number, record)
                turned = dims == {0} and not as_sampled and is_reverse[number]
                samples.append(values[:, ::-1] if turned else values)
                stored.append(positions)
                bar.update()
    return samples, stored if dims != {0} else None


def _noise(file: Any, table: AcquisitionTable) -> list[tuple[NDArray[np.complex64], float]]:
    """Samples and dwell time [s] of the noise scan, which may lie in another group than the image lines."""
    data, dwell = file[table.noise_group]["data"], table.noise_heads["sample_time_us"].tolist()
    return [
        (samples_of(table.path, number, data[number]), time * 1e-6)
        for number, time in zip(table.noise_numbers.tolist(), dwell, strict=True)
    ]


def _counters(heads: NDArray[Any]) -> dict[str, NDArray[np.int64]]:
    return {name: heads["idx"][name].astype(np.int64) for name in (*COUNTERS, "slice")}


def _head(head: Any) -> dict[str, Any]:
    return {name: np.asarray(head[name], np.float64) for name in _DIRECTIONS}


def _centres(
    encoding: Any, heads: NDArray[Any], samples: Sequence[NDArray[np.complex64]]
) -> Centres:
    """Centres of lines: of the samples from the readouts, else the middle; of lines from the limits."""
    lengths = np.array([part.shape[1] for part in samples])
    centre = heads["center_sample"].astype(np.int64) - heads["discard_pre"]
    limits = encoding.encodingLimits
    line, partition = (
        limit.center if limit is not None and limit.maximum > 0 else 0
        for limit in (
            limits and limits.kspace_encoding_step_1,
            limits and limits.kspace_encoding_step_2,
        )
    )
    return Centres(
        sample=np.where(heads["center_sample"] > 0, centre, lengths // 2),
        line=np.full(len(heads), line),
        partition=np.full(len(heads), partition),
    )

"""A converted scan as a run of a BIDS dataset."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import ismrmrd
import ismrmrd.hdf5
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from mri2qmap_bids.atomic import write_atomically, write_json
from mri2qmap_bids.convert.conversion import LONGEST_READOUT, Conversion
from mri2qmap_bids.dataset.rawdataset import initialise_raw_dataset, merge_participant, run_path
from mri2qmap_bids.dataset.rawheader import EncodingSpace, RawHeader, xml_header
from mri2qmap_bids.errors import SidecarError

_DESCRIPTION = {"Name": "MR fingerprinting", "License": "n/a", "Authors": ["n/a"]}
_COLUMNS = {"participant_id": {"Description": "Unique participant identifier"}}
_README = """# MR fingerprinting

Raw k-space of MR fingerprinting, converted by `mri2qmap-tools convert`.

`sub-*/[ses-*/]anat/*_MRF.h5` is the k-space of one run (ISMRMRD, group `dataset`), beside it a JSON sidecar
with the flip angles and times of the pulse sequence. BIDS has no name for these files yet: they are listed in
`.bidsignore`.
"""
_AT_ONCE = 512
_MM, _MICROSECONDS = 1e3, 1e6
# The header needs some frequency of hydrogen where the source has none: that of 3 T.
_LARMOR = 42.577478518e6
# Above those of every magnet [T], [MHz]; below values in mT or Hz.
_LARGEST_FIELD, _LARGEST_FREQUENCY = 100.0, 5000.0


def write_conversion(
    dataset: Path,
    entities: Mapping[str, str],
    conversion: Conversion,
    sidecar: Mapping[str, Any],
) -> Path:
    """Add a run to a dataset, making the dataset if needed.

    The raw file appears last, and whole: a raw file always has its sidecar.

    Parameters
    ----------
    dataset
        Root of the raw dataset.
    entities
        BIDS entities by key: sub, and perhaps ses, acq, run.
    conversion
        The scan.
    sidecar
        Content of its JSON file.

    Returns
    -------
    The raw file.

    Raises
    ------
    OutputError
        If the dataset cannot be written.
    DatasetError
        If its participants.tsv cannot be read.
    SidecarError
        If field strength or frequency in the sidecar breaks its rule.
    """
    path = run_path(dataset, entities)
    make_header(conversion, sidecar)  # it may refuse the sidecar: before anything is written

    def write(temporary: Path) -> None:
        write_raw_file(temporary, conversion, sidecar)
        initialise_raw_dataset(dataset, "mri2qmap-tools convert", _DESCRIPTION, _README)
        merge_participant(dataset, {"participant_id": f"sub-{entities['sub']}"}, _COLUMNS)
        write_json(run_path(dataset, entities, ".json"), sidecar)

    write_atomically(path, write)
    return path


def write_raw_file(path: Path, conversion: Conversion, sidecar: Mapping[str, Any]) -> None:
    """Write the ISMRMRD file: header, noise, then every readout of every slice; positions in cycles per field of view.

    Parameters
    ----------
    path
        The file to make; replaced if there.
    conversion
        The scan.
    sidecar
        Field strength and frequency for the header.

    Raises
    ------
    SidecarError
        If one of them breaks its rule.
    """
    records = _records(conversion)
    count = sum(len(lengths) for lengths in conversion.readout_lengths)
    count += len(_noise_parts(conversion))
    with h5py.File(path, "w") as file:
        group = file.create_group("dataset")
        xml = group.create_dataset("xml", (1,), dtype=h5py.special_dtype(vlen=bytes))
        xml[0] = ismrmrd.xsd.ToXML(xml_header(make_header(conversion, sidecar))).encode()
        data = group.create_dataset(
            "data", (count,), maxshape=(None,), dtype=ismrmrd.hdf5.acquisition_dtype, chunks=(1,)
        )
        with tqdm(total=count, unit="readouts", desc="writing", disable=None) as bar:
            for start in range(0, count, _AT_ONCE):
                block = np.empty(min(_AT_ONCE, count - start), ismrmrd.hdf5.acquisition_dtype)
                for place in range(len(block)):
                    block[place] = next(records)
                data[start : start + len(block)] = block
                bar.update(len(block))


def make_header(conversion: Conversion, sidecar: Mapping[str, Any]) -> RawHeader:
    """Content of the header: grid, coils, field, counters, and the times of the source.

    Raises
    ------
    SidecarError
        If field strength or frequency in the sidecar breaks its rule.
    """
    scan, train = conversion.scan, conversion.train
    size, fov = scan.geometry.matrix, scan.encoded_fov
    voxels = (size[0] if scan.is_3d else 1, size[1], size[2])
    extents = np.array(scan.geometry.voxel_size) * voxels
    if not scan.is_3d:
        extents[0] = fov[0]
    step = extents / voxels
    encoded = tuple(max(1, round(span / length)) for span, length in zip(fov, step, strict=True))
    field = _number(sidecar, "MagneticFieldStrength", "T", _LARGEST_FIELD)
    frequency = _number(sidecar, "ImagingFrequency", "MHz", _LARGEST_FREQUENCY)
    hertz = frequency * 1e6 if frequency else _LARMOR * (field or 3.0)
    return RawHeader(
        encoded=EncodingSpace(encoded, fov),
        recon=EncodingSpace(voxels, tuple(extents.tolist())),
        trajectory="cartesian" if conversion.is_cartesian else "other",
        n_coils=len(scan.slices[0].kspace),
        larmor_frequency=round(hertz),
        counters={
            "kspace_encoding_step_1": max(int(np.bincount(f).max()) for f in _frames(conversion)),
            "slice": len(scan.slices),
            "contrast": scan.n_frames,
        },
        field_strength=field,
        vendor=sidecar.get("Manufacturer"),
        model=sidecar.get("ManufacturersModelName"),
        coil_names=conversion.coil_names,
        repetition_time=_listed(train, "RepetitionTimeExcitation"),
        echo_time=_listed(train, "EchoTime"),
        inversion_time=_listed(train, "InversionTime"),
        flip_angle_deg=_listed(train, "FlipAngle"),
    )


def _number(sidecar: Mapping[str, Any], key: str, unit: str, most: float) -> float | None:
    """A number of the sidecar, which the user writes; None: unknown."""
    value = sidecar.get(key)
    if value is None:
        return None
    real = isinstance(value, int | float) and not isinstance(value, bool)
    if not real or not 0 <= value <= most:  # NaN is not, either
        raise SidecarError(
            f"sidecar of the run (--sidecar): {key} must be a number from 0 to {most:g} [{unit}], "
            f"got {value!r}"
        )
    return float(value)


def _listed(train: Mapping[str, Any], key: str) -> list[float]:
    value = train.get(key, [])
    return value if isinstance(value, list) else [value]


def _frames(conversion: Conversion) -> list[NDArray[np.int64]]:
    """Frame of each readout of each slice."""
    return [
        part.frame.numpy()[np.cumsum(lengths) - 1]
        for part, lengths in zip(conversion.scan.slices, conversion.readout_lengths, strict=True)
    ]


def _noise_parts(conversion: Conversion) -> list[NDArray[np.complex64]]:
    """Noise in pieces that fit into an acquisition, shape (coil, sample) each."""
    noise = conversion.scan.noise
    if noise is None:
        return []
    samples = noise.numpy()
    return np.array_split(samples, -(-samples.shape[1] // LONGEST_READOUT), axis=1)


def _records(
    conversion: Conversion,
) -> Iterator[tuple[Any, NDArray[np.float32], NDArray[np.float32]]]:
    """Header, positions and samples of every acquisition: noise first, then slice by slice."""
    scan, number = conversion.scan, 0
    for samples in _noise_parts(conversion):
        head = _head(conversion, samples, 0, number, len(scan.slices) // 2)
        head["flags"] = 1 << (ismrmrd.ACQ_IS_NOISE_MEASUREMENT - 1)
        yield head, np.empty(0, np.float32), _floats(samples)
        number += 1
    n_dim = scan.slices[0].trajectory.shape[1]
    per_fov = np.array(scan.encoded_fov[::-1][:n_dim])
    frames = _frames(conversion)
    for index, (part, lengths) in enumerate(
        zip(scan.slices, conversion.readout_lengths, strict=True)
    ):
        arms = np.zeros(scan.n_frames, np.int64)
        ends = np.cumsum(lengths)
        for end, length, frame in zip(ends, lengths, frames[index], strict=True):
            span = slice(int(end - length), int(end))
            samples = part.kspace[:, span].numpy()
            positions = (part.trajectory[span].numpy() * per_fov).astype(np.float32)
            head = _head(conversion, samples, n_dim, number, index)
            head["center_sample"] = int(np.linalg.norm(positions, axis=1).argmin())
            head["idx"]["contrast"], head["idx"]["slice"] = frame, index
            head["idx"]["kspace_encode_step_1"] = arms[frame]
            arms[frame] += 1
            number += 1
            yield head, positions.ravel(), _floats(samples)


def _head(
    conversion: Conversion, samples: NDArray[np.complex64], n_dim: int, number: int, index: int
) -> Any:
    """The header of one acquisition; time stamps and user values stay empty."""
    head = np.zeros((), ismrmrd.hdf5.acquisition_header_dtype)
    geometry = conversion.scan.geometry
    head["version"] = 1
    head["scan_counter"] = number
    head["available_channels"] = head["active_channels"] = samples.shape[0]
    head["number_of_samples"] = samples.shape[1]
    head["trajectory_dimensions"] = n_dim
    head["sample_time_us"] = conversion.dwell_time * _MICROSECONDS
    slice_number = None if conversion.scan.is_3d else index
    head["position"] = geometry.centre_of(slice_number) * _MM
    for name in ("read_dir", "phase_dir", "slice_dir"):
        head[name] = getattr(geometry, name)
    return head


def _floats(samples: NDArray[np.complex64]) -> NDArray[np.float32]:
    return np.ascontiguousarray(samples, dtype=np.complex64).view(np.float32).ravel()

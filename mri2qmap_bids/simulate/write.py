"""Simulated scans as a BIDS dataset: raw runs, dataset files and the known maps."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.atomic import write_atomically, write_json
from mri2qmap_bids.dataset.derivatives import MapDocument, write_maps
from mri2qmap_bids.dataset.description import initialise_dataset
from mri2qmap_bids.dataset.rawdataset import initialise_raw_dataset, merge_participant, run_path
from mri2qmap_bids.errors import OutputError
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence
from mri2qmap_bids.simulate.fields import static_field, transmit_field
from mri2qmap_bids.simulate.grid import grid_centre, voxel_centres
from mri2qmap_bids.simulate.rawfile import RawFileOptions, write_raw_file
from mri2qmap_bids.simulate.scan import Scan, known_maps, tissue_labels
from mri2qmap_bids.simulate.sidecar import make_sidecar
from mri2qmap_bids.simulate.tissue import MIXED

TRUTH = Path("derivatives") / "mri2qmap-simulate"
"""Where the known maps lie in the dataset."""
_B1, _B0 = "TB1map", "fieldmap"
_FIELD_VOXEL = 6e-3
_FIELD_SIDECAR = {
    "Description": "Transmit field of the simulation, per cent of the nominal flip angle",
    "Units": "percent",
}
_STATIC_SIDECAR = {"Description": "Off-resonance of the simulation", "Units": "Hz"}


def write_run(
    dataset: Path,
    entities: Mapping[str, str],
    scan: Scan,
    sequence: PulseSequence,
    options: RawFileOptions,
    participant: Mapping[str, str],
) -> Path:
    """Add one run to a dataset, making the dataset if needed.

    The known maps and the sidecar come first and the raw file last, so that a
    raw file always has both.

    Parameters
    ----------
    dataset
        Root of the raw dataset.
    entities
        BIDS entities by key: sub, and perhaps ses, acq, rec, run.
    scan
        The scan.
    sequence
        Its train.
    options
        How the raw file is written.
    participant
        Columns of the subject's row in participants.tsv.

    Returns
    -------
    The raw file.

    Raises
    ------
    OutputError
        If the dataset cannot be written.
    DatasetError
        If its dataset-level files cannot be read.
    """
    initialise_raw_dataset(dataset, "mri2qmap-tools simulate", _DESCRIPTION, _README)
    write_truth(dataset, entities, scan)
    for value, suffix, write_field in (
        (scan.b1, _B1, write_field_map),
        (scan.off_resonance, _B0, write_static_field),
    ):
        if value:
            write_field(dataset, entities, scan)
        else:  # One of the scan that this one replaces would be taken for its own.
            _remove_map(dataset, entities, suffix)
    path = run_path(dataset, entities)
    trajectory = scan.acquired.trajectory
    sidecar = make_sidecar(sequence, trajectory, scan.acquired.kspace.shape[3], options)
    write_json(run_path(dataset, entities, ".json"), sidecar)
    write = partial(
        write_raw_file,
        acquired=scan.acquired,
        sequence=sequence,
        geometry=scan.geometry,
        options=options,
    )
    write_atomically(path, write)
    row = {"participant_id": f"sub-{entities['sub']}", **participant}
    merge_participant(dataset, row, _COLUMNS)
    return path


def write_truth(dataset: Path, entities: Mapping[str, str], scan: Scan) -> list[Path]:
    """Write the known maps as a derivative of the dataset.

    Returns
    -------
    The images written.

    Raises
    ------
    OutputError
        If they cannot be written.
    """
    root = dataset / TRUTH
    initialise_dataset(
        root, "Known maps of simulated MR fingerprinting", "mri2qmap-simulate", dataset
    )
    raw = run_path(Path(), entities)
    document = MapDocument(
        entities=dict(entities),
        maps=known_maps(scan),
        sources=(f"bids:raw:{raw}",),
        metadata={"EstimationAlgorithm": "None: the digital brain that was scanned"},
        labels=tissue_labels(scan.brain),
        tissue_metadata={"EstimationAlgorithm": "None: the digital brain that was scanned"},
        brain=(scan.brain.labels > 0) & (scan.brain.labels <= MIXED),
        brain_method="None: the digital brain that was scanned",
    )
    return write_maps(document, root)


def write_field_map(dataset: Path, entities: Mapping[str, str], scan: Scan) -> Path:
    """Write the transmit field as a measured map would be: coarse, axial, in per cent.

    Returns
    -------
    The image.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    return _write_map(
        dataset,
        entities,
        scan,
        _B1,
        lambda points, centre: 100 * transmit_field(points, centre, scan.b1),
        _FIELD_SIDECAR,
    )


def write_static_field(dataset: Path, entities: Mapping[str, str], scan: Scan) -> Path:
    """Write the off-resonance as a measured map would be: coarse, axial, in Hz.

    Returns
    -------
    The image.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    sidecar = {**_STATIC_SIDECAR, "IntendedFor": [f"bids::{run_path(Path(), entities).as_posix()}"]}
    return _write_map(
        dataset,
        entities,
        scan,
        _B0,
        lambda points, centre: static_field(points, centre, scan.off_resonance),
        sidecar,
    )


def _write_map(
    dataset: Path,
    entities: Mapping[str, str],
    scan: Scan,
    suffix: str,
    field_at: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]],
    sidecar: Mapping[str, Any],
) -> Path:
    """A field around a scan's voxels, given its values at points and the middle of the head [m]."""
    corners = voxel_centres(scan.geometry)
    low, high = corners.min(0) - _FIELD_VOXEL, corners.max(0) + _FIELD_VOXEL
    shape = tuple(int(n) for n in np.ceil((high - low) / _FIELD_VOXEL) + 1)
    matrix = np.diag([_FIELD_VOXEL] * 3 + [1.0])
    matrix[:3, 3] = low
    points = np.moveaxis(np.indices(shape), 0, -1).reshape(-1, 3) * _FIELD_VOXEL + low
    field = field_at(points, grid_centre(scan.geometry))
    affine_mm = np.diag([1e3, 1e3, 1e3, 1.0]) @ matrix
    image = nib.Nifti1Image(field.reshape(shape).astype(np.float32), affine_mm)
    image.header.set_xyzt_units("mm", "sec")
    path = _map_path(dataset, entities, suffix, ".nii.gz")
    write_json(_map_path(dataset, entities, suffix, ".json"), dict(sidecar))
    write_atomically(path, partial(nib.save, image))
    return path


def _remove_map(dataset: Path, entities: Mapping[str, str], suffix: str) -> None:
    """Remove the field map of an earlier scan of this name."""
    for extension in (".nii.gz", ".json"):
        path = _map_path(dataset, entities, suffix, extension)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"{path}: must be removable, got: {error.strerror}") from error


def _map_path(dataset: Path, entities: Mapping[str, str], suffix: str, extension: str) -> Path:
    """Where a field map of a run lies."""
    anat = run_path(dataset, entities)
    return anat.parents[1] / "fmap" / anat.name.replace("_MRF.h5", f"_{suffix}{extension}")


_DESCRIPTION = {
    "Name": "Simulated MR fingerprinting",
    "License": "CC0",
    "Authors": ["The developers of mri2qmap_bids", "The authors of the digital brain"],
}

_COLUMNS: dict[str, dict[str, Any]] = {
    "participant_id": {"Description": "Simulated subject"},
    "species": {"Description": "Species that the digital brain stands for"},
    "phantom": {
        "Description": "Origin of the anatomy",
        "Levels": {
            "mni152": "Average brain MNI152",
            "brainweb": "BrainWeb anatomical labels",
            "maps": "Measured quantitative maps",
        },
    },
    "seed": {"Description": "Seed of the subject's random anatomy and tissues"},
}

_README = """# Simulated MR fingerprinting

Raw k-space of MR fingerprinting, simulated from digital brains by `mri2qmap-tools simulate`.

- `sub-*/[ses-*/]anat/*_MRF.h5`: k-space of one run (ISMRMRD, group `dataset`), with a JSON
  sidecar that holds the flip angles and times of the sequence. BIDS has no name for these
  files yet: they are listed in `.bidsignore`.
- `derivatives/mri2qmap-simulate/`: the known T1, T2 and M0 maps and tissue labels of each run.

No person was scanned.
"""

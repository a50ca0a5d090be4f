"""Simulated scans as a BIDS dataset: raw runs, dataset files and the known maps."""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from mri2qmap_bids import __version__
from mri2qmap_bids.atomic import write_atomically, write_json, write_text
from mri2qmap_bids.dataset.derivatives import (
    BIDS_VERSION,
    MapDocument,
    initialise_dataset,
    relative_path,
    write_maps,
)
from mri2qmap_bids.errors import DatasetError, OutputError
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence
from mri2qmap_bids.simulate.fields import transmit_field
from mri2qmap_bids.simulate.grid import grid_centre, voxel_centres
from mri2qmap_bids.simulate.rawfile import RawFileOptions, write_raw_file
from mri2qmap_bids.simulate.scan import Scan, known_maps, tissue_labels
from mri2qmap_bids.simulate.sidecar import make_sidecar

TRUTH = Path("derivatives") / "mri2qmap-simulate"
"""Where the known maps lie in the dataset."""
_FIELD_VOXEL = 6e-3
_FIELD_SIDECAR = {
    "Description": "Transmit field of the simulation, per cent of the nominal flip angle",
    "Units": "percent",
}
_IGNORED = ("*_MRF.*", "MRF.json")


def run_path(dataset: Path, entities: Mapping[str, str], extension: str = ".h5") -> Path:
    """Where a run lies, e.g. ``sub-01/anat/sub-01_acq-x_MRF.h5`` below the dataset."""
    return dataset / relative_path(entities, "MRF", extension)


def check_free(dataset: Path, entities: Mapping[str, str], overwrite: bool) -> None:
    """Refuse to replace a run.

    Raises
    ------
    OutputError
        If the run is there and may not be overwritten.
    """
    path = run_path(dataset, entities)
    if path.exists() and not overwrite:
        raise OutputError(f"{path} must not exist yet; give another --run or add --overwrite")


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
    initialise_raw_dataset(dataset)
    write_truth(dataset, entities, scan)
    if scan.b1:
        write_field_map(dataset, entities, scan)
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
    merge_participant(dataset, {"participant_id": f"sub-{entities['sub']}", **participant})
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
    corners = voxel_centres(scan.geometry)
    low, high = corners.min(0) - _FIELD_VOXEL, corners.max(0) + _FIELD_VOXEL
    shape = tuple(int(n) for n in np.ceil((high - low) / _FIELD_VOXEL) + 1)
    matrix = np.diag([_FIELD_VOXEL] * 3 + [1.0])
    matrix[:3, 3] = low
    points = np.moveaxis(np.indices(shape), 0, -1).reshape(-1, 3) * _FIELD_VOXEL + low
    field = transmit_field(points, grid_centre(scan.geometry), scan.b1)
    affine_mm = np.diag([1e3, 1e3, 1e3, 1.0]) @ matrix
    image = nib.Nifti1Image((100 * field).reshape(shape).astype(np.float32), affine_mm)
    image.header.set_xyzt_units("mm", "sec")
    anat = run_path(dataset, entities)
    path = anat.parents[1] / "fmap" / anat.name.replace("_MRF.h5", "_TB1map.nii.gz")
    write_json(path.with_name(path.name.replace(".nii.gz", ".json")), _FIELD_SIDECAR)
    write_atomically(path, partial(nib.save, image))
    return path


def initialise_raw_dataset(dataset: Path) -> None:
    """Write the files that make a directory a raw BIDS dataset, keeping those there.

    Raises
    ------
    OutputError
        If the directory cannot be written.
    """
    description = {
        "Name": "Simulated MR fingerprinting",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "raw",
        "License": "CC0",
        "Authors": ["The developers of mri2qmap_bids", "The authors of the digital brain"],
        "GeneratedBy": [{"Name": "mri2qmap-tools simulate", "Version": __version__}],
    }
    if not (dataset / "dataset_description.json").exists():
        write_json(dataset / "dataset_description.json", description)
    if not any(dataset.glob("README*")):
        write_text(dataset / "README.md", _README)
    ignore_file = dataset / ".bidsignore"
    lines = ignore_file.read_text().splitlines() if ignore_file.exists() else []
    new_lines = [line for line in _IGNORED if line not in lines]
    if new_lines:
        write_text(ignore_file, "\n".join([*lines, *new_lines]) + "\n")


def merge_participant(dataset: Path, row: Mapping[str, str]) -> None:
    """Set one subject's row of participants.tsv, keeping all others and their columns.

    Parameters
    ----------
    dataset
        Root of the raw dataset.
    row
        Value by column; must hold ``participant_id``.

    Raises
    ------
    DatasetError
        If participants.tsv is there but has no column ``participant_id``.
    OutputError
        If it cannot be written.
    """
    path = dataset / "participants.tsv"
    rows = _read_table(path)
    others = {other["participant_id"]: other for other in rows}
    name = row["participant_id"]
    others[name] = {**others.get(name, {}), **row}
    columns = list(dict.fromkeys([*(rows[0] if rows else ()), *row]))
    lines = [columns] + [
        [other.get(column, "n/a") for column in columns] for _, other in sorted(others.items())
    ]
    write_text(path, "\n".join("\t".join(line) for line in lines) + "\n")
    columns_file = dataset / "participants.json"
    descriptions: dict[str, Any] = (
        json.loads(columns_file.read_text()) if columns_file.exists() else {}
    )
    if not set(_COLUMNS) <= set(descriptions):
        write_json(columns_file, {**_COLUMNS, **descriptions})


def _read_table(path: Path) -> list[dict[str, str]]:
    """Rows of a tab-separated table; none if there is no file."""
    if not path.exists():
        return []
    header, *body = [line.split("\t") for line in path.read_text().splitlines() if line]
    if "participant_id" not in header:
        raise DatasetError(f"{path}: must have a column participant_id, got {header}")
    return [dict(zip(header, line, strict=False)) for line in body]


_COLUMNS = {
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

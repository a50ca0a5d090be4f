"""A raw BIDS dataset and its runs: paths, dataset files and participants."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mri2qmap_bids import __version__
from mri2qmap_bids.atomic import write_json, write_text
from mri2qmap_bids.dataset.derivatives import BIDS_VERSION, relative_path
from mri2qmap_bids.errors import DatasetError, OutputError

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


def initialise_raw_dataset(
    dataset: Path, generated_by: str, description: Mapping[str, Any], readme: str
) -> None:
    """Write the files that make a directory a raw BIDS dataset, keeping those there.

    Parameters
    ----------
    dataset
        Root of the dataset.
    generated_by
        The command that makes it.
    description
        Name, License and Authors for ``dataset_description.json``.
    readme
        Text of the README.

    Raises
    ------
    OutputError
        If the directory cannot be written.
    """
    common = {
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "raw",
        "GeneratedBy": [{"Name": generated_by, "Version": __version__}],
    }
    if not (dataset / "dataset_description.json").exists():
        write_json(dataset / "dataset_description.json", {**description, **common})
    if not any(dataset.glob("README*")):
        write_text(dataset / "README.md", readme)
    ignored = dataset / ".bidsignore"
    lines = ignored.read_text().splitlines() if ignored.exists() else []
    missing = [line for line in _IGNORED if line not in lines]
    if missing:
        write_text(ignored, "\n".join([*lines, *missing]) + "\n")


def merge_participant(
    dataset: Path, row: Mapping[str, str], columns: Mapping[str, Mapping[str, Any]]
) -> None:
    """Set one subject's row of participants.tsv, keeping all others and their columns.

    Parameters
    ----------
    dataset
        Root of the raw dataset.
    row
        Value by column; must hold ``participant_id``.
    columns
        Descriptions of the columns for participants.json, which keeps those that it has.

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
    names = list(dict.fromkeys([*(rows[0] if rows else ()), *row]))
    lines = [names] + [
        [other.get(column, "n/a") for column in names] for _, other in sorted(others.items())
    ]
    write_text(path, "\n".join("\t".join(line) for line in lines) + "\n")
    described = dataset / "participants.json"
    content: dict[str, Any] = json.loads(described.read_text()) if described.exists() else {}
    if not set(columns) <= set(content):
        write_json(described, {**columns, **content})


def _read_table(path: Path) -> list[dict[str, str]]:
    """Rows of a tab-separated table; none if there is no file."""
    if not path.exists():
        return []
    header, *body = [line.split("\t") for line in path.read_text().splitlines() if line]
    if "participant_id" not in header:
        raise DatasetError(f"{path}: must have a column participant_id, got {header}")
    return [dict(zip(header, line, strict=False)) for line in body]

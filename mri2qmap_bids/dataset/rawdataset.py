"""A raw BIDS dataset and its runs: paths, dataset files and participants."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mri2qmap_bids import __version__
from mri2qmap_bids.atomic import write_json, write_text
from mri2qmap_bids.dataset.derivatives import relative_path
from mri2qmap_bids.dataset.description import BIDS_VERSION, extend_bidsignore, read_dataset_text
from mri2qmap_bids.errors import DatasetError, OutputError
from mri2qmap_bids.lock import locked

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
    DatasetError
        If .bidsignore is no text.
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
    extend_bidsignore(dataset, _IGNORED)


def merge_participant(
    dataset: Path, row: Mapping[str, str], columns: Mapping[str, Mapping[str, Any]]
) -> None:
    """Set one subject's row of participants.tsv, keeping all others and their columns.

    Processes that do so at the same time wait for one another.

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
        If participants.tsv is there but is no table with one row per ``participant_id``, or
        participants.json is no JSON object.
    OutputError
        If it cannot be written.
    """
    path = dataset / "participants.tsv"
    described = dataset / "participants.json"
    with locked(path):
        header, rows = _read_table(path)
        descriptions = _read_object(described)
        others = {other["participant_id"]: other for other in rows}
        name = row["participant_id"]
        others[name] = {**others.get(name, {}), **row}
        names = list(dict.fromkeys([*header, *row]))
        lines = [names] + [
            [other.get(column, "n/a") for column in names] for _, other in sorted(others.items())
        ]
        write_text(path, "\n".join("\t".join(line) for line in lines) + "\n")
        if not set(columns) <= set(descriptions):
            write_json(described, {**columns, **descriptions})


def _read_table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and rows of a tab-separated table; none if there is no file."""
    if not path.exists():
        return [], []
    lines = [line.split("\t") for line in read_dataset_text(path).splitlines() if line.strip()]
    header, *body = lines or [[]]
    if "participant_id" not in header:
        raise DatasetError(f"{path}: must have a column participant_id, got {header}")
    for number, line in enumerate(body, 1):
        if len(line) != len(header):
            raise DatasetError(
                f"{path}: row {number} must have the {len(header)} values of the header, got {len(line)}"
            )
    names = [line[header.index("participant_id")] for line in body]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DatasetError(
            f"{path}: participant_id must be unique, got {', '.join(repeated)} again"
        )
    return header, [dict(zip(header, line, strict=True)) for line in body]


def _read_object(path: Path) -> dict[str, Any]:
    """Content of a JSON file; empty if there is no file."""
    if not path.exists():
        return {}
    try:
        content = json.loads(read_dataset_text(path))
    except json.JSONDecodeError as error:
        raise DatasetError(f"{path}: must be a JSON file, got: {error}") from error
    if not isinstance(content, dict):
        raise DatasetError(f"{path}: must be a JSON object, got a {type(content).__name__}")
    return content

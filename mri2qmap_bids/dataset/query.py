"""Which MRF runs a dataset holds."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mri2qmap_bids.dataset.anatomical import AnatomicalImage, choose
from mri2qmap_bids.dataset.entities import entities_in, ordered, run_name
from mri2qmap_bids.dataset.fieldmap import FieldMap, intended_for, nearest
from mri2qmap_bids.dataset.filters import (
    Filters,
    among,
    check_participants,
    shortened,
    warn_of_unused,
)
from mri2qmap_bids.dataset.index import (
    EXTENSIONS,
    SUFFIX,
    Index,
    files_with,
    folders_named_as_files,
    indexed,
)
from mri2qmap_bids.dataset.integrity import Sidecars, guard, missing, read_object
from mri2qmap_bids.errors import (
    DatasetError,
    InputError,
    Mri2QmapError,
    NothingSelectedError,
    SidecarError,
)

# Sources of mri2qmap-tools convert, by the extensions of their files.
_CONVERSIONS = {".dat": "siemens", ".mat": "arrays", ".npz": "arrays", ".cfl": "bart"}
_B1, _B0, _T1W = "TB1map", "fieldmap", "T1w"
_LABEL = re.compile(r"[0-9A-Za-z+]+")


@dataclass(frozen=True)
class MRFRun:
    """One raw MRF acquisition."""

    path: Path
    """The ISMRMRD file."""
    entities: Mapping[str, str]
    """BIDS entities by short key (sub, ses, acq, ...), all that the name has, in the order of BIDS."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """The sidecar with inheritance applied."""
    uri: str = ""
    """BIDS URI of the file."""
    b1: FieldMap | None = None
    """The B1 map for it; None: there is none, or it is to be ignored."""
    b0: FieldMap | None = None
    """The B0 map for it; None: there is none, or it is to be ignored."""
    t1w: AnatomicalImage | None = None
    """The T1w image to register it to; None: there is none, or it is to be ignored."""
    problem: str | None = None
    """Why it cannot be reconstructed, if its files show it."""

    @property
    def name(self) -> str:
        """The entities as in the file name, e.g. ``sub-01_ses-a_run-1``."""
        return run_name(self.entities)


@dataclass(frozen=True)
class Selection:
    """The runs to do, and those that cannot be done."""

    runs: tuple[MRFRun, ...]
    problems: tuple[tuple[str, str], ...] = ()
    """(run or participant, reason) pairs."""


def find_runs(
    bids_dir: Path, filters: Filters | None = None, index: Index | None = None
) -> Selection:
    """Index the asked-for participants and list their MRF runs.

    Files below ``sourcedata/`` count for a participant that has none in its own folder. What is wrong
    with the files of one run or participant is a problem of that one alone.

    Parameters
    ----------
    bids_dir
        Root of the raw dataset.
    filters
        What to select; None is all.
    index
        Where to keep what pybids finds.

    Raises
    ------
    InputError
        If the directory does not exist.
    DatasetError
        If it holds no MRF run at all, or its ``dataset_description.json`` is broken.
    NothingSelectedError
        If a participant is not there, or the filters leave no run.
    """
    if not bids_dir.is_dir():
        raise InputError(
            f"{bids_dir}: must be a directory with a BIDS dataset, got no such directory"
        )
    _check_description(bids_dir)
    filters, index = filters or Filters(), index or Index()
    participants = filters.participants
    labels = _participants(bids_dir)
    if labels:
        check_participants(bids_dir, labels, participants)
    runs: list[MRFRun] = []
    problems: list[tuple[str, str]] = []
    sidecars = {root: Sidecars(root) for root in (bids_dir, bids_dir / "sourcedata")}
    for label in sorted(participants) or labels:
        try:
            with guard(bids_dir / f"sub-{label}"):
                runs += _runs_of(bids_dir, label, filters, index, sidecars)
        except Mri2QmapError as error:
            problems.append((f"sub-{label}", str(error)))
    runs = _distinct(runs)
    if not runs and not problems and filters.entities:
        raise NothingSelectedError(
            f"{bids_dir}: --bids-filter-file must select some run, got none for "
            f"{json.dumps(dict(filters.entities))}"
        )
    if not runs and not problems:
        raise DatasetError(
            f"{bids_dir}: must hold raw MRF files sub-*/[ses-*/]anat/*_{SUFFIX}.h5 (or .mrd), got none"
            + (f" for participant(s) {', '.join(participants)}" if participants else "")
            + _conversion_advice(bids_dir)
        )
    selected = runs
    for option, key, values in filters.options[1:]:
        before = selected
        selected = [run for run in selected if not values or among(run.entities.get(key), values)]
        if before and not selected and not problems:
            present = sorted({run.entities.get(key, "none") for run in before})
            raise NothingSelectedError(
                f"{bids_dir}: {option} must be among {shortened(present)}, got {', '.join(values)}"
            )
    failed = [{"sub": name.removeprefix("sub-")} for name, _ in problems]
    warn_of_unused(filters, [*failed, *(run.entities for run in selected)])
    problems += [(run.name, run.problem) for run in selected if run.problem]
    return Selection(tuple(run for run in selected if not run.problem), tuple(problems))


def _check_description(bids_dir: Path) -> None:
    """A dataset may lack its description, but a broken one is a fault of the whole."""
    description = bids_dir / "dataset_description.json"
    if description.exists():
        try:
            read_object(description)
        except SidecarError as error:
            raise DatasetError(str(error)) from error


def _conversion_advice(bids_dir: Path) -> str:
    """How to convert raw data of another kind, if there are any."""
    for path in sorted(bids_dir.glob(f"sub-*/**/*_{SUFFIX}.*")):
        if path.suffix in _CONVERSIONS:
            return f"; convert {path.name} by: mri2qmap-tools convert {_CONVERSIONS[path.suffix]}"
    return ""


def _participants(bids_dir: Path) -> list[str]:
    """Labels of all ``sub-*`` folders, those below ``sourcedata`` included."""
    folders = [*bids_dir.glob("sub-*"), *(bids_dir / "sourcedata").glob("sub-*")]
    return sorted({folder.name.removeprefix("sub-") for folder in folders if folder.is_dir()})


def _runs_of(
    bids_dir: Path,
    label: str,
    filters: Filters,
    index: Index,
    sidecars: Mapping[Path, Sidecars],
) -> list[MRFRun]:
    runs: list[MRFRun] = []
    maps: list[FieldMap] = []
    b0_maps: list[FieldMap] = []
    images: list[AnatomicalImage] = []
    entities = {"suffix": SUFFIX, "extension": list(EXTENSIONS), **filters.entities}
    for root, reader in sidecars.items():
        if runs or not (root / f"sub-{label}").is_dir():
            continue
        name = f"sub-{label}" if root == bids_dir else f"{root.name}-{label}"
        layout = indexed(root, label, index.folder and index.folder / name, index.renewed)
        folders = folders_named_as_files(root, label)
        files = [*files_with(layout, label, entities), *([] if filters.entities else folders)]
        runs = [_run(path, label, bids_dir, reader) for path in files]
        if not filters.b1_ignored:
            maps += _field_maps(layout, label, "raw", bids_dir, _B1, filters.b1_entities)
        if not filters.b0_ignored:
            b0_maps += _field_maps(layout, label, "raw", bids_dir, _B0, filters.b0_entities)
        if not filters.t1w_ignored:
            images += _t1w_images(layout, label, bids_dir, filters.t1w_entities)
    if not filters.b1_ignored and runs and not maps:
        for name, root in filters.derivatives:
            layout = indexed(root, label, None, False)
            maps += _field_maps(layout, label, name, root, _B1, filters.b1_entities)
    runs = [_with_fields(run, maps, b0_maps, sidecars) for run in runs]
    return [replace(run, t1w=choose(images, run.entities)) for run in runs]


def _t1w_images(
    layout: Any, label: str, root: Path, asked: Mapping[str, Any]
) -> list[AnatomicalImage]:
    """T1w images of one participant in the raw dataset."""
    entities = {"suffix": _T1W, "extension": [".nii", ".nii.gz"], **asked}
    return [
        AnatomicalImage(path, f"bids:raw:{path.relative_to(root).as_posix()}", entities_in(path))
        for path in files_with(layout, label, entities)
    ]


def _with_fields(
    run: MRFRun,
    maps: list[FieldMap],
    b0_maps: list[FieldMap],
    sidecars: Mapping[Path, Sidecars],
) -> MRFRun:
    b1 = nearest(maps, run.entities)
    problem = run.problem
    try:
        own = [each for each in b0_maps if intended_for(each.path, run.uri, run.metadata, sidecars)]
    except Mri2QmapError as error:
        own, problem = [], problem or f"{error}, or --ignore b0"
    b0 = nearest(own, run.entities)
    for kind, field_map in (("b1", b1), ("b0", b0)):
        absent = missing(field_map.path) if field_map else None
        problem = problem or (f"{absent}, or --ignore {kind}" if absent else None)
    return replace(run, b1=b1, b0=b0, problem=problem)


def _field_maps(
    layout: Any, label: str, name: str, root: Path, suffix: str, filters: Mapping[str, Any]
) -> list[FieldMap]:
    """B1 or B0 maps of one participant in a dataset of some name."""
    entities = {"suffix": suffix, "extension": [".nii", ".nii.gz"], **filters}
    return [
        FieldMap(path, f"bids:{name}:{path.relative_to(root).as_posix()}", entities_in(path))
        for path in files_with(layout, label, entities)
    ]


def _run(path: Path, label: str, bids_dir: Path, sidecars: Sidecars) -> MRFRun:
    """A run, with the problem of its files if they have one."""
    inside = path.relative_to(bids_dir)
    folders = {"sub": label, **_session_of(inside)}
    entities = {**folders, **entities_in(path)}
    run = MRFRun(
        path=path,
        entities={key: entities[key] for key in ordered(entities)},
        uri=f"bids:raw:{inside.as_posix()}",
    )
    problem = _misnamed(path, folders, entities) or missing(path)
    if problem is None and not path.is_file():
        problem = f"{path}: must be a file, got {'a directory' if path.is_dir() else 'none'}"
    if problem:
        return replace(run, entities={**run.entities, "sub": label}, problem=problem)
    try:
        with guard(path):
            return replace(run, metadata=sidecars.metadata(path))
    except Mri2QmapError as error:
        return replace(run, problem=str(error))


def _session_of(inside: Path) -> dict[str, str]:
    """The session that a folder of a file's path below the root names."""
    labels = [part.removeprefix("ses-") for part in inside.parts[:-1] if part.startswith("ses-")]
    return {"ses": labels[0]} if labels else {}


def _misnamed(path: Path, folders: Mapping[str, str], entities: Mapping[str, str]) -> str | None:
    """Why a raw file's name cannot become the name of its maps."""
    for key, label in folders.items():
        if entities[key] != label:
            return f"{path}: {key} must be {label} as in the folder's name, got {entities[key]}"
    for key in ("desc", "space"):
        if key in entities:
            return f"{path}: {key} must be left to derivatives, got {entities[key]}"
    words = path.name.split("_")[:-1]
    keys = [word.partition("-")[0] for word in words]
    lost = [w for w, key in zip(words, keys, strict=True) if "-" not in w or keys.count(key) > 1]
    if lost:
        return f"{path}: the name must be of entities key-label, each once, got {', '.join(lost)}"
    odd = [value for value in entities.values() if not _LABEL.fullmatch(value)]
    return f"{path}: labels must be of letters and digits, got {', '.join(odd)}" if odd else None


def _distinct(runs: Sequence[MRFRun]) -> list[MRFRun]:
    """Runs of one name, whose maps would overwrite one another, as one with a problem."""
    by_name: dict[str, list[MRFRun]] = {}
    for run in runs:
        by_name.setdefault(run.name, []).append(run)
    distinct = []
    for same in by_name.values():
        first = min(same, key=lambda run: len(run.path.parts))
        files = ", ".join(str(run.path) for run in same)
        if len({run.path.resolve() for run in same}) > 1:
            problem = f"{first.name}: must be the name of one file, got {len(same)}: {files}"
            first = replace(first, problem=first.problem or problem)
        distinct.append(first)
    return distinct

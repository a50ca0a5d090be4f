"""Which MRF runs a dataset holds (the one room that talks to pybids)."""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mri2qmap_bids.dataset.fieldmap import FieldMap, nearest
from mri2qmap_bids.dataset.integrity import broken_sidecars, missing, unusable
from mri2qmap_bids.encoded_text import read_text
from mri2qmap_bids.errors import DatasetError, InputError, NothingSelectedError, UsageError

logger = logging.getLogger(__name__)

SUFFIX = "MRF"
EXTENSIONS = (".h5", ".mrd")
_SKIPPED = r"^/(code|stimuli|sourcedata|models|derivatives)(/|$)|/\.|/(func|dwi|perf|meg|eeg|ieeg|beh|pet|micr)(/|$)"
_FILTER_KINDS = ("mrf", "b1")
_FILTERABLE = frozenset(
    ("session", "acquisition", "reconstruction", "run", "suffix", "extension", "datatype")
)
_ENTITIES = {
    "subject": "sub",
    "session": "ses",
    "acquisition": "acq",
    "reconstruction": "rec",
    "run": "run",
}


@dataclass(frozen=True)
class MRFRun:
    """One raw MRF acquisition."""

    path: Path
    """The ISMRMRD file."""
    entities: Mapping[str, str]
    """BIDS entities by short key (sub, ses, acq, rec, run), in that order."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """The sidecar with inheritance applied."""
    uri: str = ""
    """BIDS URI of the file."""
    b1: FieldMap | None = None
    """The B1 map for it; None: there is none, or it is to be ignored."""
    problem: str | None = None
    """Why it cannot be done, if its files tell already."""

    @property
    def name(self) -> str:
        """The entities as in the file name, e.g. ``sub-01_ses-a_run-1``."""
        return "_".join(f"{key}-{value}" for key, value in self.entities.items())


@dataclass(frozen=True)
class Filters:
    """What to select of a dataset; empty selects all."""

    participants: tuple[str, ...] = ()
    """Labels without ``sub-``."""
    sessions: tuple[str, ...] = ()
    """Labels without ``ses-``."""
    acquisitions: tuple[str, ...] = ()
    """Labels without ``acq-``."""
    runs: tuple[str, ...] = ()
    """Indices without ``run-``; 1 is 01."""
    entities: Mapping[str, Any] = field(default_factory=dict)
    """pybids entities to match: a value, a list of values, None (must lack it), "*" (any)."""
    b1_entities: Mapping[str, Any] = field(default_factory=dict)
    """The same for B1 maps."""
    b1_ignored: bool = False
    """Whether to do without B1 maps."""
    derivatives: tuple[tuple[str, Path], ...] = ()
    """(name, root) of derivative datasets, for a participant without B1 maps in the raw dataset."""


@dataclass(frozen=True)
class Index:
    """Where pybids keeps what it finds; None: nowhere."""

    folder: Path | None = None
    """One database a participant."""
    renewed: bool = False
    """Whether to build it anew."""


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

    Files below ``sourcedata/`` count for a participant that has none in its own folder.

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
        If it holds no MRF run at all.
    NothingSelectedError
        If a participant is not there, or the filters leave no run.
    """
    if not bids_dir.is_dir():
        raise InputError(
            f"{bids_dir}: must be a directory with a BIDS dataset, got no such directory"
        )
    filters, index = filters or Filters(), index or Index()
    participants = filters.participants
    known = _participants(bids_dir)
    unknown = sorted(set(participants) - set(known))
    if unknown and known:
        raise NothingSelectedError(
            f"{bids_dir}: --participant-label must be among {_shortened(known)}, got {', '.join(unknown)}"
        )
    runs: list[MRFRun] = []
    problems: list[tuple[str, str]] = []
    for label in sorted(participants) or known:
        try:
            runs += _runs_of(bids_dir, label, filters, index)
        except (OSError, ValueError) as error:
            # What pybids cannot index of one participant must not stop the others.
            problems.append((f"sub-{label}", _one_line(error)))
    if not runs and not problems and filters.entities:
        raise NothingSelectedError(
            f"{bids_dir}: --bids-filter-file must select some run, got none for "
            f"{json.dumps(dict(filters.entities))}"
        )
    if not runs and not problems:
        raise DatasetError(
            f"{bids_dir}: must hold raw MRF files sub-*/[ses-*/]anat/*_{SUFFIX}.h5 (or .mrd), got none"
            + (f" for participant(s) {', '.join(participants)}" if participants else "")
        )
    selected = runs
    for option, key, wanted in (
        ("--session-label", "ses", filters.sessions),
        ("--acquisition-label", "acq", filters.acquisitions),
        ("--run-label", "run", filters.runs),
    ):
        before = selected
        selected = [run for run in selected if not wanted or among(run.entities.get(key), wanted)]
        if before and not selected and not problems:
            found = sorted({run.entities.get(key, "none") for run in before})
            raise NothingSelectedError(
                f"{bids_dir}: {option} must be among {_shortened(found)}, got {', '.join(wanted)}"
            )
    problems += [(run.name, run.problem) for run in selected if run.problem]
    return Selection(tuple(run for run in selected if not run.problem), tuple(problems))


def read_filter_file(path: Path, kind: str = "mrf") -> dict[str, Any]:
    """Entities that the ``mrf`` or the ``b1`` entry of a filter file asks for.

    The file is JSON as other BIDS-Apps read it: {"mrf": {"session": "a", "run": [1, 2]}}.

    Raises
    ------
    InputError
        If the file is not there.
    UsageError
        If it is no such file, or names an entity that pybids does not know.
    """
    try:
        content = json.loads(read_text(path))
    except OSError as error:
        raise InputError(
            f"--bids-filter-file {path}: must be a file, got: {error.strerror}"
        ) from error
    except ValueError as error:
        raise UsageError(
            f"--bids-filter-file {path}: must be a JSON file, got: {_one_line(error)}"
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get(kind, {}), dict):
        raise UsageError(
            f'--bids-filter-file {path}: must be like {{"mrf": {{"session": "a"}}}}, got {content}'
        )
    if not set(content) <= set(_FILTER_KINDS):
        raise UsageError(
            f"--bids-filter-file {path}: keys must be among {', '.join(_FILTER_KINDS)}, got "
            f"{', '.join(sorted(set(content) - set(_FILTER_KINDS)))}"
        )
    entities: dict[str, Any] = content.get(kind, {})
    unknown = sorted(set(entities) - _FILTERABLE)
    if unknown:
        raise UsageError(
            f"--bids-filter-file {path}: entities of {kind} must be among "
            f"{', '.join(sorted(_FILTERABLE))}, got {', '.join(unknown)}"
        )
    for key, value in entities.items():
        labels = value if isinstance(value, list) else [] if value is None else [value]
        # True is a number for Python.
        if any(isinstance(v, bool) or not isinstance(v, str | int) for v in labels) or value == []:
            raise UsageError(
                f"--bids-filter-file {path}: {key} of {kind} must be a label, a number, a list of them, or null, "
                f"got {json.dumps(value)}"
            )
    return entities


def _participants(bids_dir: Path) -> list[str]:
    """Labels of all ``sub-*`` folders, those below ``sourcedata`` included."""
    folders = [*bids_dir.glob("sub-*"), *(bids_dir / "sourcedata").glob("sub-*")]
    return sorted({folder.name.removeprefix("sub-") for folder in folders if folder.is_dir()})


def _runs_of(bids_dir: Path, label: str, filters: Filters, index: Index) -> list[MRFRun]:
    runs: list[MRFRun] = []
    maps: list[FieldMap] = []
    wanted = {"suffix": SUFFIX, "extension": list(EXTENSIONS), **filters.entities}
    for name, root in (("raw", bids_dir), ("sourcedata", bids_dir / "sourcedata")):
        if not runs and (root / f"sub-{label}").is_dir():
            broken = broken_sidecars(root, label)
            database = index.folder and index.folder / (
                f"sub-{label}" if name == "raw" else f"{name}-{label}"
            )
            layout = _indexed(root, label, broken, database, index.renewed)
            runs = [_run(file, bids_dir, broken) for file in _files(layout, label, wanted)]
            if not filters.b1_ignored:
                maps += _field_maps(layout, label, "raw", bids_dir, filters)
    if not filters.b1_ignored and runs and not maps:
        for name, root in filters.derivatives:
            broken = broken_sidecars(root, label)
            layout = _indexed(root, label, broken, None, False)
            maps += _field_maps(layout, label, name, root, filters)
    return [_with_field(run, nearest(maps, run.entities)) for run in runs]


def _with_field(run: MRFRun, field_map: FieldMap | None) -> MRFRun:
    absent = missing(field_map.path) if field_map else None
    problem = f"{absent}, or --ignore b1" if absent else None
    return replace(run, b1=field_map, problem=run.problem or problem)


def _field_maps(layout: Any, label: str, name: str, root: Path, filters: Filters) -> list[FieldMap]:
    """B1 maps of one participant in a dataset of some name."""
    wanted = {"suffix": "TB1map", "extension": [".nii", ".nii.gz"], **filters.b1_entities}
    found = []
    for file in _files(layout, label, wanted):
        path = Path(file.path)
        uri = f"bids:{name}:{path.relative_to(root).as_posix()}"
        found.append(FieldMap(path, uri, _spelled(path)))
    return found


def _files(layout: Any, label: str, entities: Mapping[str, Any]) -> list[Any]:
    """Files of one participant that have these entities, by name."""
    from bids.layout import Query

    special = {None: Query.NONE, "*": Query.ANY}
    wanted = {
        key: special.get(value, value) if not isinstance(value, list) else value
        for key, value in entities.items()
    }
    return sorted(layout.get(**{**wanted, "subject": label}), key=lambda file: str(file.path))


def _indexed(
    root: Path, label: str, broken: Mapping[Path, str], database: Path | None, renewed: bool
) -> Any:
    """pybids' index of one participant; only this participant's files are in it."""
    from bids import BIDSLayout
    from bids.layout import BIDSLayoutIndexer

    # One such file would stop pybids; here it only stops the runs that it describes.
    passed_over = [f"/{path.relative_to(root).as_posix()}" for path in broken]
    others = rf"^/sub-(?!{re.escape(label)}(/|_|$))"
    patterns = [_SKIPPED, others, *(f"^{re.escape(path)}$" for path in passed_over)]
    indexer = BIDSLayoutIndexer(
        validate=False, ignore=[re.compile(p) for p in patterns], index_metadata=True
    )
    if database is not None:
        database.parent.mkdir(parents=True, exist_ok=True)
    return BIDSLayout(
        str(root),
        validate=False,
        indexer=indexer,
        database_path=database,
        reset_database=renewed,
    )


def _run(file: Any, bids_dir: Path, broken: Mapping[Path, str]) -> MRFRun:
    found, spelled = file.get_entities(), _spelled(Path(file.path))
    entities = {
        short: spelled.get(short, str(found[long]))
        for long, short in _ENTITIES.items()
        if long in found
    }
    path = Path(file.path)
    return MRFRun(
        path=path,
        entities=entities,
        metadata=json.loads(json.dumps(file.get_metadata())),
        uri=f"bids:raw:{path.relative_to(bids_dir).as_posix()}",
        problem=unusable(path, broken),
    )


def _spelled(path: Path) -> dict[str, str]:
    """Labels as a file's name spells them: pybids turns run-01 into a number."""
    return dict(part.split("-", 1) for part in path.name.split("_")[:-1] if "-" in part)


def among(label: str | None, wanted: Sequence[str]) -> bool:
    """Whether a label is one of those asked for; run indices whatever their zeros."""
    if label is None:
        return False
    return label in wanted or (
        label.isdigit() and int(label) in {int(word) for word in wanted if word.isdigit()}
    )


def _shortened(labels: list[str], most: int = 10) -> str:
    shown = ", ".join(labels[:most])
    return shown + (f" and {len(labels) - most} more" if len(labels) > most else "")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())

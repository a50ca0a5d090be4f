"""Which MRF runs a dataset holds (the one room that talks to pybids)."""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mri2qmap_bids.dataset.integrity import broken_sidecars, unusable
from mri2qmap_bids.errors import DatasetError, NothingSelectedError, UsageError

logger = logging.getLogger(__name__)

SUFFIX = "MRF"
EXTENSIONS = (".h5", ".mrd")
_SKIPPED = r"^/(code|stimuli|sourcedata|models|derivatives)(/|$)|/\.|/(func|dwi|perf|meg|eeg|ieeg|beh|pet|micr)(/|$)"
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
    DatasetError
        If the directory does not exist or holds no MRF run at all.
    NothingSelectedError
        If a participant is not there, or the filters leave no run.
    """
    if not bids_dir.is_dir():
        raise DatasetError(
            f"{bids_dir}: must be a directory with a BIDS dataset, got no such directory"
        )
    filters, index = filters or Filters(), index or Index()
    participants = filters.participants
    known = _participants(bids_dir)
    missing = sorted(set(participants) - set(known))
    if missing and known:
        raise NothingSelectedError(
            f"{bids_dir}: --participant-label must be among {_shortened(known)}, got {', '.join(missing)}"
        )
    runs: list[MRFRun] = []
    problems: list[tuple[str, str]] = []
    for label in sorted(participants) or known:
        try:
            runs += _runs_of(bids_dir, label, filters.entities, index)
        except (OSError, ValueError) as error:
            # What pybids cannot index of one participant must not stop the others.
            problems.append((f"sub-{label}", _one_line(error)))
    if not runs and not problems and filters.entities:
        raise NothingSelectedError(
            f"{bids_dir}: --bids-filter-file must leave some run, got none for "
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


def read_filter_file(path: Path) -> dict[str, Any]:
    """Entities that the ``mrf`` entry of a filter file asks for.

    The file is JSON as other BIDS-Apps read it: {"mrf": {"session": "a", "run": [1, 2]}}.

    Raises
    ------
    UsageError
        If it is no such file, or names an entity that pybids does not know.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"--bids-filter-file {path}: must be a JSON file, got: {_one_line(error)}"
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("mrf", {}), dict):
        raise UsageError(
            f'--bids-filter-file {path}: must be like {{"mrf": {{"session": "a"}}}}, got {content}'
        )
    entities: dict[str, Any] = content.get("mrf", {})
    unknown = sorted(set(entities) - _FILTERABLE)
    if unknown:
        raise UsageError(
            f"--bids-filter-file {path}: entities of mrf must be among {', '.join(sorted(_FILTERABLE))}, "
            f"got {', '.join(unknown)}"
        )
    return entities


def _participants(bids_dir: Path) -> list[str]:
    """Labels of all ``sub-*`` folders, those below ``sourcedata`` included."""
    folders = [*bids_dir.glob("sub-*"), *(bids_dir / "sourcedata").glob("sub-*")]
    return sorted({folder.name.removeprefix("sub-") for folder in folders if folder.is_dir()})


def _runs_of(bids_dir: Path, label: str, entities: Mapping[str, Any], index: Index) -> list[MRFRun]:
    for root in (bids_dir, bids_dir / "sourcedata"):
        if (root / f"sub-{label}").is_dir():
            runs = _indexed(root, label, bids_dir, entities, index)
            if runs:
                return runs
    return []


def _indexed(
    root: Path, label: str, bids_dir: Path, entities: Mapping[str, Any], index: Index
) -> list[MRFRun]:
    """MRF runs of one participant; only this participant's files are indexed."""
    from bids import BIDSLayout
    from bids.layout import BIDSLayoutIndexer, Query

    broken = broken_sidecars(root, label)
    # One such file would stop pybids; here it only stops the runs that it describes.
    passed_over = [f"/{path.relative_to(root).as_posix()}" for path in broken]
    others = rf"^/sub-(?!{re.escape(label)}(/|_|$))"
    patterns = [_SKIPPED, others, *(f"^{re.escape(path)}$" for path in passed_over)]
    indexer = BIDSLayoutIndexer(
        validate=False, ignore=[re.compile(p) for p in patterns], index_metadata=True
    )
    database = None
    if index.folder is not None:
        database = index.folder / (f"sub-{label}" if root == bids_dir else f"sourcedata-{label}")
        database.parent.mkdir(parents=True, exist_ok=True)
    layout = BIDSLayout(
        str(root),
        validate=False,
        indexer=indexer,
        database_path=database,
        reset_database=index.renewed,
    )
    special = {None: Query.NONE, "*": Query.ANY}
    wanted = {
        key: special.get(value, value) if not isinstance(value, list) else value
        for key, value in entities.items()
    }
    files = layout.get(
        **{"suffix": SUFFIX, "extension": list(EXTENSIONS), **wanted, "subject": label}
    )
    return [_run(file, bids_dir, broken) for file in sorted(files, key=lambda f: str(f.path))]


def _run(file: Any, bids_dir: Path, broken: Mapping[Path, str]) -> MRFRun:
    found = file.get_entities()
    # The labels as the file name spells them: pybids turns run-01 into a number.
    spelled = dict(
        part.split("-", 1) for part in Path(file.path).name.split("_")[:-1] if "-" in part
    )
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

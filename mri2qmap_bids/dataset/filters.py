"""What to select of a dataset."""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mri2qmap_bids.encoded_text import read_text
from mri2qmap_bids.errors import (
    InputError,
    NothingSelectedError,
    UsageError,
    one_line,
)

logger = logging.getLogger(__name__)

# Labels that a message lists.
_MOST_LABELS = 10
_FILTER_KINDS = ("mrf", "b1", "b0", "t1w")
_FILTERABLE = frozenset(
    (
        *("session", "sample", "task", "tracksys", "acquisition", "nucleus", "volume", "ceagent"),
        *("tracer", "staining", "reconstruction", "direction", "run", "proc", "modality", "echo"),
        *("flip", "inv", "mt", "part", "recording", "space", "chunk"),
        *("suffix", "extension", "datatype"),
    )
)


@dataclass(frozen=True)
class GroupFilters:
    """What to keep of a group; empty keeps all."""

    participants: tuple[str, ...] = ()
    """Labels without ``sub-``."""
    sessions: tuple[str, ...] = ()
    """Labels without ``ses-``."""
    acquisitions: tuple[str, ...] = ()
    """Labels without ``acq-``."""
    runs: tuple[str, ...] = ()
    """Indices without ``run-``; 1 is 01."""

    @property
    def options(self) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
        """Option, entity and labels asked for."""
        return (
            ("--participant-label", "sub", self.participants),
            ("--session-label", "ses", self.sessions),
            ("--acquisition-label", "acq", self.acquisitions),
            ("--run-label", "run", self.runs),
        )

    def keep(self, run: Mapping[str, str]) -> bool:
        """Whether a run with these entities is asked for."""
        return all(not labels or _has(run, key, labels) for _, key, labels in self.options)


@dataclass(frozen=True)
class Filters(GroupFilters):
    """What to select of a dataset; empty selects all."""

    entities: Mapping[str, Any] = field(default_factory=dict)
    """pybids entities to match: a value, a list of values, None (must lack it), "*" (any)."""
    b1_entities: Mapping[str, Any] = field(default_factory=dict)
    """The same for B1 maps."""
    b1_ignored: bool = False
    """Whether to do without B1 maps."""
    derivatives: tuple[tuple[str, Path], ...] = ()
    """(name, root) of derivative datasets, for a participant without B1 maps in the raw dataset."""
    b0_entities: Mapping[str, Any] = field(default_factory=dict)
    """As ``entities``, for B0 maps."""
    b0_ignored: bool = False
    """Whether to do without B0 maps."""
    t1w_entities: Mapping[str, Any] = field(default_factory=dict)
    """As ``entities``, for T1w images."""
    t1w_ignored: bool = False
    """Whether to do without T1w images."""


def read_filter_file(path: Path, kind: str = "mrf") -> dict[str, Any]:
    """Entities that the ``mrf``, ``b1``, ``b0`` or ``t1w`` entry of a filter file asks for.

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
            f"--bids-filter-file {path}: must be a JSON file, got: {one_line(error)}"
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


def among(label: str | None, labels: Sequence[str]) -> bool:
    """Whether a label is one of those asked for; run indices whatever their zeros."""
    if label is None:
        return False
    return label in labels or (
        label.isdigit() and int(label) in {int(word) for word in labels if word.isdigit()}
    )


def check_participants(root: Path, labels: Sequence[str], asked: Sequence[str]) -> None:
    """Refuse participants that a dataset does not have.

    Parameters
    ----------
    root
        The dataset's root, for the message.
    labels
        Those that it has, in order.
    asked
        Those that are asked for.

    Raises
    ------
    NothingSelectedError
        If one of these is not there.
    """
    unknown = sorted(set(asked) - set(labels))
    if unknown:
        raise NothingSelectedError(
            f"{root}: --participant-label must be among {shortened(labels)}, got {', '.join(unknown)}"
        )


def warn_of_unused(filters: GroupFilters, selected: Iterable[Mapping[str, str]]) -> None:
    """Warn of labels that select nothing while others do.

    Parameters
    ----------
    filters
        What is asked for.
    selected
        Entities of the selected runs.
    """
    runs = list(selected)
    for option, key, labels in filters.options:
        for label in labels:
            if not any(_has(run, key, (label,)) for run in runs):
                logger.warning("%s %s: selects no run", option, label)


def shortened(labels: Sequence[str]) -> str:
    """A list of labels for a message."""
    n_more = len(labels) - _MOST_LABELS
    return ", ".join(labels[:_MOST_LABELS]) + (f" and {n_more} more" if n_more > 0 else "")


def _has(run: Mapping[str, str], key: str, labels: Sequence[str]) -> bool:
    """Whether a run has one of these labels; names of participants are compared to the letter."""
    return run.get(key) in labels if key == "sub" else among(run.get(key), labels)

"""What to select of a dataset."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mri2qmap_bids.encoded_text import read_text
from mri2qmap_bids.errors import (
    InputError,
    UsageError,
    one_line,
)

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

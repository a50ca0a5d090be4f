"""Runs that failed, kept until they succeed, so that reports can name them at any time."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mri2qmap_bids.atomic import write_json


@dataclass(frozen=True)
class RunFailure:
    """A run that failed."""

    run: str
    """Its name, e.g. ``sub-01_ses-a_acq-x``."""
    reason: str
    """One line."""
    crash_file: str = ""
    """Where the whole traceback was written; empty: there is none."""
    traceback: str = ""
    """Its last lines."""
    time: str = ""
    """When it happened."""


def failures_file(output_dir: Path, participant: str) -> Path:
    """Where a participant's failures are kept."""
    return output_dir / "logs" / f"sub-{participant}_failures.json"


def read_failures(output_dir: Path, participant: str) -> list[RunFailure]:
    """Failures of a participant that nothing has mended since."""
    try:
        content = json.loads(failures_file(output_dir, participant).read_text(encoding="utf-8"))
        return [RunFailure(**entry) for entry in content["Failures"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def keep_failures(
    output_dir: Path, participant: str, tried: Iterable[str], failed: Sequence[RunFailure]
) -> None:
    """Note what became of a participant's runs.

    Parameters
    ----------
    output_dir
        Root of the derivative dataset.
    participant
        Label without ``sub-``.
    tried
        Names of the runs that were tried: what was noted of them before is forgotten.
    failed
        Those that failed.
    """
    names = set(tried)
    before = read_failures(output_dir, participant)
    others = [failure for failure in before if failure.run not in names]
    path = failures_file(output_dir, participant)
    if others or failed:
        write_json(path, {"Failures": [asdict(failure) for failure in (*others, *failed)]})
    else:
        path.unlink(missing_ok=True)

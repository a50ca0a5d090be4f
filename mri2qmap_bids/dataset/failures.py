"""Runs that failed, kept until they succeed, so that reports can name them at any time."""

import json
from collections.abc import Container, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mri2qmap_bids.atomic import write_json
from mri2qmap_bids.dataset.entities import entities_in
from mri2qmap_bids.lock import locked


@dataclass(frozen=True)
class RunFailure:
    """A run that failed."""

    run: str
    """Its name, e.g. ``sub-01_ses-a_acq-x``; ``sub-01`` also of a participant whose files cannot be listed."""
    reason: str
    """One line."""
    crash_file: str = ""
    """Where the whole traceback was written; empty: there is none."""
    traceback: str = ""
    """Its last lines."""
    time: str = ""
    """When it happened."""

    @property
    def entities(self) -> dict[str, str]:
        """BIDS entities in its name by short key.

        >>> RunFailure("sub-01_ses-a", "why").entities
        {'sub': '01', 'ses': 'a'}
        """
        return entities_in(Path(f"{self.run}_"))


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


def participants_with_failures(output_dir: Path) -> list[str]:
    """Labels of all participants with failures that nothing has mended since."""
    paths = (output_dir / "logs").glob(failures_file(output_dir, "*").name)
    labels = (path.name.removeprefix("sub-").removesuffix("_failures.json") for path in paths)
    return sorted(label for label in labels if read_failures(output_dir, label))


def keep_failures(
    output_dir: Path, tried: Iterable[str], failed: Iterable[RunFailure]
) -> list[RunFailure]:
    """Note what became of runs.

    Parameters
    ----------
    output_dir
        Root of the derivative dataset.
    tried
        Names of the runs that were tried: what was noted of them before is forgotten.
    failed
        Those that failed.

    Returns
    -------
    What was forgotten and what was noted anew.
    """
    names, noted = set(tried), list(failed)
    changed: list[RunFailure] = []
    for participant in sorted({_participant(name) for name in (*names, *(f.run for f in noted))}):
        own = [failure for failure in noted if _participant(failure.run) == participant]
        path = failures_file(output_dir, participant)
        before = read_failures(output_dir, participant)
        if _after(before, names, own)[0] == before:
            continue  # a lock alone would change the folder
        with locked(path):  # calls for other sessions of the participant may run at the same time
            changed += _keep(output_dir, participant, names, own)
    return changed


def _keep(
    output_dir: Path, participant: str, names: Container[str], own: Sequence[RunFailure]
) -> list[RunFailure]:
    """Note what became of a participant's runs; as :func:`keep_failures`."""
    before = read_failures(output_dir, participant)
    after, changed = _after(before, names, own)
    _write(failures_file(output_dir, participant), before, after)
    return changed


def _after(
    before: Sequence[RunFailure], names: Container[str], own: Sequence[RunFailure]
) -> tuple[list[RunFailure], list[RunFailure]]:
    """The failures of a participant from now on, and those forgotten or noted anew."""
    # A run that fails as it did before keeps its note, and the time of the first one.
    own = [next((old for old in before if _is_same(old, new)), new) for new in own]
    others = [failure for failure in before if failure.run not in names]
    changed = [failure for failure in before if failure.run in names and failure not in own]
    changed += [failure for failure in own if failure not in before]
    return [*others, *own], changed


def _is_same(first: RunFailure, second: RunFailure) -> bool:
    return replace(first, time="") == replace(second, time="")


def _write(path: Path, before: Sequence[RunFailure], after: Sequence[RunFailure]) -> None:
    if after == before:
        return
    if after:
        write_json(path, {"Failures": [asdict(failure) for failure in after]})
    else:
        path.unlink(missing_ok=True)


def _participant(run: str) -> str:
    """The participant's label in a run's name."""
    return run.split("_", maxsplit=1)[0].removeprefix("sub-")

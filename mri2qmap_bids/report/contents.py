"""Which pages a dataset has."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mri2qmap_bids.dataset.failures import read_failures
from mri2qmap_bids.dataset.runs import runs_with_maps


@dataclass(frozen=True, order=True)
class Page:
    """One participant's page, or one of a session."""

    participant: str
    """Label without ``sub-``."""
    session: str | None = None
    """Label without ``ses-``; None: all sessions."""

    @property
    def name(self) -> str:
        """E.g. ``sub-01_ses-a``; also that of the file."""
        return f"sub-{self.participant}" + (f"_ses-{self.session}" if self.session else "")

    @property
    def file(self) -> str:
        """Its file below the dataset's root.

        >>> Page("01", "a").file
        'sub-01_ses-a.html'
        """
        return self.name + ".html"

    @property
    def node(self) -> str:
        """Its step's name in the workflow."""
        return "report_" + re.sub(r"\W", "_", self.name)

    def holds(self, entities: Mapping[str, str]) -> bool:
        """Whether a run belongs on it; what is of the participant as a whole is on all pages.

        >>> [Page("01", "a").holds({"sub": "01", **further}) for further in ({"ses": "b"}, {})]
        [False, True]
        """
        if entities.get("sub") != self.participant:
            return False
        return self.session in (None, entities.get("ses")) or len(entities) == 1

    def other_files(self, output_dir: Path) -> list[Path]:
        """Files of the participant's pages of the other kind: of sessions if it is of all, and the other way round."""
        if self.session is not None:
            return [output_dir / Page(self.participant).file]
        sessions = output_dir.glob(f"{self.name}_ses-*.html")
        return [path for path in sessions if path.name.count("_") == 1]


def pages_of(
    output_dir: Path, participants: Iterable[str], most_sessions: int, *coming: Mapping[str, str]
) -> list[Page]:
    """Pages of participants: one for all sessions, or one each if there are many; none without runs.

    Runs that failed count, too.

    Parameters
    ----------
    output_dir
        Root of the derivative dataset.
    participants
        Labels without ``sub-``.
    most_sessions
        Most sessions on one page.
    coming
        Entities of runs whose maps are yet to be written.
    """
    pages: list[Page] = []
    for participant in sorted(set(participants)):
        runs = [run for run in coming if run["sub"] == participant]
        runs += runs_of(output_dir, participant)
        failed = [failure.entities for failure in read_failures(output_dir, participant)]
        # A participant whose files cannot be listed has failed in no session of its own.
        runs += [entities for entities in failed if len(entities) > 1 or not runs]
        sessions = {run.get("ses", "") for run in runs}
        if len(sessions) <= most_sessions or "" in sessions:
            pages += [Page(participant)] if sessions else []
        else:
            pages += [Page(participant, session) for session in sorted(sessions)]
    return pages


def participants_of(output_dir: Path) -> list[str]:
    """Labels of all participants with maps."""
    return sorted({run["sub"] for run in runs_with_maps(output_dir)})


def runs_of(output_dir: Path, participant: str, session: str | None = None) -> list[dict[str, str]]:
    """Entities of every run with maps, in the order of their names.

    Parameters
    ----------
    output_dir
        Root of the derivative dataset.
    participant
        Label without ``sub-``.
    session
        Label without ``ses-``; None: all.
    """
    runs = runs_with_maps(output_dir, participant)
    return [run for run in runs if session is None or run.get("ses") == session]

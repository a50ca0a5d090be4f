"""Reports at the end of a call: failures noted, and the pages that no run has triggered."""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mri2qmap_bids.dataset.failures import RunFailure, keep_failures
from mri2qmap_bids.dataset.query import MRFRun
from mri2qmap_bids.report.contents import Page
from mri2qmap_bids.settings import Settings
from mri2qmap_bids.workflow.graph import Outcome, branch_name, execute, init_reports_wf
from mri2qmap_bids.workflow.plugins import Failure

logger = logging.getLogger(__name__)

_SHOWN_LINES = 60


def forget_failures(runs: Iterable[MRFRun], settings: Settings) -> None:
    """What is noted of runs that are tried now."""
    for participant, names in _by_participant(run.name for run in runs).items():
        keep_failures(settings.output_dir, participant, names, ())


def note_failures(
    problems: Iterable[tuple[str, object]],
    runs: Sequence[MRFRun],
    outcome: Outcome,
    settings: Settings,
) -> set[str]:
    """Keep every failure for the reports.

    Parameters
    ----------
    problems
        Name and reason of runs that could not begin.
    runs
        Those that did.
    outcome
        What became of them.
    settings
        Directories.

    Returns
    -------
    Labels of the participants with failures.
    """
    now = time.strftime("%Y-%m-%d %H:%M")
    by_run = {name: RunFailure(name, str(reason), time=now) for name, reason in problems}
    crashes = {failure.node.split(".")[1]: failure for failure in outcome.failures}
    for run in runs:
        failure = crashes.get(branch_name(run))
        if failure is not None:
            by_run[run.name] = RunFailure(
                run.name, failure.reason, failure.crash_file, _end_of(failure.crash_file), now
            )
    by_participant = _by_participant(by_run)
    for participant, names in by_participant.items():
        keep_failures(settings.output_dir, participant, names, [by_run[name] for name in names])
    return set(by_participant)


def write_reports(pages: Sequence[Page], settings: Settings) -> int:
    """Write pages from what is on disk, on this machine; how many failed.

    Parameters
    ----------
    pages
        Which.
    settings
        Directories and resources.
    """
    # Seconds of work, for which no scheduler need be asked.
    here = replace(settings, plugin="MultiProc", plugin_args={})
    outcome = execute(init_reports_wf(pages, here), here)
    return tell_failures(pages, outcome.failures)


def tell_failures(pages: Sequence[Page], failures: Iterable[Failure]) -> int:
    """Say which reports failed; how many did."""
    by_node = {failure.node.split(".")[-1]: failure for failure in failures}
    pairs = [(page, by_node[page.node]) for page in pages if page.node in by_node]
    for page, failure in pairs:
        logger.error(
            "%s: report failed, maps are not affected: %s [%s]",
            page.name,
            failure.reason,
            failure.crash_file,
        )
    return len(pairs)


def _by_participant(names: Iterable[str]) -> Mapping[str, list[str]]:
    """Names of runs by their participant's label."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.split("_")[0].removeprefix("sub-"), []).append(name)
    return groups


def _end_of(crash_file: str) -> str:
    try:
        lines = Path(crash_file).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-_SHOWN_LINES:])

"""Reports at the end of a call: failures noted, and the pages that no run has triggered."""

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from mri2qmap_bids.dataset.failures import RunFailure
from mri2qmap_bids.dataset.query import MRFRun
from mri2qmap_bids.report.contents import Page
from mri2qmap_bids.settings import Settings
from mri2qmap_bids.workflow.graph import Outcome, branch_name, execute, init_reports_wf
from mri2qmap_bids.workflow.plugins import Failure

logger = logging.getLogger(__name__)

_SHOWN_LINES = 60


def failures_in(outcome: Outcome, runs: Iterable[MRFRun]) -> list[RunFailure]:
    """Runs that failed, with the end of their crash file.

    Parameters
    ----------
    outcome
        What became of the workflow.
    runs
        Those that began.
    """
    now = time.strftime("%Y-%m-%d %H:%M")
    crashes = {failure.node.split(".")[1]: failure for failure in outcome.failures}
    pairs = [(run.name, crashes.get(branch_name(run))) for run in runs]
    return [
        RunFailure(name, crash.reason, crash.crash_file, _end_of(crash.crash_file), now)
        for name, crash in pairs
        if crash is not None
    ]


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


def _end_of(crash_file: str) -> str:
    try:
        lines = Path(crash_file).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-_SHOWN_LINES:])

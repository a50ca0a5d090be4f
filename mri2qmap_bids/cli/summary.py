"""The end of a call: a line for every run, the last line, and the exit code."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mri2qmap_bids.settings import Settings

if TYPE_CHECKING:
    from mri2qmap_bids.dataset.query import MRFRun
    from mri2qmap_bids.workflow.graph import Outcome

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Counts:
    """Numbers of runs by what became of them."""

    n_done: int = 0
    n_skipped: int = 0
    """Runs whose derivatives were up to date."""
    n_failed: int = 0
    n_not_run: int = 0
    """Runs that another run's failure has stopped."""
    n_failed_reports: int = 0

    @property
    def exit_code(self) -> int:
        """0 if nothing failed, 1 otherwise."""
        return 1 if self.n_failed or self.n_not_run or self.n_failed_reports else 0

    def __str__(self) -> str:
        """The last line of a call.

        >>> str(Counts(n_done=2, n_failed=1, n_failed_reports=1))
        '2 done, 0 skipped, 1 failed, 1 report(s) failed'
        """
        text = f"{self.n_done} done, {self.n_skipped} skipped, {self.n_failed} failed"
        text += f", {self.n_not_run} not run" if self.n_not_run else ""
        return text + (
            f", {self.n_failed_reports} report(s) failed" if self.n_failed_reports else ""
        )


def log_outcomes(runs: "Sequence[MRFRun]", outcome: "Outcome") -> Counts:
    """Log the outcome of every run, and count them."""
    from mri2qmap_bids.workflow.graph import branch_name

    failures = {failure.node.split(".")[1]: failure for failure in outcome.failures}
    n_done, n_failed, n_not_run = 0, 0, 0
    for run in runs:
        branch = branch_name(run)
        if branch in failures:
            failure = failures[branch]
            logger.error("%s: failed: %s [%s]", run.name, failure.reason, failure.crash_file)
            n_failed += 1
        elif branch in outcome.done:
            logger.info("%s: done", run.name)
            n_done += 1
        else:
            log_not_run([run])
            n_not_run += 1
    return Counts(n_done=n_done, n_failed=n_failed, n_not_run=n_not_run)


def log_not_run(runs: "Sequence[MRFRun]") -> None:
    """Log runs that another run's failure has stopped."""
    for run in runs:
        logger.warning("%s: not run, since another run failed", run.name)


def conclude(counts: Counts, settings: Settings) -> int:
    """Write the methods section, log the last line, return the exit code."""
    from mri2qmap_bids.dataset.boilerplate import works_in, write_boilerplate

    works = works_in(settings.output_dir)
    if works:
        write_boilerplate(works, settings.output_dir)
    logger.info("%s: %s", counts, settings.output_dir)
    return counts.exit_code

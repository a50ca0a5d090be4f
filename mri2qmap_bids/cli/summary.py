"""The end of a call: a line for every run, the last line, and the exit code."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mri2qmap_bids.errors import QualityError
from mri2qmap_bids.logs import run_log, run_log_file
from mri2qmap_bids.settings import Settings

if TYPE_CHECKING:
    from mri2qmap_bids.dataset.query import MRFRun
    from mri2qmap_bids.dataset.verdict import Verdict
    from mri2qmap_bids.workflow.graph import Outcome

logger = logging.getLogger(__name__)

_MOST_NAMES = 10


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
    verdicts: "Mapping[str, Verdict | None]" = field(default_factory=dict)
    """Ratings of the runs done and skipped, by the run's name; None: their sidecars have none."""

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
        text += f", {self.n_failed_reports} report(s) failed" if self.n_failed_reports else ""
        return text + ratings(self.verdicts.values())


def log_outcomes(runs: "Sequence[MRFRun]", outcome: "Outcome", output_dir: Path) -> Counts:
    """Log the outcome of every run, and count them."""
    from mri2qmap_bids.dataset.verdict import read_verdict
    from mri2qmap_bids.workflow.graph import branch_name

    failures = {failure.node.split(".")[1]: failure for failure in outcome.failures}
    n_failed, n_not_run = 0, 0
    verdicts = {}
    for run in runs:
        branch = branch_name(run)
        with run_log(run.name, run_log_file(output_dir, run.name)):
            if branch in failures:
                failure = failures[branch]
                logger.error("%s: failed: %s [%s]", run.name, failure.reason, failure.crash_file)
                n_failed += 1
            elif branch in outcome.done:
                verdicts[run.name] = read_verdict(output_dir, run.entities)
                log_verdict(run.name, "done", verdicts[run.name])
            else:
                log_not_run([run])
                n_not_run += 1
    return Counts(len(verdicts), n_failed=n_failed, n_not_run=n_not_run, verdicts=verdicts)


def log_verdict(name: str, outcome: str, verdict: "Verdict | None") -> None:
    """Log what became of a run and how it is rated: a warning unless it is good."""
    level = logging.INFO if verdict is None or verdict.level == "good" else logging.WARNING
    logger.log(level, "%s: %s, %s", name, outcome, verdict or "not rated")


def ratings(verdicts: "Iterable[Verdict | None]") -> str:
    """How many runs have which rating, the worst first, for the end of a line; good ones are not named."""
    numbers = Counter("not rated" if v is None else v.level.upper() for v in verdicts)
    texts = [f"{numbers[name]} {name}" for name in ("BAD", "LOOK", "not rated") if numbers[name]]
    return f"; {', '.join(texts)}" if texts else ""


def require_quality(verdicts: "Mapping[str, Verdict | None]", settings: Settings) -> None:
    """Fail if a run is rated as ``--fail-on`` names, or worse, or not at all.

    Raises
    ------
    QualityError
        Naming these runs.
    """
    from mri2qmap_bids.dataset.verdict import LEVELS

    if settings.fail_on == "never":
        return
    levels = LEVELS[LEVELS.index(settings.fail_on) :]
    names = [name for name, v in verdicts.items() if v is None or v.level in levels]
    if names:
        raise QualityError(
            f"--fail-on {settings.fail_on}: every run must be rated better, got {len(names)} of "
            f"{len(verdicts)}: {', '.join(names[:_MOST_NAMES])}{' ...' if len(names) > _MOST_NAMES else ''}"
        )


def log_skipped(runs: "Sequence[MRFRun]", output_dir: Path) -> "dict[str, Verdict | None]":
    """Log the runs whose derivatives are up to date; return their ratings by name."""
    from mri2qmap_bids.dataset.verdict import read_verdict

    verdicts = {run.name: read_verdict(output_dir, run.entities) for run in runs}
    for name, verdict in verdicts.items():
        outcome = "skipped: its derivatives are up to date (--force repeats it)"
        log_verdict(name, outcome, verdict)
    return verdicts


def log_not_run(runs: "Sequence[MRFRun]") -> None:
    """Log runs that another run's failure has stopped."""
    for run in runs:
        logger.warning("%s: not run, since another run failed", run.name)


def conclude(counts: Counts, settings: Settings) -> int:
    """Write the methods section, log the last line, return the exit code.

    Raises
    ------
    QualityError
        If nothing failed, and a run is rated as ``--fail-on`` names.
    """
    from mri2qmap_bids.dataset.boilerplate import works_in, write_boilerplate

    works = works_in(settings.output_dir)
    if works:
        write_boilerplate(works, settings.output_dir)
    logger.info("%s: %s", counts, settings.output_dir)
    if not counts.exit_code:
        require_quality(counts.verdicts, settings)
    return counts.exit_code

"""The participant level: the selected participants' runs to maps and reports."""

import argparse
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mri2qmap_bids.cli.advice import advised
from mri2qmap_bids.cli.banner import begin_run_logs, drop_run_logs
from mri2qmap_bids.cli.config import write_options
from mri2qmap_bids.cli.directories import empty, make_writable
from mri2qmap_bids.cli.preview import list_plans, write_planned_methods
from mri2qmap_bids.cli.reports import write_lacking_reports
from mri2qmap_bids.cli.selection import select, up_to_date
from mri2qmap_bids.cli.summary import Counts, conclude, log_not_run, log_outcomes, log_skipped
from mri2qmap_bids.logs import configure_logging
from mri2qmap_bids.settings import Settings

if TYPE_CHECKING:
    from mri2qmap_bids.dataset.query import MRFRun, Selection
    from mri2qmap_bids.workflow.planning import Survey

logger = logging.getLogger(__name__)


def process_participants(settings: Settings, arguments: argparse.Namespace) -> int:
    """Select runs, reconstruct those that are not up to date, report; return the exit code.

    Parameters
    ----------
    settings
        Validated.
    arguments
        What the settings were made of, to be saved with the derivatives.
    """
    from mri2qmap_bids.dataset.failures import keep_failures

    started = time.perf_counter()
    selection = select(settings)
    selecting = time.perf_counter() - started
    if arguments.boilerplate_only:
        return write_planned_methods(selection, settings)
    current = () if arguments.force else up_to_date(selection.runs, settings)
    verdicts = log_skipped(current, settings.output_dir)
    listed = _listed(selection, settings)
    selection = replace(selection, runs=tuple(r for r in selection.runs if r not in current))
    if arguments.dry_run:
        return list_plans(selection, settings, selecting)
    if settings.clean_work_dir:
        empty(settings.work_dir)
    mended = keep_failures(settings.output_dir, [*(run.name for run in current), *listed], ())
    result = _Result(Counts())
    if selection.runs or selection.problems:
        make_writable(settings.output_dir, "the output directory")
        make_writable(settings.work_dir, "the work directory (-w)")
        result = _reconstruct(selection, settings, arguments)
    touched = [*(failure.entities for failure in mended), *result.touched]
    present = [*touched, *(run.entities for run in (*selection.runs, *current))]
    n_failed_reports = write_lacking_reports(present, touched, result.settled, settings)
    counts = replace(
        result.counts,
        n_skipped=len(current),
        n_failed_reports=result.counts.n_failed_reports + n_failed_reports,
        verdicts={**verdicts, **result.counts.verdicts},
    )
    return conclude(counts, settings)


@dataclass(frozen=True)
class _Result:
    """What became of the runs that were not up to date."""

    counts: Counts
    """Of them."""
    touched: "Sequence[Mapping[str, str]]" = ()
    """Entities of runs whose maps or failures have changed."""
    settled: frozenset[str] = frozenset()
    """Steps (see :class:`Page`) of the reports that are written or have failed."""


def _listed(selection: "Selection", settings: Settings) -> set[str]:
    """Names of participants whose files can be listed, unless a run has that name, too."""
    if settings.sessions or settings.acquisitions or settings.runs or settings.filter_file:
        return set()  # a run of that name may be one that is not selected
    names = {run.name for run in selection.runs} | {name for name, _ in selection.problems}
    return {name.split("_")[0] for name in names} - names


def _reconstruct(
    selection: "Selection", settings: Settings, arguments: argparse.Namespace
) -> _Result:
    """Reconstruct the runs that their headers allow to."""
    from mri2qmap_bids.dataset.description import initialise_dataset
    from mri2qmap_bids.dataset.failures import RunFailure, keep_failures
    from mri2qmap_bids.workflow.planning import survey

    surveys, refusals = survey(selection.runs, settings)
    problems = [(name, advised(error)) for name, error in refusals.items()]
    for name, reason in problems:
        logger.error("%s: failed: %s", name, reason)
    problems += selection.problems
    runs = [run for run in selection.runs if run.name in surveys]
    begun = [] if problems and settings.stop_on_first_crash else runs
    now = time.strftime("%Y-%m-%d %H:%M")
    # Runs that begin keep their notes until it is known what became of them.
    failures = keep_failures(
        settings.output_dir,
        [name for name, _ in problems],
        [RunFailure(name, reason, time=now) for name, reason in problems],
    )
    if begun or failures:  # else this call tells nothing that the last one did not
        initialise_dataset(
            settings.output_dir,
            "MR Fingerprinting maps by mri2qmap",
            raw_dataset=settings.bids_dir,
            derivatives=settings.derivatives,
        )
        write_options(arguments, settings.output_dir / "logs")
        begin_run_logs(settings, [run.name for run in begun], problems)
    touched = [failure.entities for failure in failures]
    if not begun:
        log_not_run(runs)
        return _Result(Counts(n_failed=len(problems), n_not_run=len(runs)), touched)
    result = _execute(begun, surveys, settings, arguments.force)
    counts = replace(result.counts, n_failed=result.counts.n_failed + len(problems))
    return replace(result, counts=counts, touched=[*touched, *result.touched])


def _device_text(settings: Settings) -> str:
    """The device that was found."""
    if settings.plugin == "SLURM":
        return "cluster (Slurm)"
    import torch

    from mri2qmap_bids.recon.device import find_device

    device = find_device(settings.recon.device)
    return "CPU" if device.type == "cpu" else f"GPU {torch.cuda.get_device_name(device)}"


def _execute(
    runs: "Sequence[MRFRun]", surveys: "dict[str, Survey]", settings: Settings, forced: bool
) -> _Result:
    """Run the workflow; pages with a run that fails, or that has failed before, are not written."""
    from mri2qmap_bids.dataset.failures import keep_failures, read_failures
    from mri2qmap_bids.report.contents import pages_of
    from mri2qmap_bids.workflow.graph import branch_name, execute, init_dataset_wf
    from mri2qmap_bids.workflow.reports import failures_in, tell_failures

    configure_logging(settings.log_level)  # again, now that Nipype has set up its loggers
    logger.info("%d run(s) begin on the %s", len(runs), _device_text(settings))
    pages = pages_of(
        settings.output_dir,
        [run.entities["sub"] for run in runs],
        settings.most_sessions,
        *(run.entities for run in runs),
    )
    names = {run.name for run in runs}
    stale = [
        failure.entities
        for label in {run.entities["sub"] for run in runs}
        for failure in read_failures(settings.output_dir, label)
        if failure.run in names
    ]
    # Notes of these runs change only after the workflow, and so do the pages that show them.
    pages = [
        page
        for page in pages
        if any(page.holds(run.entities) for run in runs) and not any(map(page.holds, stale))
    ]
    try:
        outcome = execute(init_dataset_wf(runs, settings, surveys, pages, forced), settings)
    except BaseException:
        drop_run_logs(settings, names)
        raise
    ended = outcome.done | {failure.node.split(".")[1] for failure in outcome.failures}
    drop_run_logs(settings, [run.name for run in runs if branch_name(run) not in ended])
    counts = log_outcomes(runs, outcome, settings.output_dir)
    failed = failures_in(outcome, runs)
    tried = [*counts.verdicts, *(failure.run for failure in failed)]
    changed = keep_failures(settings.output_dir, tried, failed)
    done = [run.entities for run in runs if run.name in counts.verdicts]
    crashed = {failure.node.split(".")[-1] for failure in outcome.failures}
    return _Result(
        replace(counts, n_failed_reports=tell_failures(pages, outcome.failures)),
        [*(failure.entities for failure in changed), *done],
        outcome.reported | crashed,
    )

"""The participant level: the selected participants' runs to maps and reports."""

import argparse
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mri2qmap_bids.cli.advice import advised
from mri2qmap_bids.cli.banner import begin_run_logs
from mri2qmap_bids.cli.config import write_options
from mri2qmap_bids.cli.directories import empty, make_writable
from mri2qmap_bids.cli.preview import list_plans, write_planned_methods
from mri2qmap_bids.cli.reports import write_missing_reports
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
    started = time.perf_counter()
    selection = select(settings)
    selecting = time.perf_counter() - started
    if arguments.boilerplate_only:
        return write_planned_methods(selection, settings)
    current = () if arguments.force else up_to_date(selection.runs, settings)
    verdicts = log_skipped(current, settings.output_dir)
    selection = replace(selection, runs=tuple(r for r in selection.runs if r not in current))
    if arguments.dry_run:
        return list_plans(selection, settings, selecting)
    counts = Counts(n_failed=len(selection.problems))
    if selection.runs:
        make_writable(settings.output_dir, "the output directory")
        if settings.clean_work_dir:
            empty(settings.work_dir)
        make_writable(settings.work_dir, "the work directory (-w)")
        counts = _reconstruct(selection, settings, arguments)
    n_failed_reports = counts.n_failed_reports + write_missing_reports(current, settings)
    counts = replace(
        counts,
        n_skipped=len(current),
        n_failed_reports=n_failed_reports,
        verdicts={**verdicts, **counts.verdicts},
    )
    return conclude(counts, settings)


def _reconstruct(
    selection: "Selection", settings: Settings, arguments: argparse.Namespace
) -> Counts:
    """Reconstruct the runs that their headers allow to."""
    from mri2qmap_bids.dataset.description import initialise_dataset
    from mri2qmap_bids.workflow.planning import survey

    surveys, refusals = survey(selection.runs, settings)
    problems = [(name, advised(error)) for name, error in refusals.items()]
    for name, reason in problems:
        logger.error("%s: failed: %s", name, reason)
    problems += selection.problems
    runs = [run for run in selection.runs if run.name in surveys]
    if not runs or (problems and settings.stop_on_first_crash):
        log_not_run(runs)
        return Counts(n_failed=len(problems), n_not_run=len(runs))
    initialise_dataset(
        settings.output_dir,
        "MR Fingerprinting maps by mri2qmap",
        raw_dataset=settings.bids_dir,
        derivatives=settings.derivatives,
    )
    write_options(arguments, settings.output_dir / "logs")
    counts = _execute(runs, surveys, problems, settings)
    return replace(counts, n_failed=counts.n_failed + len(problems))


def _device_text(settings: Settings) -> str:
    """The device that was found."""
    if settings.plugin == "SLURM":
        return "cluster (Slurm)"
    import torch

    from mri2qmap_bids.recon.device import find_device

    device = find_device(settings.recon.device)
    return "CPU" if device.type == "cpu" else f"GPU {torch.cuda.get_device_name(device)}"


def _execute(
    runs: "Sequence[MRFRun]",
    surveys: "dict[str, Survey]",
    problems: Sequence[tuple[str, str]],
    settings: Settings,
) -> Counts:
    """Run the workflow and write the reports that it leaves out."""
    from mri2qmap_bids.report.contents import pages_of
    from mri2qmap_bids.workflow.graph import execute, init_dataset_wf
    from mri2qmap_bids.workflow.reports import (
        forget_failures,
        note_failures,
        tell_failures,
        write_reports,
    )

    configure_logging(settings.log_level)  # again, now that Nipype has set up its loggers
    logger.info("%d run(s) begin on the %s", len(runs), _device_text(settings))
    forget_failures(runs, settings)
    begin_run_logs(settings, [run.name for run in runs], problems)
    pages = pages_of(
        settings.output_dir,
        [run.entities["sub"] for run in runs],
        settings.most_sessions,
        *(run.entities for run in runs),
    )
    pages = [page for page in pages if any(page.holds(run.entities) for run in runs)]
    outcome = execute(init_dataset_wf(runs, settings, surveys, pages), settings)
    counts = log_outcomes(runs, outcome, settings.output_dir)
    n_failed_reports = tell_failures(pages, outcome.failures)
    participants = note_failures(problems, runs, outcome, settings)
    # A page waits for all its runs; those with a failed one are written now.
    late = pages_of(settings.output_dir, participants, settings.most_sessions)
    late += [page for page in pages if page not in late and page.node not in outcome.reported]
    crashes = {failure.node.split(".")[-1] for failure in outcome.failures}
    n_failed_reports += write_reports([p for p in late if p.node not in crashes], settings)
    return replace(counts, n_failed_reports=n_failed_reports)

"""Reports that are written without a reconstruction."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mri2qmap_bids.cli.directories import empty, make_writable
from mri2qmap_bids.cli.summary import ratings, require_quality
from mri2qmap_bids.dataset.entities import run_name
from mri2qmap_bids.errors import DatasetError, NothingSelectedError
from mri2qmap_bids.logs import configure_logging
from mri2qmap_bids.settings import Settings

if TYPE_CHECKING:
    from mri2qmap_bids.report.contents import Page

logger = logging.getLogger(__name__)


def rewrite_reports(settings: Settings) -> int:
    """Write the selected participants' pages from their derivatives and failures; return the exit code.

    Raises
    ------
    DatasetError
        If the output directory has neither maps nor failures.
    NothingSelectedError
        If a participant has neither, or no such run is selected.
    """
    from mri2qmap_bids.dataset.failures import participants_with_failures
    from mri2qmap_bids.dataset.filters import check_participants
    from mri2qmap_bids.dataset.verdict import read_verdict
    from mri2qmap_bids.report.contents import pages_of, participants_of

    failing = participants_with_failures(settings.output_dir)
    labels = sorted({*participants_of(settings.output_dir), *failing})
    if not labels:
        raise DatasetError(
            f"{settings.output_dir}: must hold maps sub-*/[ses-*/]anat/*_T1map.nii.gz, or notes of runs that "
            "failed, for --reports-only, got none; run without it first"
        )
    check_participants(settings.output_dir, labels, settings.participants)
    participants = [
        label for label in labels if not settings.participants or label in settings.participants
    ]
    selected, failed = _selected(participants, settings)
    pages = [
        page
        for page in pages_of(settings.output_dir, participants, settings.most_sessions)
        if _is_absent(page, settings) or any(page.holds(run) for run in (*selected, *failed))
    ]
    make_writable(settings.output_dir, "the output directory")
    if settings.clean_work_dir:
        empty(settings.work_dir)
    make_writable(settings.work_dir, "the work directory (-w)")
    from mri2qmap_bids.workflow.reports import write_reports

    configure_logging(settings.log_level)
    n_failed = write_reports(pages, settings)
    verdicts = {run_name(run): read_verdict(settings.output_dir, run) for run in selected}
    logger.info(
        "%d report(s) written, %d failed%s: %s",
        len(pages) - n_failed,
        n_failed,
        ratings(verdicts.values()),
        settings.output_dir,
    )
    if not n_failed:
        require_quality(verdicts, settings)
    return 1 if n_failed else 0


def _selected(
    participants: Sequence[str], settings: Settings
) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Entities of the selected runs with maps, and of those that failed.

    Raises
    ------
    NothingSelectedError
        If there are none of either.
    """
    from mri2qmap_bids.dataset.failures import read_failures
    from mri2qmap_bids.dataset.filters import GroupFilters, warn_of_unused
    from mri2qmap_bids.report.contents import runs_of

    filters = GroupFilters(
        settings.participants, settings.sessions, settings.acquisitions, settings.runs
    )
    runs = [run for label in participants for run in runs_of(settings.output_dir, label)]
    failures = [
        failure.entities
        for label in participants
        for failure in read_failures(settings.output_dir, label)
    ]
    selected, failed = ([run for run in each if filters.keep(run)] for each in (runs, failures))
    if not selected and not failed:
        names = ", ".join(map(run_name, [*runs, *failures][:5]))
        raise NothingSelectedError(
            "--session-label, --acquisition-label and --run-label must select a run with maps, or one that failed, "
            f"got none of {names}{' ...' if len(runs) + len(failures) > 5 else ''}"
        )
    warn_of_unused(filters, [*selected, *failed])
    return selected, failed


def write_lacking_reports(
    present: "Iterable[Mapping[str, str]]",
    touched: "Sequence[Mapping[str, str]]",
    settled: frozenset[str],
    settings: Settings,
) -> int:
    """Write the pages of participants that are absent, behind or without the views asked for; how many failed.

    Parameters
    ----------
    present
        Entities of the participants' runs.
    touched
        Entities of runs whose maps or failures have changed.
    settled
        Steps (see :class:`Page`) of pages that are not to be written: they are up to date, or have failed.
    settings
        Validated.
    """
    from mri2qmap_bids.report.contents import pages_of

    participants = [entities["sub"] for entities in present]
    lacking = [
        page
        for page in pages_of(settings.output_dir, participants, settings.most_sessions)
        if page.node not in settled
        and (
            _is_absent(page, settings)
            or any(page.holds(entities) for entities in touched)
            or _lacks_views(page, settings)
        )
    ]
    if not lacking:
        return 0
    from mri2qmap_bids.workflow.reports import write_reports

    make_writable(settings.work_dir, "the work directory (-w)")
    configure_logging(settings.log_level)
    # The graph that was asked for is that of the runs.
    return write_reports(lacking, replace(settings, write_graph=False))


def _is_absent(page: "Page", settings: Settings) -> bool:
    return not (settings.output_dir / page.file).is_file()


def _lacks_views(page: "Page", settings: Settings) -> bool:
    """Whether views are asked for, and a run on the page has none."""
    if not settings.viewer:
        return False
    from mri2qmap_bids.report.contents import runs_of
    from mri2qmap_bids.report.viewer import has_viewer

    output_dir = settings.output_dir
    runs = runs_of(output_dir, page.participant, page.session)
    return not all(has_viewer(entities, output_dir) for entities in runs)

"""The group level: tables and a page over all participants' maps."""

import logging

from mri2qmap_bids.cli.directories import empty, make_writable
from mri2qmap_bids.cli.summary import ratings, require_quality
from mri2qmap_bids.settings import Settings
from mri2qmap_bids.workflow.folders import WorkFolder

logger = logging.getLogger(__name__)


def summarise_group(settings: Settings) -> int:
    """Write the group's tables and report; return the exit code."""
    from mri2qmap_bids.dataset.filters import GroupFilters
    from mri2qmap_bids.dataset.group import write_group_tables

    if settings.output_dir.exists():  # else nothing is made: there are no maps in it
        make_writable(settings.output_dir, "the output directory")
    if settings.clean_work_dir:
        empty(settings.work_dir)
    filters = GroupFilters(
        settings.participants, settings.sessions, settings.acquisitions, settings.runs
    )
    tables = write_group_tables(
        settings.output_dir,
        filters,
        settings.derivatives,
        settings.work_dir / WorkFolder.GROUP,
        settings.n_procs,
    )
    for name, reason in tables.problems:
        logger.error("%s: failed: %s", name, reason)
    logger.info("Group tables: %s", ", ".join(str(path) for path in tables.paths))
    from mri2qmap_bids.report.group import write_group_report

    logger.info("Group report: %s", write_group_report(settings.output_dir, tables.paths))
    logger.info(
        "%d run(s) in the tables%s", len(tables.verdicts), ratings(tables.verdicts.values())
    )
    if not tables.problems:
        require_quality(tables.verdicts, settings)
    return 1 if tables.problems else 0

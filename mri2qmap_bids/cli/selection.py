"""The runs of a call: those selected, and those whose derivatives are up to date."""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mri2qmap_bids.errors import Mri2QmapError
from mri2qmap_bids.settings import Settings

if TYPE_CHECKING:
    from mri2qmap_bids.dataset.query import MRFRun, Selection

logger = logging.getLogger(__name__)


def select(settings: Settings) -> "Selection":
    """The selected runs; those that cannot be processed are logged."""
    from mri2qmap_bids.dataset.filters import Filters, read_filter_file
    from mri2qmap_bids.dataset.index import Index
    from mri2qmap_bids.dataset.query import find_runs

    file = settings.filter_file
    filters = Filters(
        settings.participants,
        settings.sessions,
        settings.acquisitions,
        settings.runs,
        read_filter_file(file) if file else {},
        read_filter_file(file, "b1") if file else {},
        settings.b1_ignored,
        settings.derivatives,
        read_filter_file(file, "b0") if file else {},
        settings.b0_ignored,
        read_filter_file(file, "t1w") if file else {},
        settings.t1w_ignored,
    )
    index = Index(settings.database_dir, settings.database_renewed)
    selection = find_runs(settings.bids_dir, filters, index)
    logger.info("%d run(s) found", len(selection.runs) + len(selection.problems))
    for name, reason in selection.problems:
        logger.error("%s: failed: %s", name, reason)
    return selection


def up_to_date(runs: "Iterable[MRFRun]", settings: Settings) -> "tuple[MRFRun, ...]":
    """Runs whose derivatives exist and were made from these inputs with these options."""
    return tuple(run for run in runs if _is_up_to_date(run, settings))


def _is_up_to_date(run: "MRFRun", settings: Settings) -> bool:
    from mri2qmap_bids.dataset.checksum import inputs_checksum, is_up_to_date
    from mri2qmap_bids.dataset.integrity import guard

    b1, b0, t1w = (None if each is None else each.path for each in (run.b1, run.b0, run.t1w))
    try:
        with guard(run.path):
            checksum = inputs_checksum(
                run.path, run.metadata, settings.recon, b1, b0, t1w, settings.output_spaces
            )
            return is_up_to_date(settings.output_dir, run.entities, checksum)
    except Mri2QmapError:
        return False  # the error comes with the run itself

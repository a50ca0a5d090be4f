"""The program ``mri2qmap``, from its arguments to its exit code."""

import logging
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace

from mri2qmap_bids.cli.advice import advised
from mri2qmap_bids.cli.environment import prepare_environment, private_folder
from mri2qmap_bids.cli.parser import parse
from mri2qmap_bids.cli.settings import to_settings
from mri2qmap_bids.errors import Mri2QmapError
from mri2qmap_bids.logs import configure_logging

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    Parameters
    ----------
    argv
        Arguments after the program's name; None takes ``sys.argv``.

    Returns
    -------
    Exit code: 0 done, 1 a run failed, and those of :mod:`mri2qmap_bids.errors`.
    """
    configure_logging(logging.INFO)
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except Mri2QmapError as error:
        logger.error("%s", advised(error))
        return error.exit_code


def _run(argv: Sequence[str]) -> int:
    arguments = parse(argv)
    level = logging.DEBUG if arguments.verbose else logging.INFO
    configure_logging(level)
    command = shlex.join(["mri2qmap", *argv])
    settings = replace(to_settings(arguments), log_level=level, command=command)
    with private_folder() as private:
        prepare_environment(private)
        if arguments.analysis_level == "group":
            from mri2qmap_bids.cli.group import summarise_group

            return summarise_group(settings)
        if arguments.reports_only:
            from mri2qmap_bids.cli.reports import rewrite_reports

            return rewrite_reports(settings)
        from mri2qmap_bids.cli.participant import process_participants

        return process_participants(settings, arguments)

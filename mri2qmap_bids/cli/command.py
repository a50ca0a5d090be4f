"""The program ``mri2qmap``, from its arguments to its exit code."""

import argparse
import errno
import logging
import shlex
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace

from mri2qmap_bids.cli.advice import advised
from mri2qmap_bids.cli.banner import log_banner
from mri2qmap_bids.cli.environment import prepare_environment, private_folder
from mri2qmap_bids.cli.parser import parse
from mri2qmap_bids.cli.settings import to_settings
from mri2qmap_bids.errors import Mri2QmapError, OutputError
from mri2qmap_bids.logs import configure_logging, is_terminal
from mri2qmap_bids.standard_output import leave_closed_output, open_standard_output

logger = logging.getLogger(__name__)

_STORAGE_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    Parameters
    ----------
    argv
        Arguments after the program's name; None takes ``sys.argv``.

    Returns
    -------
    Exit code: 0 done, 1 a run failed, those of :mod:`mri2qmap_bids.errors`, 130 interrupted by
    Ctrl-C, 141 the reader of the output has closed it.
    """
    configure_logging(logging.INFO)
    open_standard_output()
    try:
        try:
            return _run(sys.argv[1:] if argv is None else argv)
        finally:
            sys.stdout.flush()  # here, where a closed pipe has an answer
    except Mri2QmapError as error:
        logger.error("%s", advised(error))
        return error.exit_code
    except KeyboardInterrupt:
        logger.error("interrupted; the next call continues with what is missing")
        return 128 + signal.SIGINT
    except BrokenPipeError as error:
        return leave_closed_output(error)
    except OSError as error:
        if error.errno not in _STORAGE_FAULTS:
            raise
        logger.error("%s", _storage_fault(error))
        logger.debug("", exc_info=error)
        return OutputError.exit_code


def _storage_fault(error: OSError) -> str:
    """One line on a file that cannot be written, or a full disk."""
    place = error.filename2 or error.filename or "the work, output or temporary directory"
    return f"{place}: must be writable, with space left, got: {error.strerror}"


def _task(arguments: argparse.Namespace) -> str:
    """What a call will do, in words."""
    if arguments.analysis_level == "group":
        return "tables and report of the group"
    if arguments.reports_only:
        return "reports from existing maps"
    if arguments.boilerplate_only:
        return "methods section"
    method = f"method {arguments.recon_method}{', sloppy' if arguments.sloppy else ''}"
    if arguments.dry_run:
        return f"list of runs with predicted memory and time, {method}"
    return f"T1, T2 and M0 maps with reports, {method}"


def _needs_workers(arguments: argparse.Namespace) -> bool:
    """Whether a call is likely to start workers on this machine, and has a core to spare for them at once."""
    only_reads = arguments.dry_run or arguments.reports_only or arguments.boilerplate_only
    return (
        arguments.analysis_level == "participant"
        and not only_reads
        and arguments.use_plugin is None
        and arguments.nprocs > 1
    )


def _run(argv: Sequence[str]) -> int:
    arguments = parse(argv)
    level = logging.DEBUG if arguments.verbose else logging.INFO
    configure_logging(level)
    command = shlex.join(["mri2qmap", *argv])
    with private_folder() as private:
        prepare_environment(private)
        if _needs_workers(arguments):
            from mri2qmap_bids.workflow.server import start_server

            start_server()  # as early as can be: it imports what this process imports meanwhile
        settings = replace(to_settings(arguments), log_level=level, command=command)
        if is_terminal():
            settings = replace(settings, bar_dir=private / "progress")
        log_banner(settings, _task(arguments))
        if arguments.analysis_level == "group":
            from mri2qmap_bids.cli.group import summarise_group

            return summarise_group(settings)
        if arguments.reports_only:
            from mri2qmap_bids.cli.reports import rewrite_reports

            return rewrite_reports(settings)
        from mri2qmap_bids.cli.participant import process_participants

        return process_participants(settings, arguments)

"""The first lines of a call: what will be done, with what and where."""

import logging
import platform
import time
from collections.abc import Iterable
from contextlib import suppress

from mri2qmap_bids import __version__
from mri2qmap_bids.atomic import write_text
from mri2qmap_bids.logs import run_log_file, waiting_log_file
from mri2qmap_bids.settings import Settings

logger = logging.getLogger(__name__)


def log_banner(settings: Settings, task: str) -> None:
    """Log version, command, task, dataset, output, device and where the logs of runs are.

    Parameters
    ----------
    settings
        Validated.
    task
        What the call will do.
    """
    for line in banner_lines(settings, task):
        logger.info("%s", line)


def banner_lines(settings: Settings, task: str = "") -> list[str]:
    """The lines of :func:`log_banner`; without a task only those that hold for every run."""
    device = {
        "cpu": "CPU",
        "auto": "a GPU if there is one, else the CPU",
    }.get(settings.recon.device, settings.recon.device)
    resources = f"{settings.n_procs} core(s), {settings.omp_threads} for one step"
    lines = [
        f"mri2qmap {__version__}, Python {platform.python_version()}",
        f"Command: {settings.command}",
        *([f"Task: {task}"] if task else []),
        f"Dataset: {settings.bids_dir}",
        f"Output: {settings.output_dir}; intermediate files: {settings.work_dir}",
        f"Device: {device}; {resources}, {settings.memory_gb:.1f} GB of memory",
    ]
    return lines + ([f"Log of each run: {settings.output_dir}/logs/RUN.log"] if task else [])


def begin_run_logs(
    settings: Settings, runs: Iterable[str], problems: Iterable[tuple[str, object]]
) -> None:
    """Write the first lines of runs' logs, which take the place of the files when the runs begin.

    Logs of runs that cannot begin are written at once, and say why.

    Parameters
    ----------
    settings
        Validated.
    runs
        Names of the runs that are to begin.
    problems
        Name and reason of runs that cannot.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    lines = banner_lines(settings)

    def begin(run: str) -> str:
        return "".join(f"{now} INFO {run}: {line}\n" for line in lines)

    for run in runs:
        write_text(waiting_log_file(run_log_file(settings.output_dir, run)), begin(run))
    for run, reason in problems:
        end = f"{now} ERROR {run}: failed: {reason}\n"
        write_text(run_log_file(settings.output_dir, run), begin(run) + end)


def drop_run_logs(settings: Settings, runs: Iterable[str]) -> None:
    """Remove first lines that still wait: these runs have not begun, and keep the log of an earlier call.

    Parameters
    ----------
    settings
        Validated.
    runs
        Names of runs, whether they have begun or not.
    """
    for run in runs:
        with suppress(OSError):
            waiting_log_file(run_log_file(settings.output_dir, run)).unlink()

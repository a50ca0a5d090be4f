"""The first lines of a call: what will be done, with what and where."""

import logging
import platform
import time
from collections.abc import Iterable

from mri2qmap_bids import __version__
from mri2qmap_bids.atomic import write_text
from mri2qmap_bids.logs import run_log_file
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
    """Begin the log files of runs anew; those of runs that cannot begin say why.

    Parameters
    ----------
    settings
        Validated.
    runs
        Names of the runs that begin.
    problems
        Name and reason of runs that cannot.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    ends = {run: "" for run in runs}
    ends |= {run: f"{now} ERROR {run}: failed: {reason}\n" for run, reason in problems}
    for run, end in ends.items():
        begin = "".join(f"{now} INFO {run}: {line}\n" for line in banner_lines(settings))
        write_text(run_log_file(settings.output_dir, run), begin + end)

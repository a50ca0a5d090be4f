"""The command line: parse the arguments into settings, run, and return an exit code."""

import argparse
import logging
import os
import re
import shlex
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.util import get_temp_dir
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from mri2qmap_bids import __version__
from mri2qmap_bids.config import read_options, read_plugin, write_options
from mri2qmap_bids.errors import (
    DatasetError,
    DeviceError,
    InputError,
    LevelError,
    MemoryLimitError,
    Mri2QmapError,
    NothingSelectedError,
    OutputError,
    UsageError,
)
from mri2qmap_bids.help_formatter import HelpFormatter
from mri2qmap_bids.logs import configure_logging
from mri2qmap_bids.recon.methods.registry import (
    SUMMARIES,
    method_named,
    method_names,
    resolved,
    sloppy,
)
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.planning.resources import available_cores, usable_memory_gb
from mri2qmap_bids.settings import PLUGINS, Settings

if TYPE_CHECKING:
    from mri2qmap_bids.dataset.query import MRFRun, Selection
    from mri2qmap_bids.workflow.graph import Outcome

logger = logging.getLogger(__name__)

_ADVICE: dict[type[Mri2QmapError], str] = {
    MemoryLimitError: "; allow more memory (--mem, --gpu-mem), or use a smaller --matrix or --rank",
    DeviceError: "; check the driver (and --gpus all / --nv in a container) or use --device cpu",
}
_LEVELS = ("participant", "group")
_NOT_RUN = "%s: not run, since another run failed"
_WORK_FOLDERS = ("crashes", "dictionaries", "group", "mri2qmap_wf", "reports_wf")
_WORK_FILES = ("graph",)
_RAW_FOLDERS = re.compile(r"^(sub-[^/]+|sourcedata|code|stimuli|phenotype)(/|$)")


class _Parser(argparse.ArgumentParser):
    """A parser that raises :class:`UsageError` instead of exiting."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def build_parser() -> argparse.ArgumentParser:
    """The command line of ``mri2qmap``."""
    parser = _Parser(
        prog="mri2qmap",
        description="Reconstruct T1, T2 and M0 maps from raw MR Fingerprinting data in a BIDS dataset.",
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("bids_dir", type=Path, help="root of the raw BIDS dataset")
    parser.add_argument("output_dir", type=Path, help="root of the derivative dataset to write")
    parser.add_argument("analysis_level", type=_level, choices=_LEVELS, help="level of processing")
    parser.add_argument("--version", "-V", action="version", version=f"mri2qmap {__version__}")
    _add_selection(parser.add_argument_group("selection"))
    _add_reconstruction(parser.add_argument_group("reconstruction"))
    _add_resources(parser.add_argument_group("resources"))
    return parser


def _add_selection(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--participant-label",
        "--participant_label",
        "--participant-labels",
        "--participant_labels",
        nargs="+",
        default=[],
        metavar="LABEL",
        help="participants to process, with or without sub-, or files with one label per line (a value "
        "with a dot or a slash is a file; default: all)",
    )
    group.add_argument(
        "--session-label",
        "--session_label",
        "--session-id",
        "--session_id",
        nargs="+",
        default=[],
        metavar="LABEL",
        help="sessions to process, with or without ses- (default: all)",
    )
    group.add_argument(
        "--acquisition-label",
        "--acquisition_label",
        nargs="+",
        default=[],
        metavar="LABEL",
        help="acquisitions to process, with or without acq- (default: all)",
    )
    group.add_argument(
        "--run-label",
        "--run_label",
        nargs="+",
        default=[],
        metavar="INDEX",
        help="runs to process, with or without run- (default: all)",
    )
    group.add_argument(
        "--bids-filter-file",
        type=Path,
        metavar="FILE",
        help='JSON file that selects runs by BIDS entities: {"mrf": {"session": "a"}}; B1 maps under "b1"',
    )
    group.add_argument(
        "-d",
        "--derivatives",
        nargs="+",
        default=[],
        metavar="NAME=PATH",
        help="derivative datasets with B1 maps, or with segmentations for the group level",
    )
    group.add_argument(
        "--ignore",
        nargs="+",
        default=[],
        choices=("b1",),
        help="available inputs to ignore (b1: B1 maps)",
    )
    group.add_argument(
        "--bids-database-dir",
        type=Path,
        metavar="DIR",
        help="directory to keep the pybids index in",
    )
    group.add_argument("--bids-database-wipe", action="store_true", help="rebuild that index")
    group.add_argument(
        "--skip-bids-validation",
        "--skip_bids_validation",
        "--skip-bids-validator",
        "--skip_bids_validator",
        action="store_true",
        help="accepted for compatibility with other BIDS-Apps, without effect: the files that are read are always "
        "checked, others never",
    )
    group.add_argument(
        "--dry-run",
        action="store_true",
        help="list the runs with their predicted memory and time, and exit",
    )
    group.add_argument(
        "--boilerplate-only",
        action="store_true",
        help="write the methods section with its references to logs/CITATION.*, and exit",
    )


def _add_reconstruction(group: argparse._ArgumentGroup) -> None:
    options = ReconOptions()
    group.add_argument(
        "--recon-method",
        choices=method_names(),
        default=options.method,
        help="reconstruction method: "
        + "; ".join(f"{name}: {summary}" for name, summary in SUMMARIES.items()),
    )
    group.add_argument(
        "--device",
        default=options.device,
        metavar="{auto,cpu,cuda,cuda:N}",
        help="device to compute on",
    )
    group.add_argument(
        "--matrix",
        nargs="+",
        type=int,
        metavar="N",
        help="matrix size over the scan's field of view: N, or NX NY NZ (default: that of the file)",
    )
    group.add_argument(
        "--rank",
        type=int,
        help="dimension of the temporal subspace (default: by the fingerprints' energy)",
    )
    group.add_argument(
        "--n-iterations",
        type=int,
        help="maximum number of iterations of the solver, which stops earlier once it has converged (default: "
        "that of the method)",
    )
    group.add_argument(
        "--denoiser",
        metavar="PATH",
        help="file with the weights of the denoiser (.safetensors; default: those of the package)",
    )
    group.add_argument(
        "--sloppy",
        action="store_true",
        help="fast test at low quality: a coarse dictionary, few coils and iterations",
    )
    group.add_argument(
        "--random-seed",
        type=int,
        default=options.random_seed,
        help="seed of all random numbers, for reproducible results",
    )
    group.add_argument(
        "--regularisation",
        type=float,
        metavar="WEIGHT",
        help="weight of the regulariser (subspace: of the smoothness term; lrtv, llr: of total variation "
        "or low rank; pnp: noise level given to the denoiser), relative to the noise "
        "(default: that of the method)",
    )


def _add_resources(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--nprocs",
        "--n-cpus",
        "--n_cpus",
        "--nthreads",
        type=int,
        default=available_cores(),
        help="cores to use at the same time",
    )
    group.add_argument(
        "--omp-nthreads",
        type=int,
        help="cores one step may use (default: nprocs, at most 8)",
    )
    group.add_argument(
        "--mem",
        "--mem-mb",
        "--mem_mb",
        metavar="SIZE",
        help="memory to use, e.g. 16G, or a number of MB (default: 90 %% of the available memory)",
    )
    group.add_argument(
        "--gpu-mem",
        metavar="SIZE",
        help="GPU memory to use, as --mem (default: 90 %% of the free memory)",
    )
    group.add_argument(
        "--low-mem",
        "--low_mem",
        action="store_true",
        help="choose the plan that needs least memory instead of the fastest",
    )
    group.add_argument(
        "-w",
        "--work-dir",
        "--work_dir",
        type=Path,
        default=Path("work"),
        help="directory for intermediate files",
    )
    group.add_argument(
        "--force",
        action="store_true",
        help="repeat runs whose derivatives are up to date",
    )
    group.add_argument(
        "--reports-only",
        action="store_true",
        help="only rewrite the reports, from the existing derivatives",
    )
    group.add_argument(
        "--aggregate-session-reports",
        type=int,
        default=4,
        metavar="N",
        help="maximum number of sessions in one report; a participant with more gets one report per session",
    )
    group.add_argument(
        "--clean-workdir",
        action="store_true",
        help="empty the work directory first, so that no results of an earlier call are reused",
    )
    group.add_argument(
        "--stop-on-first-crash", action="store_true", help="stop all runs when one fails"
    )
    group.add_argument(
        "--write-graph", action="store_true", help="draw the workflow into the work directory"
    )
    group.add_argument(
        "--use-plugin",
        type=Path,
        metavar="FILE",
        help="YAML file with the Nipype plugin that runs the steps: plugin (MultiProc or SLURM) and plugin_args",
    )
    group.add_argument(
        "--config-file",
        type=Path,
        metavar="FILE",
        help="TOML file with options, as each call saves one in logs/; command-line options take precedence",
    )
    group.add_argument(
        "--notrack",
        action="store_true",
        help="accepted for compatibility with other BIDS-Apps, without effect: no usage data are collected",
    )
    group.add_argument(
        "-v", "--verbose", action="count", default=0, help="also log every iteration of the solvers"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    Parameters
    ----------
    argv
        Arguments after the program's name; None takes ``sys.argv``.

    Returns
    -------
    Exit code: 0 done, 1 a run failed, 16 unusable dataset, 17 unknown analysis level, 18 nothing
    selected, 64 invalid command line, 66 file not found, 73 output not writable.
    """
    configure_logging(logging.INFO)
    try:
        arguments = parse(argv)
        level = logging.DEBUG if arguments.verbose else logging.INFO
        configure_logging(level)
        command = shlex.join(["mri2qmap", *(sys.argv[1:] if argv is None else argv)])
        settings = replace(to_settings(arguments), log_level=level, command=command)
        with _private_folder() as private:
            prepare_environment(private)
            if arguments.analysis_level == "group":
                return _group(settings)
            if arguments.reports_only:
                return _reports(settings)
            return _participants(settings, arguments)
    except Mri2QmapError as error:
        logger.error("%s", advised(error))
        return error.exit_code


def advised(error: Mri2QmapError) -> str:
    """An error's text with the options that may solve it."""
    advice = next((text for kind, text in _ADVICE.items() if isinstance(error, kind)), "")
    return f"{error}{advice}"


@contextmanager
def _private_folder() -> Iterator[Path]:
    """A temporary folder of this process, removed at its end, also after SIGTERM."""
    with tempfile.TemporaryDirectory(prefix="mri2qmap-") as name:

        def stop(number: int, _: object) -> None:
            # The sockets to the workers lie in a folder that multiprocessing removes at exit.
            for folder in (name, get_temp_dir()):
                shutil.rmtree(folder, ignore_errors=True)
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

        # Only the main thread may set signal handlers.
        is_main = threading.current_thread() is threading.main_thread()
        before = signal.signal(signal.SIGTERM, stop) if is_main else None
        try:
            yield Path(name)
        finally:
            if is_main:
                signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Arguments from the command line and from ``--config-file``; the command line takes precedence.

    Raises
    ------
    UsageError
        If the file cannot be read or contains unknown options.
    """
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.config_file is not None:
        parser.set_defaults(**read_options(arguments.config_file, parser))
        arguments = parser.parse_args(argv)
    return arguments


def to_settings(arguments: argparse.Namespace) -> Settings:
    """Validated settings from the parsed arguments.

    Raises
    ------
    UsageError
        If values are invalid or contradict each other.
    InputError
        If a named file does not exist.
    """
    bids_dir, output_dir = arguments.bids_dir.absolute(), arguments.output_dir.absolute()
    _check_output(bids_dir.resolve(), output_dir.resolve())
    for name in ("nprocs", "omp_nthreads", "rank", "n_iterations", "aggregate_session_reports"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} must be at least 1, got {value}")
    if arguments.random_seed < 0:
        raise UsageError(f"--random-seed must be at least 0, got {arguments.random_seed}")
    _check_regularisation(arguments.regularisation, arguments.recon_method)
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", arguments.device):
        raise UsageError(f"--device must be auto, cpu, cuda or cuda:N, got {arguments.device}")
    if arguments.denoiser and not Path(arguments.denoiser).is_file():
        raise InputError(f"--denoiser must be a file, got {arguments.denoiser}")
    n_procs = arguments.nprocs
    recon = ReconOptions(
        method=arguments.recon_method,
        n_iterations=arguments.n_iterations,
        regularisation=arguments.regularisation,
        denoiser=str(Path(arguments.denoiser).absolute()) if arguments.denoiser else None,
        rank=arguments.rank,
        matrix=_matrix(arguments.matrix),
        device=arguments.device,
        random_seed=arguments.random_seed,
    )
    plugin, plugin_args = (
        read_plugin(arguments.use_plugin) if arguments.use_plugin else (PLUGINS[0], {})
    )
    return Settings(
        bids_dir=bids_dir,
        output_dir=output_dir,
        work_dir=arguments.work_dir.absolute(),
        participants=_labels(_with_files(arguments.participant_label), "sub-"),
        sessions=_labels(arguments.session_label, "ses-"),
        acquisitions=_labels(arguments.acquisition_label, "acq-"),
        runs=_labels(arguments.run_label, "run-"),
        derivatives=_derivatives(arguments.derivatives),
        b1_ignored="b1" in arguments.ignore,
        filter_file=arguments.bids_filter_file,
        database_dir=arguments.bids_database_dir,
        database_renewed=arguments.bids_database_wipe,
        stop_on_first_crash=arguments.stop_on_first_crash,
        write_graph=arguments.write_graph,
        clean_work_dir=arguments.clean_workdir,
        plugin=plugin,
        plugin_args=plugin_args,
        most_sessions=arguments.aggregate_session_reports,
        n_procs=n_procs,
        omp_threads=min(arguments.omp_nthreads or min(n_procs, 8), n_procs),
        memory_gb=(
            usable_memory_gb() if arguments.mem is None else _gigabytes("--mem", arguments.mem)
        ),
        gpu_memory_gb=(
            None if arguments.gpu_mem is None else _gigabytes("--gpu-mem", arguments.gpu_mem)
        ),
        low_memory=arguments.low_mem,
        recon=resolved(sloppy(recon) if arguments.sloppy else recon),
    )


def prepare_environment(private: Path) -> None:
    """Defaults for libraries that write or connect when they are imported.

    Numba and matplotlib need a writable cache, pybids a home, and Nipype asks a server
    for its newest version: none of it may stop or delay a run in a read-only container.

    Parameters
    ----------
    private
        A directory of this process alone.
    """
    os.environ.setdefault("HOME", str(private))
    os.environ.setdefault("NUMBA_CACHE_DIR", str(private / "numba"))
    os.environ.setdefault("MPLCONFIGDIR", str(private / "matplotlib"))
    os.environ.update(NO_ET="1", NIPYPE_NO_ET="1")
    # Threads that spin while they wait take the cores from whoever else is on the machine:
    # with both cores of two busy, a reconstruction took 6.4 s spinning and 2.7 s sleeping.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _participants(settings: Settings, arguments: argparse.Namespace) -> int:
    """The participant level: index, reconstruct, sum up."""
    selection = _select(settings)
    if arguments.boilerplate_only:
        return _boilerplate_only(selection, settings)
    skipped = () if arguments.force else _up_to_date(selection, settings)
    for run in skipped:
        logger.info("%s: skipped: its derivatives are up to date (--force repeats it)", run.name)
    selection = replace(selection, runs=tuple(r for r in selection.runs if r not in skipped))
    if arguments.dry_run:
        return _dry_run(selection, settings)
    if not selection.runs:
        failed_reports = _missing_reports(skipped, settings)
        return _sum_up(settings, 0, len(skipped), len(selection.problems), n_reports=failed_reports)
    _make_writable(settings.output_dir, "the output directory")
    if settings.clean_work_dir:
        _empty(settings.work_dir)
    _make_writable(settings.work_dir, "the work directory (-w)")

    from mri2qmap_bids.dataset.derivatives import initialise_dataset
    from mri2qmap_bids.report.contents import pages_of
    from mri2qmap_bids.workflow.graph import execute, init_dataset_wf
    from mri2qmap_bids.workflow.planning import survey
    from mri2qmap_bids.workflow.reports import (
        forget_failures,
        note_failures,
        tell_failures,
        write_reports,
    )

    configure_logging(settings.log_level)
    memory, refused = survey(selection.runs, settings)
    unusable = {name: advised(error) for name, error in refused.items()}
    for name, error in unusable.items():
        logger.error("%s: failed: %s", name, error)
    n_failed = len(selection.problems) + len(unusable)
    runs = [run for run in selection.runs if run.name in memory]
    if not runs or (n_failed and settings.stop_on_first_crash):
        for run in runs:
            logger.warning(_NOT_RUN, run.name)
        return _sum_up(settings, 0, len(skipped), n_failed, len(runs))
    initialise_dataset(
        settings.output_dir,
        "MR Fingerprinting maps by mri2qmap",
        raw_dataset=settings.bids_dir,
        derivatives=settings.derivatives,
    )
    write_options(arguments, settings.output_dir / "logs")
    forget_failures(runs, settings)
    pages = pages_of(
        settings.output_dir,
        [run.entities["sub"] for run in runs],
        settings.most_sessions,
        *(run.entities for run in runs),
    )
    begun = [page for page in pages if any(page.holds(run.entities) for run in runs)]
    outcome = execute(init_dataset_wf(runs, settings, memory, begun), settings)
    n_done, n_crashed, n_left = _told(runs, outcome)
    failed_reports = tell_failures(begun, outcome.failures)
    unlucky = note_failures((*selection.problems, *unusable.items()), runs, outcome, settings)
    # A page waits for all its runs; those with a failed one are written now.
    later = pages_of(settings.output_dir, unlucky, settings.most_sessions)
    later += [page for page in begun if page not in later and page.node not in outcome.reported]
    crashed = {failure.node.split(".")[-1] for failure in outcome.failures}
    failed_reports += write_reports([p for p in later if p.node not in crashed], settings)
    failed_reports += _missing_reports(skipped, settings)
    return _sum_up(
        settings, n_done, len(skipped), n_failed + n_crashed, n_left, n_reports=failed_reports
    )


def _missing_reports(runs: "Sequence[MRFRun]", settings: Settings) -> int:
    """Write the pages of runs that are up to date, where they are not there; how many failed."""
    from mri2qmap_bids.report.contents import pages_of

    participants = [run.entities["sub"] for run in runs]
    pages = pages_of(settings.output_dir, participants, settings.most_sessions)
    missing = [page for page in pages if not (settings.output_dir / page.file).is_file()]
    if not missing:
        return 0
    from mri2qmap_bids.workflow.reports import write_reports

    _make_writable(settings.work_dir, "the work directory (-w)")
    configure_logging(settings.log_level)
    return write_reports(missing, settings)


def _reports(settings: Settings) -> int:
    """Reports from the existing derivatives, without reading raw data."""
    from mri2qmap_bids.report.contents import pages_of, participants_of

    there = participants_of(settings.output_dir)
    if not there:
        raise DatasetError(
            f"{settings.output_dir}: must hold maps sub-*/[ses-*/]anat/*_T1map.nii.gz for "
            "--reports-only, got none; run without it first"
        )
    chosen = [
        label for label in there if not settings.participants or label in settings.participants
    ]
    if not chosen:
        raise NothingSelectedError(
            f"--participant-label must be among {', '.join(there)}, got "
            f"{', '.join(settings.participants)}"
        )
    _make_writable(settings.output_dir, "the output directory")
    _make_writable(settings.work_dir, "the work directory (-w)")
    from mri2qmap_bids.workflow.reports import write_reports

    configure_logging(settings.log_level)
    pages = pages_of(settings.output_dir, chosen, settings.most_sessions)
    failed = write_reports(pages, settings)
    logger.info(
        "%d report(s) written, %d failed: %s", len(pages) - failed, failed, settings.output_dir
    )
    return 1 if failed else 0


def _told(runs: "Sequence[MRFRun]", outcome: "Outcome") -> tuple[int, int, int]:
    """Log the outcome of every run; count those done, failed, and not run."""
    from mri2qmap_bids.workflow.graph import branch_name

    reasons = {failure.node.split(".")[1]: failure for failure in outcome.failures}
    n_done, n_failed, n_left = 0, 0, 0
    for run in runs:
        branch = branch_name(run)
        if branch in reasons:
            failure = reasons[branch]
            logger.error("%s: failed: %s [%s]", run.name, failure.reason, failure.crash_file)
            n_failed += 1
        elif branch in outcome.done:
            logger.info("%s: done", run.name)
            n_done += 1
        else:
            logger.warning(_NOT_RUN, run.name)
            n_left += 1
    return n_done, n_failed, n_left


def _select(settings: Settings) -> "Selection":
    """The selected runs; those that cannot be processed are logged."""
    from mri2qmap_bids.dataset.query import Filters, Index, find_runs, read_filter_file

    filters = Filters(
        settings.participants,
        settings.sessions,
        settings.acquisitions,
        settings.runs,
        read_filter_file(settings.filter_file) if settings.filter_file else {},
        read_filter_file(settings.filter_file, "b1") if settings.filter_file else {},
        settings.b1_ignored,
        settings.derivatives,
    )
    index = Index(settings.database_dir, settings.database_renewed)
    selection = find_runs(settings.bids_dir, filters, index)
    logger.info("%d run(s) found", len(selection.runs) + len(selection.problems))
    for name, reason in selection.problems:
        logger.error("%s: failed: %s", name, reason)
    return selection


def _sum_up(
    settings: Settings,
    n_done: int,
    n_skipped: int,
    n_failed: int,
    n_left: int = 0,
    n_reports: int = 0,
) -> int:
    """Write the methods section, log the last line, return the exit code; ``n_reports`` reports failed."""
    from mri2qmap_bids.dataset.boilerplate import works_in, write_boilerplate

    works = works_in(settings.output_dir)
    if works:
        write_boilerplate(works, settings.output_dir)
    left = f", {n_left} not run" if n_left else ""
    left += f", {n_reports} report(s) failed" if n_reports else ""
    logger.info(
        "%d done, %d skipped, %d failed%s: %s",
        n_done,
        n_skipped,
        n_failed,
        left,
        settings.output_dir,
    )
    return 1 if n_failed or n_left or n_reports else 0


def _up_to_date(selection: "Selection", settings: Settings) -> "tuple[MRFRun, ...]":
    """Runs whose derivatives exist and were made from these inputs with these options."""
    from mri2qmap_bids.dataset.checksum import inputs_checksum, is_up_to_date

    found = []
    for run in selection.runs:
        try:
            b1_file = run.b1.path if run.b1 else None
            checksum = inputs_checksum(run.path, run.metadata, settings.recon, b1_file)
        except OSError:
            continue  # the run itself will say what is wrong
        if is_up_to_date(settings.output_dir, run.entities, checksum):
            found.append(run)
    return tuple(found)


def _dry_run(selection: "Selection", settings: Settings) -> int:
    """Print every run with its plan; log runs that cannot be processed."""
    from mri2qmap_bids.workflow.planning import plans_of

    n_failed = len(selection.problems)
    for run in selection.runs:
        sys.stdout.write(f"{run.name}\t{run.path}\n")
        try:
            plan = plans_of(run, settings)[0]
        except Mri2QmapError as error:
            logger.error("%s: failed: %s", run.name, advised(error))
            n_failed += 1
            continue
        sys.stdout.write(f"    {plan}\n")
        for stage in plan.stages:
            where = f"{stage.device / 1e9:6.2f} GB"
            if stage.host:
                where += f" on the GPU, {stage.host / 1e9:6.2f} GB"
            sys.stdout.write(f"    {stage.name:24s} {where} {stage.seconds:8.1f} s\n")
    return 1 if n_failed else 0


def _boilerplate_only(selection: "Selection", settings: Settings) -> int:
    """Write the methods section for the selected runs."""
    from mri2qmap_bids.dataset.boilerplate import planned_work, write_boilerplate

    works, n_failed = [], len(selection.problems)
    for run in selection.runs:
        try:
            works.append(planned_work(run, settings.recon))
        except Mri2QmapError as error:
            logger.error("%s: failed: %s", run.name, advised(error))
            n_failed += 1
    if works:
        _make_writable(settings.output_dir, "the output directory")
        write_boilerplate(works, settings.output_dir)
        logger.info("Methods: %s", settings.output_dir / "logs" / "CITATION.md")
    return 1 if n_failed else 0


def _group(settings: Settings) -> int:
    """The group level: tables over all participants' maps."""
    from mri2qmap_bids.dataset.group import GroupFilters, write_group_tables

    _make_writable(settings.output_dir, "the output directory")
    tables = write_group_tables(
        settings.output_dir,
        GroupFilters(
            settings.participants, settings.sessions, settings.acquisitions, settings.runs
        ),
        settings.derivatives,
        settings.work_dir / "group",
        settings.n_procs,
    )
    for name, reason in tables.problems:
        logger.error("%s: failed: %s", name, reason)
    logger.info("Group tables: %s", ", ".join(str(path) for path in tables.paths))
    from mri2qmap_bids.report.group import write_group_report

    logger.info("Group report: %s", write_group_report(settings.output_dir))
    return 1 if tables.problems else 0


def _check_regularisation(weight: float | None, method: str) -> None:
    if weight is None:
        return
    if method_named(method).regularisation is None:
        weighing = [n for n in method_names() if method_named(n).regularisation is not None]
        raise UsageError(
            f"--regularisation needs --recon-method of {', '.join(weighing)}, got {method}"
        )
    if not 0 <= weight < float("inf"):
        raise UsageError(f"--regularisation must be at least 0, got {weight:g}")


def _check_output(bids_dir: Path, output_dir: Path) -> None:
    suggestion = bids_dir / "derivatives" / "mri2qmap"
    if output_dir == bids_dir:
        raise UsageError(
            f"output_dir must be another directory than bids_dir, got {output_dir}; try {suggestion}"
        )
    if output_dir.is_relative_to(bids_dir):
        inside = output_dir.relative_to(bids_dir).as_posix()
        if _RAW_FOLDERS.match(inside):
            raise UsageError(
                f"output_dir must not lie in the raw data, got {output_dir}; try {suggestion}"
            )


def _empty(work_dir: Path) -> None:
    """Remove a work directory, if it is one of this program's.

    Raises
    ------
    UsageError
        If it holds anything else.
    """
    if not work_dir.exists():
        return
    foreign = sorted(
        path.name
        for path in work_dir.iterdir()
        if path.name not in _WORK_FOLDERS
        and path.name.split(".")[0].split("_")[0] not in _WORK_FILES
    )
    if foreign:
        raise UsageError(
            f"--clean-workdir: {work_dir} must hold nothing but {', '.join(_WORK_FOLDERS)}, got "
            f"{', '.join(foreign[:5])}"
        )
    shutil.rmtree(work_dir)


def _make_writable(directory: Path, name: str) -> None:
    """Make a directory and try to write in it."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".tmp-"):
            pass
    except OSError as error:
        raise OutputError(
            f"{name} must be writable, got {directory}: {error.strerror or error}"
        ) from error


def _level(word: str) -> str:
    if word not in _LEVELS:
        raise LevelError(f"analysis_level must be one of {', '.join(_LEVELS)}, got {word}")
    return word


def _with_files(words: Sequence[str]) -> list[str]:
    """The values, with files replaced by the first column of their lines."""
    found: list[str] = []
    for word in words:
        if not re.search(r"[./]", word):
            found.append(word)
            continue
        try:
            lines = Path(word).read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise InputError(
                f"--participant-label {word}: must be labels, or a file with one label per line, got: {error}"
            ) from error
        columns = [line.split()[0] for line in lines if line.strip()]
        # participants.tsv is such a file, too.
        found += [label for label in columns if label != "participant_id"]
    return found


def _labels(words: Sequence[str], prefix: str) -> tuple[str, ...]:
    """Labels without prefix, from values that may contain several, separated by commas."""
    labels = [label.strip() for word in words for label in word.split(",")]
    found = tuple(dict.fromkeys(label.removeprefix(prefix) for label in labels if label))
    wrong = [label for label in found if not re.fullmatch(r"[0-9A-Za-z+]+", label)]
    if wrong:
        raise UsageError(f"labels must be of letters and digits, got {', '.join(wrong)}")
    return found


def _derivatives(words: Sequence[str]) -> tuple[tuple[str, Path], ...]:
    """(name, root) of datasets from NAME=PATH, or PATH named by its last part."""
    found: dict[str, Path] = {}
    for word in words:
        name, _, place = word.rpartition("=")
        path = Path(place).absolute()
        name = name or path.name
        if not re.fullmatch(r"[0-9A-Za-z_.-]+", name) or name == "raw" or name in found:
            raise UsageError(
                "--derivatives must be NAME=PATH, each NAME once, of letters, digits and ._- and not "
                f"raw, got {word}"
            )
        if not path.is_dir():
            raise InputError(f"--derivatives {word}: must be a directory, got no such directory")
        found[name] = path
    return tuple(found.items())


def _matrix(values: Sequence[int] | None) -> tuple[int, int, int] | None:
    """Voxels along (z, y, x) from N or NX NY NZ."""
    if values is None:
        return None
    if len(values) not in (1, 3) or min(values) < 4:
        raise UsageError(f"--matrix must be N or NX NY NZ, each at least 4, got {list(values)}")
    x, y, z = values if len(values) == 3 else (values[0],) * 3
    return z, y, x


def _gigabytes(name: str, size: str) -> float:
    """Memory from a size such as 16G, 512M or 16000 (MB)."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?", size.strip(), re.IGNORECASE)
    if not match:
        raise UsageError(f"{name} must be a size such as 16G, or a number of MB, got {size}")
    factor = {"K": 1e-6, "M": 1e-3, "": 1e-3, "G": 1.0, "T": 1e3}[match[2].upper()]
    return float(match[1]) * factor

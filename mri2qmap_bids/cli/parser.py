"""The command line's arguments, and those of a file of options."""

import argparse
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from mri2qmap_bids import __version__
from mri2qmap_bids.cli.config import read_options
from mri2qmap_bids.errors import LevelError, UsageError
from mri2qmap_bids.help_formatter import HelpFormatter
from mri2qmap_bids.recon.methods.registry import SUMMARIES, method_names
from mri2qmap_bids.recon.options import INVERSION_EFFICIENCIES, ReconOptions
from mri2qmap_bids.recon.planning.resources import available_cores

_LEVELS = ("participant", "group")
_END_OF_HELP = """\
examples:
  # list the runs, with the predicted memory and time of each
  mri2qmap data out participant --dry-run
  # maps and reports of two participants, with intermediate files on a local disk
  mri2qmap data out participant --participant-label 01 02 -w /tmp/work

documentation:
  the folder docs/ of the source; `make docs` there makes pages of it
"""


class _HelpFormatter(HelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Help whose end keeps its lines."""


class _Parser(argparse.ArgumentParser):
    """A parser that raises :class:`UsageError` instead of exiting."""

    def error(self, message: str) -> NoReturn:
        hints = self._similar(message.partition("unrecognized arguments: ")[2].split())
        hint = f" (did you mean {' or '.join(hints)}?)" if hints else ""
        raise UsageError(f"{message}{hint}; see {self.prog} --help")

    def _similar(self, words: Sequence[str]) -> list[str]:
        """Options that are almost as those words are spelt, the closest of each."""
        options = list(self._option_string_actions)
        typed = [word.split("=")[0] for word in words if word.startswith("-")]
        close = [difflib.get_close_matches(word, options, n=1, cutoff=0.7) for word in typed]
        return [option for options in close for option in options]


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


def build_parser() -> argparse.ArgumentParser:
    """The command line of ``mri2qmap``."""
    parser = _Parser(
        prog="mri2qmap",
        description="Reconstruct T1, T2 and M0 maps from raw MR Fingerprinting data in a BIDS dataset.",
        formatter_class=_HelpFormatter,
        epilog=_END_OF_HELP,
        allow_abbrev=False,
    )
    parser.add_argument("bids_dir", type=Path, help="root of the raw BIDS dataset")
    parser.add_argument("output_dir", type=Path, help="root of the derivative dataset to write")
    parser.add_argument("analysis_level", type=_level, choices=_LEVELS, help="level of processing")
    parser.add_argument("--version", "-V", action="version", version=f"mri2qmap {__version__}")
    _add_selection(parser.add_argument_group("selection"))
    _add_reconstruction(parser.add_argument_group("reconstruction"))
    _add_resources(parser.add_argument_group("resources"))
    _add_reports(parser.add_argument_group("reports"))
    _add_execution(parser.add_argument_group("execution"))
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
        help='JSON file that selects runs by BIDS entities: {"mrf": {"session": "a"}}; B1 and B0 maps and '
        'T1w images under "b1", "b0" and "t1w"',
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
        choices=("b1", "b0", "t1w"),
        help="available inputs to ignore (b1: B1 maps, b0: B0 maps, t1w: T1w images, to which maps are registered)",
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


def _add_reconstruction(group: argparse._ArgumentGroup) -> None:
    options = ReconOptions()
    group.add_argument(
        "--output-spaces",
        nargs="+",
        default=["native"],
        choices=("native", "T1w"),
        help="grids to write the maps on: native: that of the scan, always written; T1w: that of the participant's T1w "
        "image, after a rigid registration",
    )
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
        help="dimension of the temporal subspace (default: the smallest with "
        f"{100 * options.energy:g} %% of the fingerprints' energy)",
    )
    group.add_argument(
        "--n-iterations",
        type=int,
        help="maximum number of iterations of the method: solver steps of subspace, lrtv and llr; rounds of denoising "
        "and data consistency of mri2qmap and pnp (default: that of the method)",
    )
    group.add_argument(
        "--inversion-efficiency",
        choices=INVERSION_EFFICIENCIES,
        default=options.inversion_efficiency,
        help="efficiency of the inversion: given: the value of the sidecar; estimate: the one value of 0.5 to 1 for "
        "the whole scan that explains its data best; map: one value per voxel, smoothed over a Gaussian window (12 mm)",
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
        "or low rank; pnp: noise level given to the denoiser), relative to the noise (lrtv: to the weight that "
        "follows from noise and image) (default: that of the method)",
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
        help="GPU memory to use, as --mem (default: 90 %% of the free GPU memory)",
    )
    group.add_argument(
        "--low-mem",
        "--low_mem",
        action="store_true",
        help="choose the plan that needs least memory instead of the fastest",
    )


def _add_reports(group: argparse._ArgumentGroup) -> None:
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
        "--viewer",
        action="store_true",
        help="also write views of T1 and T2 in three planes that follow the mouse, one self-contained HTML file each; "
        "reports written without this option remove them",
    )
    group.add_argument(
        "--fail-on",
        choices=("never", "look", "bad"),
        default="never",
        help="exit with code 65 if a run has this rating by the traffic light of its report, or a worse one (look, "
        "then bad); its maps are written all the same",
    )
    group.add_argument(
        "--boilerplate-only",
        action="store_true",
        help="write the methods section with its references to logs/CITATION.*, and exit",
    )


def _add_execution(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--dry-run",
        action="store_true",
        help="list the runs with their predicted memory and time, and exit",
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
        "--clean-workdir",
        action="store_true",
        help="empty the work directory first, so that no results of an earlier call are reused",
    )
    group.add_argument(
        "--force",
        action="store_true",
        help="repeat runs whose derivatives are up to date",
    )
    group.add_argument(
        "--stop-on-first-crash", action="store_true", help="stop all runs when one fails"
    )
    group.add_argument(
        "--config-file",
        type=Path,
        metavar="FILE",
        help="TOML file with options, as each call saves one in logs/; command-line options take precedence",
    )
    group.add_argument(
        "--use-plugin",
        type=Path,
        metavar="FILE",
        help="YAML file with the Nipype plugin that runs the steps: plugin (MultiProc or SLURM) and plugin_args",
    )
    group.add_argument(
        "--write-graph", action="store_true", help="draw the workflow into the work directory"
    )
    group.add_argument(
        "-v", "--verbose", action="count", default=0, help="also log every iteration of the solvers"
    )
    group.add_argument(
        "--notrack",
        action="store_true",
        help="accepted for compatibility with other BIDS-Apps, without effect: no usage data are collected",
    )


def _level(word: str) -> str:
    if word not in _LEVELS:
        raise LevelError(f"analysis_level must be one of {', '.join(_LEVELS)}, got {word}")
    return word

"""mri2qmap-tools: conversion, simulation, evaluation, training and demo.

Each command is one entry of ``COMMANDS``: a function that adds its arguments to
a parser and a function that runs it.
"""

import argparse
import errno
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mri2qmap_bids import __version__
from mri2qmap_bids.errors import Mri2QmapError, OutputError
from mri2qmap_bids.help_formatter import HelpFormatter
from mri2qmap_bids.standard_output import leave_closed_output, open_standard_output

_PROGRAM = "mri2qmap-tools"
# What a user's file or disk may do; any other answer of the system is a fault of the program.
_STORAGE_FAULTS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.EEXIST, errno.ENOTDIR, errno.EISDIR),
)


@dataclass(frozen=True)
class Command:
    """One subcommand."""

    summary: str
    """One line for the help."""
    add_arguments: Callable[[argparse.ArgumentParser], None]
    """Adds its arguments."""
    run: Callable[[argparse.Namespace], int]
    """Runs the command and returns the exit code; imports what it needs itself."""


def build_parser() -> argparse.ArgumentParser:
    """The whole command line of mri2qmap-tools."""
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="Convert and simulate MR fingerprinting data, evaluate maps and train denoisers.",
    )
    parser.add_argument("-V", "--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="log progress")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        subparser = commands.add_parser(
            name,
            help=command.summary,
            description=command.summary,
            formatter_class=HelpFormatter,
        )
        command.add_arguments(subparser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv
        Arguments after the program's name; None: those of this process.

    Returns
    -------
    Exit code: 0 done, those of :mod:`mri2qmap_bids.errors`, 130 interrupted by Ctrl-C, 141 the reader
    of the output has closed it.
    """
    name = _PROGRAM
    open_standard_output()
    try:
        try:
            arguments = build_parser().parse_args(argv)
            name = f"{_PROGRAM} {arguments.command}"
            level = logging.INFO if arguments.verbose else logging.WARNING
            logging.basicConfig(level=level, format="%(levelname)s %(message)s", stream=sys.stderr)
            return COMMANDS[arguments.command].run(arguments)
        finally:
            sys.stdout.flush()  # here, where a closed pipe has an answer
    except Mri2QmapError as error:
        sys.stderr.write(f"{name}: error: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write(f"{name}: interrupted\n")
        return 128 + signal.SIGINT
    except BrokenPipeError as error:
        return leave_closed_output(error)
    except OSError as error:
        if error.errno not in _STORAGE_FAULTS:
            raise
        place = error.filename2 or error.filename or "the output or temporary directory"
        sys.stderr.write(
            f"{name}: error: {place}: must be accessible, with space left, got: {error.strerror}\n"
        )
        return OutputError.exit_code


def _run_simulate(arguments: argparse.Namespace) -> int:
    """Simulate, write, and print the paths."""
    from mri2qmap_bids.simulate import command

    study, options = command.study(arguments), command.scan_options(arguments)
    from mri2qmap_bids.simulate.study import simulate_study

    for path in simulate_study(arguments.output_dir, study, options):
        sys.stdout.write(f"{path}\n")
    return 0


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``evaluate``."""
    parser.add_argument("estimate_dir", type=Path, help="derivatives to evaluate")
    parser.add_argument("truth_dir", type=Path, help="derivatives with the true maps and a dseg")
    parser.add_argument("--output", type=Path, help="JSON file for the scores")


def _run_evaluate(arguments: argparse.Namespace) -> int:
    """Compare, print the table, write the JSON."""
    from mri2qmap_bids.dataset.scores import compare_datasets, write_scores

    table = compare_datasets(arguments.estimate_dir, arguments.truth_dir)
    if arguments.output:
        write_scores(table, arguments.output)
    sys.stdout.write(table.to_string(index=False, float_format="%.2f") + "\n")
    return 0


def _run_train(arguments: argparse.Namespace) -> int:
    """Train a denoiser and print the path of its weights."""
    from mri2qmap_bids.training.command import run_training

    sys.stdout.write(f"{run_training(arguments)}\n")
    return 0


def _add_demo(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``demo``."""
    parser.add_argument("directory", type=Path, help="output directory")


def _run_demo(arguments: argparse.Namespace) -> int:
    """Simulate, reconstruct and score a small dataset, with group tables."""
    from mri2qmap_bids.simulate.demo import run_demo

    return run_demo(arguments.directory)


def _add_convert(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``convert``."""
    from mri2qmap_bids.convert.arguments import add_arguments

    add_arguments(parser)


def _add_simulate(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``simulate``."""
    from mri2qmap_bids.simulate.arguments import add_arguments

    add_arguments(parser)


def _add_train(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``train``."""
    from mri2qmap_bids.training.arguments import add_arguments

    add_arguments(parser)


def _run_convert(arguments: argparse.Namespace) -> int:
    """Convert one scan and print the path of its raw file."""
    from mri2qmap_bids.convert.command import run_conversion

    sys.stdout.write(f"{run_conversion(arguments)}\n")
    return 0


def _add_sequence_file(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``sequence``."""
    parser.add_argument("pulseq", type=Path, help="Pulseq file (.seq, 1.3 to 1.5)")
    parser.add_argument("output", type=Path, help="JSON sidecar to write")
    parser.add_argument(
        "--frames",
        type=int,
        help="frames of one shot; default: those from one inversion to the next, the period of the flip angles, "
        "or all",
    )


def _run_sequence(arguments: argparse.Namespace) -> int:
    """Write the sidecar and print its path."""
    from mri2qmap_bids.convert.pulseq import write_sequence

    path = write_sequence(arguments.pulseq, arguments.output, arguments.frames)
    sys.stdout.write(f"{path}\n")
    return 0


COMMANDS = {
    "convert": Command(
        "convert a scanner's raw data or arrays to a run of a BIDS dataset",
        _add_convert,
        _run_convert,
    ),
    "sequence": Command(
        "write the sidecar of the pulse sequence that a Pulseq file plays",
        _add_sequence_file,
        _run_sequence,
    ),
    "simulate": Command(
        "make a BIDS dataset of simulated raw MR fingerprinting", _add_simulate, _run_simulate
    ),
    "evaluate": Command(
        "compare maps with the true ones: errors per tissue, as a table and JSON",
        _add_evaluate,
        _run_evaluate,
    ),
    "train": Command(
        "train a denoiser on weighted images and on contrasts synthesised from labels",
        _add_train,
        _run_train,
    ),
    "demo": Command(
        "simulate a small dataset, reconstruct it and score the maps", _add_demo, _run_demo
    ),
}


if __name__ == "__main__":
    sys.exit(main())

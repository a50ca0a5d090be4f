"""mri2qmap-tools: conversion, simulation, evaluation, training and demo.

Each command is one entry of ``COMMANDS``: a function that adds its arguments to
a parser and a function that runs it.
"""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mri2qmap_bids import __version__
from mri2qmap_bids.errors import Mri2QmapError
from mri2qmap_bids.help_formatter import HelpFormatter


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
        prog="mri2qmap-tools",
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
    The exit code (see :mod:`mri2qmap_bids.errors`).
    """
    arguments = build_parser().parse_args(argv)
    level = logging.INFO if arguments.verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(message)s", stream=sys.stderr)
    try:
        return COMMANDS[arguments.command].run(arguments)
    except Mri2QmapError as error:
        sys.stderr.write(f"mri2qmap-tools {arguments.command}: error: {error}\n")
        return error.exit_code


def _add_simulate(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``simulate``."""
    parser.add_argument("output_dir", type=Path, help="BIDS dataset to create or extend")
    _add_runs(parser.add_argument_group("runs"))
    _add_phantom(parser.add_argument_group("digital brain"))
    _add_grid(parser.add_argument_group("field of view"))
    _add_sequence(parser.add_argument_group("pulse sequence"))
    _add_readout(parser.add_argument_group("readout"))
    _add_file(parser.add_argument_group("raw file"))


def _add_runs(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--participants", type=int, default=1, help="simulate sub-01 to sub-N")
    group.add_argument("--sub", nargs="+", help="participant labels, instead of --participants")
    group.add_argument(
        "--sessions", type=int, default=0, help="simulate sessions 1 to N of each; 0: none"
    )
    group.add_argument("--ses", nargs="+", help="session labels, instead of --sessions")
    group.add_argument("--acq", help="label of the acquisition")
    group.add_argument("--run", help="index of the run")
    group.add_argument("--seed", type=int, default=0, help="seed of all random numbers")
    group.add_argument("--overwrite", action="store_true", help="replace existing runs")


def _add_phantom(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--phantom",
        choices=("mni152", "maps", "brainweb"),
        help="mni152 (the default), measured maps (--maps) or BrainWeb labels (--labels)",
    )
    group.add_argument(
        "--maps",
        nargs="+",
        type=Path,
        metavar="NIFTI",
        help="T1map and T2map [s], optionally followed by M0map and dseg",
    )
    group.add_argument("--labels", type=Path, help="BrainWeb label file (.mnc.gz or NIfTI)")
    group.add_argument(
        "--point-spread",
        type=float,
        metavar="VOXELS",
        help="standard deviation of the Gaussian blur of digital brains; default 0.6; 0: no blur, a voxel "
        "is the average of the labels inside it",
    )


def _add_grid(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--dimension", choices=("2D", "3D"), default="2D", help="slices or a volume")
    group.add_argument(
        "--matrix",
        nargs="+",
        type=int,
        help="matrix size: N, or along x, y[, z]; default 96 (2D) or 40 (3D)",
    )
    group.add_argument(
        "--fov",
        nargs="+",
        type=float,
        help="field of view in mm: one value, or along x, y[, z]; default: the head",
    )
    group.add_argument("--slices", type=int, default=1, help="number of 2D slices")
    group.add_argument("--slice-thickness", type=float, default=5.0, help="slice thickness in mm")
    group.add_argument("--slice-gap", type=float, default=0.0, help="gap between slices in mm")
    group.add_argument(
        "--oblique",
        nargs=3,
        type=float,
        default=(0.0, 0.0, 0.0),
        help="rotation in degrees about L, P, S",
    )
    group.add_argument(
        "--offset", nargs=3, type=float, default=(0.0, 0.0, 0.0),
        help="offset in mm from the centre of the head to the right, anterior and superior",
    )  # fmt: skip


def _add_sequence(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--sequence", choices=("FISP", "bSSFP"), default="FISP", help="type of pulse sequence"
    )
    group.add_argument(
        "--frames", type=int, help="number of frames; default: all of a given sequence, or 500"
    )
    group.add_argument(
        "--flip-angles", type=Path, help="text file with one flip angle [deg] per frame"
    )
    group.add_argument(
        "--repetition-times", type=Path, help="text file with one repetition time [ms] per frame"
    )
    group.add_argument(
        "--echo-time", type=float, help="echo time in ms; default 2 (FISP) or TR/2 (bSSFP)"
    )
    group.add_argument(
        "--inversion-time",
        type=float,
        default=20.0,
        help="inversion time in ms; negative: no inversion",
    )
    group.add_argument(
        "--prep-time",
        type=float,
        help="time from one shot to the next in s; default: full recovery",
    )
    group.add_argument(
        "--sidecar", type=Path, help="JSON sidecar of a run whose pulse sequence to use"
    )
    group.add_argument(
        "--slice-profile",
        metavar="SHAPE:TB",
        help="RF pulse whose flip angles across the 2D slice to simulate: sinc or SLR, and its "
        "time-bandwidth product, e.g. sinc:4; default: the nominal flip angle everywhere",
    )


def _add_readout(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--trajectory",
        choices=("spiral", "radial", "cartesian", "stack-of-spirals", "stack-of-stars"),
        default="spiral",
        help="type of trajectory; in 3D spiral means rotated discs, radial a koosh-ball; stacks are 3D only",
    )
    group.add_argument(
        "--spiral-density",
        nargs=3,
        type=float,
        metavar=("A", "P", "TURNS"),
        help="variable-density spiral with TURNS turns: radius A s + (1 - A) s^P relative to the edge, "
        "s in 0..1; default nearly uniform",
    )
    group.add_argument(
        "--in-out", action="store_true", help="spirals from edge to edge through the centre"
    )
    group.add_argument(
        "--sample-spacing",
        type=float,
        metavar="CYCLES",
        help="cycles per field of view between samples along a spiral; default 0.75",
    )
    group.add_argument(
        "--arm-order",
        choices=("golden", "tiny-golden", "random"),
        default="golden",
        help="order of the angles, lines and planes of arms from frame to frame",
    )
    group.add_argument("--arms", type=int, help="number of arms of a fully sampled frame")
    group.add_argument(
        "--acceleration",
        type=float,
        help="undersampling factor, in arms; default 8 (2D) or 48 (3D)",
    )
    group.add_argument("--coils", type=int, default=8, help="number of receive coils")
    group.add_argument(
        "--coil-radius",
        type=float,
        default=1.25,
        help="distance of the coils from the axis in units of half the field of view; the larger, the more "
        "their sensitivities overlap",
    )
    group.add_argument(
        "--noise",
        type=float,
        default=0.1,
        help="standard deviation of the noise relative to the rms signal",
    )
    group.add_argument(
        "--b1",
        type=float,
        default=0.0,
        metavar="PART",
        help="largest deviation of the transmit field from nominal, e.g. 0.2; writes a B1 map too",
    )
    group.add_argument(
        "--off-resonance",
        type=float,
        default=0.0,
        metavar="HZ",
        help="largest off-resonance frequency, e.g. 100; 2D; writes a B0 map too",
    )
    group.add_argument(
        "--dwell-time",
        type=float,
        default=2.5,
        metavar="US",
        help="time between samples",
    )


def _add_file(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--trajectory-units",
        choices=("cycles/fov", "cycles/pixel", "rad/pixel"),
        default="cycles/fov",
        help="unit of the stored trajectory",
    )
    group.add_argument(
        "--frame-counter",
        choices=(
            "contrast", "repetition", "kspace_encode_step_2", "phase", "set", "segment", "order",
        ),
        default="contrast",
        help="ISMRMRD counter that holds the frame",
    )  # fmt: skip
    group.add_argument(
        "--discard-pre", type=int, default=0, help="samples to discard at the start of each readout"
    )
    group.add_argument(
        "--discard-post", type=int, default=0, help="samples to discard at the end of each readout"
    )


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


def _add_train(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``train``."""
    parser.add_argument(
        "output",
        type=Path,
        help="weights file to write (.safetensors); the model card and the training curve are written beside it",
    )
    parser.add_argument("--images", type=Path, help="folder of weighted NIfTI volumes, BIDS or not")
    parser.add_argument(
        "--labels",
        nargs="+",
        type=Path,
        default=[],
        help="label files to synthesise contrasts from: BrainWeb's, or, for volumes, with FreeSurfer's numbers",
    )
    parser.add_argument(
        "--slices-per-label",
        type=int,
        default=60,
        help="number of slices taken from each label file",
    )
    parser.add_argument(
        "--hold-out",
        nargs="+",
        required=True,
        help="subjects (beginnings of file names) reserved for validation",
    )
    parser.add_argument(
        "--dimensions",
        type=int,
        choices=(2, 3),
        default=2,
        help="2: a network of slices, 3: of volumes, trained on contrasts as a reconstruction gives them",
    )
    parser.add_argument("--steps", type=int, default=20000, help="optimiser steps")
    parser.add_argument(
        "--seconds", type=float, help="end training after this time, if before the last step"
    )
    parser.add_argument("--batch", type=int, default=16, help="patches per step")
    parser.add_argument(
        "--patch", type=int, help="edge of a patch [voxel]; default: 64, of volumes 48"
    )
    parser.add_argument(
        "--validate-every",
        type=int,
        default=1000,
        help="steps between validations and checkpoints",
    )
    parser.add_argument(
        "--separate",
        action="store_true",
        help="denoise single images of any contrast instead of all contrasts of a slice together",
    )
    parser.add_argument(
        "--width", type=int, default=64, help="number of features at half resolution"
    )
    parser.add_argument(
        "--levels", type=int, default=2, help="number of resolution levels of the network"
    )
    parser.add_argument(
        "--initial",
        type=Path,
        help="initial weights, which also set the network architecture; default: random",
    )
    parser.add_argument("--rate", type=float, default=1e-3, help="maximum learning rate")
    parser.add_argument(
        "--shares",
        nargs=3,
        type=float,
        default=(0.4, 0.35, 0.25),
        metavar=("ANATOMIES", "TURNED", "IMAGES"),
        help="fractions of the patches from anatomies, from T1-weighted images converted to maps, and "
        "from unmodified images",
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--seed", type=int, default=0, help="seed of all random numbers")
    parser.add_argument(
        "--source",
        nargs="+",
        default=[],
        metavar="NAME=LICENCE",
        help="sources of the training data, for the model card",
    )


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

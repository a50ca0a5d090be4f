"""Arguments of ``mri2qmap-tools simulate``."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add all arguments."""
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
        choices=("golden", "tiny-golden", "sequential", "random"),
        default="golden",
        help="order of the angles, lines and planes of arms from frame to frame",
    )
    group.add_argument("--arms", type=int, help="number of arms of a fully sampled frame")
    group.add_argument(
        "--acceleration",
        type=float,
        help="undersampling factor: arms of a fully sampled frame over those acquired in each; the number of frames "
        "stays; default 8 (2D) or 48 (3D)",
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

"""Arguments of ``mri2qmap-tools convert``: one subcommand for each source."""

import argparse
from pathlib import Path

_COUNTERS = (
    "contrast", "repetition", "kspace_encode_step_1", "kspace_encode_step_2", "phase", "set", "segment",
    "average", "order",
)  # fmt: skip
_UNITS = ("cycles/pixel", "cycles/fov", "rad/pixel")
SOURCES = {
    "siemens": ("Siemens raw data (twix, .dat)", "twix file"),
    "ismrmrd": ("ISMRMRD of another converter", "ISMRMRD file (HDF5)"),
    "arrays": (
        "arrays named kspace, trajectory, frames, fov, matrix, trajectory_units, noise, affine and dwell_time",
        ".npz or .mat file",
    ),
    "bart": (
        "BART's .cfl and .hdr",
        "k-space, trajectory and perhaps noise, names without extension",
    ),
}
"""What each source is, and what its inputs are."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a subparser for each source."""
    sources = parser.add_subparsers(dest="source", required=True, metavar="SOURCE")
    for name, (summary, inputs) in SOURCES.items():
        source = sources.add_parser(
            name, help=summary, description=summary, formatter_class=parser.formatter_class
        )
        if name == "bart":
            source.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help=inputs)
        else:
            source.add_argument("inputs", nargs=1, type=Path, metavar="INPUT", help=inputs)
        source.add_argument("bids_dir", type=Path, help="BIDS dataset to create or extend")
        _add_run(source.add_argument_group("run"))
        _add_scan(
            source.add_argument_group("scan"),
            _UNITS if name != "arrays" else (*_UNITS, "cycles/m", "rad/m"),
        )
        if name in ("siemens", "ismrmrd"):
            _add_readouts(source.add_argument_group("readouts"))


def _add_run(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--participant-label", required=True, help="participant, without sub-")
    group.add_argument("--session-label", help="session, without ses-")
    group.add_argument("--acq", help="label of the acquisition")
    group.add_argument("--run", help="index of the run")
    group.add_argument(
        "--sidecar",
        type=Path,
        help="JSON with the pulse sequence (FlipAngle and so on); keys that may identify a person are left out",
    )
    group.add_argument("--overwrite", action="store_true", help="replace the run if it exists")


def _add_scan(group: argparse._ArgumentGroup, units: tuple[str, ...]) -> None:
    group.add_argument(
        "--matrix", nargs="+", type=int, help="voxels along x, y[, z]; default: from the source"
    )
    group.add_argument(
        "--fov",
        nargs="+",
        type=float,
        help="field of view along x, y[, z] in mm, in 2D z is the thickness of a slice; default: from the source",
    )
    group.add_argument("--trajectory-units", choices=units, help="unit of the trajectory")


def _add_readouts(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--frame-counter",
        choices=_COUNTERS,
        default="contrast",
        help="counter that numbers the frames, by its ISMRMRD name (contrast is Siemens' echo); order: the frames of a "
        "shot follow one another",
    )
    group.add_argument(
        "--frames", type=int, help="number of frames; default: those of FlipAngle in the sidecar"
    )
    group.add_argument(
        "--trajectory",
        type=Path,
        metavar="FILE",
        help=".npy, or .npz or .mat with an array named trajectory: (frame, arm, sample, dim) or (readout, "
        "sample, dim); default: that of the source, else Cartesian lines",
    )
    group.add_argument(
        "--pulseq",
        type=Path,
        metavar="FILE",
        help="Pulseq file (.seq, 1.3 to 1.5) that was played: its trajectory, frames, flip angles and times replace "
        "--trajectory and --frame-counter; --frames is needed if it has no inversion and its flip angles do not "
        "repeat",
    )
    group.add_argument(
        "--line-counter",
        choices=("kspace_encode_step_1", "order"),
        default="kspace_encode_step_1",
        help="what numbers the Cartesian lines of a frame; order: their order in the file",
    )
    group.add_argument(
        "--reverse-k",
        choices=("auto", "yes", "no"),
        default="auto",
        help="whether k-space positions count against the directions of read, phase and slice encoding in the file; "
        "auto: yes for Siemens (in ismrmrd files for Cartesian lines), but no with --pulseq and for Pulseq sequences "
        "that label no lines",
    )

"""Runs ``mri2qmap-tools convert`` from its arguments."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mri2qmap_bids.convert.arrays import convert_arrays
from mri2qmap_bids.convert.bart import convert_bart
from mri2qmap_bids.convert.conversion import Conversion, ConversionOptions
from mri2qmap_bids.convert.foreign import convert_ismrmrd
from mri2qmap_bids.convert.sidecar import make_sidecar, n_frames_of, read_user_sidecar
from mri2qmap_bids.convert.siemens import convert_siemens
from mri2qmap_bids.convert.write import write_conversion
from mri2qmap_bids.dataset.rawdataset import check_free
from mri2qmap_bids.errors import InputError, RawDataError, UsageError


def run_conversion(arguments: argparse.Namespace) -> Path:
    """Convert one scan; nothing is written before all of it has been read and checked.

    Parameters
    ----------
    arguments
        As parsed; see :mod:`mri2qmap_bids.convert.arguments`.

    Returns
    -------
    The raw file of the run.

    Raises
    ------
    Mri2QmapError
        If an argument, the source or the sidecar is invalid, or the dataset cannot be written.
    """
    entities = _entities(arguments)
    check_free(arguments.bids_dir, entities, arguments.overwrite)
    user = read_user_sidecar(arguments.sidecar) if arguments.sidecar else {}
    options = _options(arguments)
    train = n_frames_of(user)
    if None not in (options.n_frames, train) and options.n_frames != train:
        raise UsageError(
            f"--frames must be the number of values of FlipAngle in {arguments.sidecar}, {train}, got "
            f"{options.n_frames}"
        )
    options = replace(options, n_frames=options.n_frames or train)
    conversion = _converted(arguments.source, arguments.inputs, options)
    sidecar = make_sidecar(arguments.inputs[0], conversion, user)
    return write_conversion(arguments.bids_dir, entities, conversion, sidecar)


def _converted(source: str, inputs: Sequence[Path], options: ConversionOptions) -> Conversion:
    try:
        if source == "bart":
            if len(inputs) not in (2, 3):
                raise UsageError(
                    f"convert bart: INPUT must be k-space, trajectory and perhaps noise, got {len(inputs)} files"
                )
            return convert_bart(
                inputs[0], inputs[1], inputs[2] if len(inputs) > 2 else None, options
            )
        convert = {
            "siemens": convert_siemens,
            "ismrmrd": convert_ismrmrd,
            "arrays": convert_arrays,
        }[source]
        return convert(inputs[0], options)
    except ValueError as error:  # what a scan's own rules refuse
        raise RawDataError(f"{inputs[0]}: {error}") from error


def _entities(arguments: argparse.Namespace) -> dict[str, str]:
    """BIDS entities of the run."""
    labels = {
        "sub": (arguments.participant_label, "--participant-label"),
        "ses": (arguments.session_label, "--session-label"),
        "acq": (arguments.acq, "--acq"),
        "run": (arguments.run, "--run"),
    }
    entities = {}
    for key, (label, option) in labels.items():
        if label is None:
            continue
        text = label.removeprefix(f"{key}-")
        rule = "[0-9]+" if key == "run" else "[0-9a-zA-Z]+"
        if not re.fullmatch(rule, text):
            kind = "digits" if key == "run" else "letters and digits"
            raise UsageError(f"{option} must be {kind}, got {label!r}")
        entities[key] = text
    return entities


def _options(arguments: argparse.Namespace) -> ConversionOptions:
    """The options of the command line, in SI units."""
    for name in ("matrix", "fov"):
        values = getattr(arguments, name)
        if values is not None and (len(values) not in (1, 2, 3) or min(values) <= 0):
            raise UsageError(f"--{name} must be 1 to 3 numbers above 0, got {values}")
    reverse = {"auto": None, "yes": True, "no": False}
    return ConversionOptions(
        frame_counter=getattr(arguments, "frame_counter", "contrast"),
        n_frames=getattr(arguments, "frames", None),
        matrix=arguments.matrix and tuple(arguments.matrix),
        fov=arguments.fov and tuple(span * 1e-3 for span in arguments.fov),
        trajectory=getattr(arguments, "trajectory", None),
        pulseq=_pulseq(arguments),
        trajectory_units=arguments.trajectory_units,
        line_counter=getattr(arguments, "line_counter", "kspace_encode_step_1"),
        reverse_k=reverse[getattr(arguments, "reverse_k", "auto")],
    )


def _pulseq(arguments: argparse.Namespace) -> Path | None:
    path: Path | None = getattr(arguments, "pulseq", None)
    if path is None:
        return None
    if not path.is_file():
        raise InputError(f"--pulseq must be a file, got {path}")
    if arguments.trajectory is not None:
        raise UsageError(f"--pulseq gives the trajectory: --trajectory must be absent, got {path}")
    return path

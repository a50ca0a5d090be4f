"""Words of the command line made into options, in SI units."""

import argparse
import re
from dataclasses import replace
from typing import TypeVar

import numpy as np

from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence
from mri2qmap_bids.recon.physics.slice_profile import (
    PULSE_SHAPES,
    TIME_BANDWIDTH_LIMITS,
    RFPulse,
    slice_profile,
)
from mri2qmap_bids.simulate.arms import SAMPLE_SPACING, SpiralDensity
from mri2qmap_bids.simulate.phantom import POINT_SPREAD
from mri2qmap_bids.simulate.rawfile import RawFileOptions
from mri2qmap_bids.simulate.scan import PhantomKind, ScanOptions
from mri2qmap_bids.simulate.sequences import from_sidecar, make_sequence, read_train
from mri2qmap_bids.simulate.study import Study
from mri2qmap_bids.simulate.trajectory import Readout
from mri2qmap_bids.simulate.usermaps import MapFiles

_Number = TypeVar("_Number", int, float)

_DEFAULT_FRAMES = 500
_DEFAULT_MATRIX = {"2D": (96,), "3D": (40,)}
_DEFAULT_ACCELERATION = {"2D": 8.0, "3D": 48.0}
# Farther coils are all alike; a wider blur leaves no head.
_LARGEST_OFF_RESONANCE = 2000.0  # Hz
_LARGEST_COIL_RADIUS, _LARGEST_POINT_SPREAD = 10.0, 5.0


def study(arguments: argparse.Namespace) -> Study:
    """Which runs to make.

    Raises
    ------
    UsageError
        If a label is not of letters and digits, or a number is out of range.
    """
    _at_least(arguments.participants, 1, "--participants")
    _at_least(arguments.sessions, 0, "--sessions")
    _at_least(arguments.seed, 0, "--seed")
    subjects = arguments.sub or [f"{i + 1:02d}" for i in range(arguments.participants)]
    sessions = arguments.ses or [str(i + 1) for i in range(arguments.sessions)]
    if arguments.run is not None and not re.fullmatch("[0-9]+", arguments.run):
        raise UsageError(f"--run: must be a whole number, got {arguments.run!r}")
    return Study(
        subjects=[_label(value, "sub-", "--sub") for value in subjects],
        sessions=[_label(value, "ses-", "--ses") for value in sessions],
        acquisition=None if arguments.acq is None else _label(arguments.acq, "acq-", "--acq"),
        run=arguments.run,
        seed=arguments.seed,
        overwrite=arguments.overwrite,
    )


def scan_options(arguments: argparse.Namespace) -> ScanOptions:
    """What to scan and how.

    Raises
    ------
    UsageError
        If options contradict one another or a number is out of range.
    """
    _at_least(arguments.coils, 1, "--coils")
    _at_least(arguments.slices, 1, "--slices")
    for name in ("noise", "slice_gap", "discard_pre", "discard_post"):
        _at_least(getattr(arguments, name), 0, "--" + name.replace("_", "-"))
    if not 0 <= arguments.b1 < 0.7:
        raise UsageError(f"--b1: must be at least 0 and below 0.7, got {arguments.b1:g}")
    if not 1 < arguments.coil_radius <= _LARGEST_COIL_RADIUS:
        raise UsageError(
            f"--coil-radius: must be above 1, outside the field of view, and at most "
            f"{_LARGEST_COIL_RADIUS:g}, got {arguments.coil_radius:g}"
        )
    three = arguments.dimension == "3D"
    if not 0 <= arguments.off_resonance <= _LARGEST_OFF_RESONANCE:
        raise UsageError(
            f"--off-resonance: must be 0 to {_LARGEST_OFF_RESONANCE:g} Hz, got {arguments.off_resonance:g}"
        )
    if three and arguments.off_resonance:
        raise UsageError(
            f"--off-resonance: must go with --dimension 2D, got {arguments.off_resonance:g} Hz in 3D"
        )
    if not 0 < arguments.dwell_time <= 1e3:
        raise UsageError(
            f"--dwell-time: must be above 0 and at most 1000 us, got {arguments.dwell_time:g}"
        )
    phantom = _phantom(arguments)
    matrix = tuple(arguments.matrix or _DEFAULT_MATRIX[arguments.dimension])
    if not three:
        matrix = (*(matrix * 2)[:2], arguments.slices)
    return ScanOptions(
        sequence=_sequence(arguments),
        phantom=phantom,
        labels=arguments.labels,
        maps=_map_files(arguments),
        n_dims=3 if three else 2,
        matrix=matrix,
        fov=None if arguments.fov is None else tuple(mm * 1e-3 for mm in arguments.fov),
        slice_thickness=arguments.slice_thickness * 1e-3,
        slice_gap=arguments.slice_gap * 1e-3,
        oblique=_triple(np.deg2rad(arguments.oblique).tolist()),
        offset=_triple([mm * 1e-3 for mm in arguments.offset]),
        point_spread=_point_spread(arguments, phantom),
        n_coils=arguments.coils,
        coil_radius=arguments.coil_radius,
        trajectory=arguments.trajectory,
        arms=arguments.arms,
        acceleration=_or_default(
            arguments.acceleration, _DEFAULT_ACCELERATION[arguments.dimension]
        ),
        readout=_readout(arguments),
        b1=arguments.b1,
        off_resonance=arguments.off_resonance,
        noise=arguments.noise,
        raw_file=_raw_file(arguments),
    )


def _sequence(arguments: argparse.Namespace) -> PulseSequence:
    """The pulse sequence of the options, with the slice profile of its RF pulse."""
    sequence = _pulses(arguments)
    if arguments.slice_profile is None:
        return sequence
    if arguments.dimension == "3D":
        raise UsageError(
            f"--slice-profile: must go with --dimension 2D, got {arguments.slice_profile} in 3D"
        )
    if sequence.slice_profile:
        raise UsageError("--slice-profile: must not be given with a --sidecar that has one")
    flip_angle = float(sequence.flip_angle.mean())
    if not flip_angle > 0:
        raise UsageError("flip angles: must be above 0 on average with --slice-profile")
    profile = slice_profile(_pulse(arguments.slice_profile), flip_angle)
    return replace(sequence, slice_profile=profile)


def _pulse(words: str) -> RFPulse:
    """The RF pulse of SHAPE:TB."""
    low, high = TIME_BANDWIDTH_LIMITS
    name, _, product = words.partition(":")
    shape = next((shape for shape in PULSE_SHAPES if shape == name), None)
    try:
        time_bandwidth = float(product)
    except ValueError:
        time_bandwidth = 0.0
    if shape is None or not low <= time_bandwidth <= high:
        raise UsageError(
            f"--slice-profile: must be SHAPE:TB with one of {', '.join(PULSE_SHAPES)} and "
            f"{low:g} to {high:g}, got {words}"
        )
    return RFPulse(shape, time_bandwidth)


def _pulses(arguments: argparse.Namespace) -> PulseSequence:
    """Flip angles and times of the options."""
    if arguments.sidecar is not None:
        return from_sidecar(arguments.sidecar, arguments.frames)
    flips = None if arguments.flip_angles is None else np.deg2rad(read_train(arguments.flip_angles))
    times = arguments.repetition_times
    n_frames = _or_default(arguments.frames, _DEFAULT_FRAMES if flips is None else len(flips))
    inversion = arguments.inversion_time
    return make_sequence(
        arguments.sequence,
        n_frames,
        flip_angle=flips,
        repetition_time=None if times is None else read_train(times) * 1e-3,
        echo_time=None if arguments.echo_time is None else arguments.echo_time * 1e-3,
        inversion_time=None if inversion < 0 else inversion * 1e-3,
        preparation_time=arguments.prep_time,
    )


def _phantom(arguments: argparse.Namespace) -> PhantomKind:
    """The phantom asked for, or the one whose files are given."""
    of_files: PhantomKind = "mni152"
    if arguments.maps is not None:
        of_files = "maps"
    if arguments.labels is not None:
        of_files = "brainweb"
    if arguments.maps is not None and arguments.labels is not None:
        raise UsageError("--maps and --labels: must not be given together")
    if arguments.phantom is not None and of_files not in ("mni152", arguments.phantom):
        raise UsageError(f"--phantom: must be {of_files} with these files, got {arguments.phantom}")
    phantom: PhantomKind = arguments.phantom or of_files
    return phantom


def _point_spread(arguments: argparse.Namespace, phantom: PhantomKind) -> float:
    """Blur of a digital brain; measured maps have the scanner's already."""
    spread = arguments.point_spread
    if spread is None:
        return POINT_SPREAD
    if phantom == "maps":
        raise UsageError(f"--point-spread: must go with a digital brain, got {spread:g} and maps")
    if not 0 <= spread <= _LARGEST_POINT_SPREAD:
        raise UsageError(
            f"--point-spread: must be 0 to {_LARGEST_POINT_SPREAD:g} voxels, got {spread:g}"
        )
    return float(spread)


def _readout(arguments: argparse.Namespace) -> Readout:
    """Form and order of the arms."""
    density = arguments.spiral_density
    return Readout(
        density=None if density is None else SpiralDensity(*density),
        in_out=arguments.in_out,
        order=arguments.arm_order,
        sample_spacing=_or_default(arguments.sample_spacing, SAMPLE_SPACING),
    )


def _map_files(arguments: argparse.Namespace) -> MapFiles | None:
    """Files of measured maps, if any."""
    if arguments.maps is None:
        return None
    if not 2 <= len(arguments.maps) <= 4:
        raise UsageError(f"--maps: must be 2 to 4 files, got {len(arguments.maps)}")
    return MapFiles(*arguments.maps)


def _raw_file(arguments: argparse.Namespace) -> RawFileOptions:
    """How the raw file is written."""
    return RawFileOptions(
        trajectory_units=arguments.trajectory_units,
        frame_counter=arguments.frame_counter,
        discard_pre=arguments.discard_pre,
        discard_post=arguments.discard_post,
        slice_thickness=arguments.slice_thickness * 1e-3 if arguments.dimension == "2D" else None,
        dwell_time=arguments.dwell_time * 1e-6,
    )


def _label(value: str, prefix: str, option: str) -> str:
    """A BIDS label without its prefix."""
    label = value.removeprefix(prefix)
    if not re.fullmatch("[0-9a-zA-Z]+", label):
        raise UsageError(f"{option}: must be of letters and digits, got {value!r}")
    return label


def _or_default(value: _Number | None, default: _Number) -> _Number:
    """The value, or the default if there is none; zero is a value."""
    return default if value is None else value


def _at_least(value: float, least: float, option: str) -> None:
    if not value >= least:
        raise UsageError(f"{option}: must be at least {least:g}, got {value:g}")


def _triple(values: list[float]) -> tuple[float, float, float]:
    x, y, z = values
    return x, y, z

"""The flags of an acquisition (ISMRMRD), and whether a line with them is an image line."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.recon.acquisition.note import Note


class Role(StrEnum):
    """What a line is used for."""

    IMAGE = "image"
    NOISE = "noise"
    OTHER = "left out"


@dataclass(frozen=True)
class Flag:
    """One flag of the standard."""

    number: int
    """Bit, counted from 1."""
    name: str
    """As in the standard, without ``ACQ_``."""
    role: Role
    """Of a line that has this flag alone."""
    meaning: str
    """What it means here."""


def _edges() -> Iterable[Flag]:
    """Flags 1 to 18: first and last line of each loop."""
    loops = (
        "ENCODE_STEP1",
        "ENCODE_STEP2",
        "AVERAGE",
        "SLICE",
        "CONTRAST",
        "PHASE",
        "REPETITION",
        "SET",
        "SEGMENT",
    )
    for number, loop in enumerate(loops):
        for offset, edge in enumerate(("FIRST", "LAST")):
            yield Flag(2 * number + offset + 1, f"{edge}_IN_{loop}", Role.IMAGE, "place in a loop")


def _unnamed(numbers: Iterable[int], name: str, meaning: str) -> Iterable[Flag]:
    """Flags that are numbered only."""
    for position, number in enumerate(numbers, 1):
        yield Flag(number, f"{name}{position}", Role.IMAGE, meaning)


_OPEN = "a warning if some image lines have it and others do not"

FLAGS = (
    *_edges(),
    Flag(19, "IS_NOISE_MEASUREMENT", Role.NOISE, "noise scan, whitens the coils"),
    Flag(20, "IS_PARALLEL_CALIBRATION", Role.OTHER, "calibration, unless flag 21 is set, too"),
    Flag(21, "IS_PARALLEL_CALIBRATION_AND_IMAGING", Role.IMAGE, "calibration and image"),
    Flag(22, "IS_REVERSE", Role.IMAGE, "reversed readout, flipped unless it is stored as sampled"),
    Flag(23, "IS_NAVIGATION_DATA", Role.OTHER, "navigator"),
    Flag(24, "IS_PHASECORR_DATA", Role.OTHER, "phase correction"),
    Flag(25, "LAST_IN_MEASUREMENT", Role.IMAGE, "place in a loop"),
    Flag(26, "IS_HPFEEDBACK_DATA", Role.OTHER, "feedback to the scanner"),
    Flag(27, "IS_DUMMYSCAN_DATA", Role.OTHER, "excitation towards the steady state"),
    Flag(28, "IS_RTFEEDBACK_DATA", Role.OTHER, "feedback to the scanner"),
    Flag(
        29,
        "IS_SURFACECOILCORRECTIONSCAN_DATA",
        Role.OTHER,
        "coil correction; image if nearly all lines have it (siemens_to_ismrmrd sets it for raw data correction)",
    ),
    Flag(30, "IS_PHASE_STABILIZATION_REFERENCE", Role.OTHER, "phase stabilisation"),
    Flag(31, "IS_PHASE_STABILIZATION", Role.OTHER, "phase stabilisation"),
    *_unnamed(range(32, 53), "UNDEFINED", f"not defined by the standard; {_OPEN}"),
    *_unnamed(range(53, 57), "COMPRESSION", "how the line was sent; of no meaning in a file"),
    *_unnamed(range(57, 65), "USER", f"defined by the site; {_OPEN}"),
)
"""All 64 flags, in order."""

_BY_NAME = {flag.name: flag for flag in FLAGS}
_NOT_STANDARD = tuple(flag for flag in FLAGS if flag.name.startswith(("UNDEFINED", "USER")))
# From this share of the lines on, a flag is a converter's habit.
_NEARLY_ALL = 0.9


def has_flag(heads: NDArray[Any], name: str) -> NDArray[np.bool_]:
    """Whether each acquisition has a flag.

    Parameters
    ----------
    heads
        Acquisition headers, shape (line,).
    name
        As in FLAGS.
    """
    shift = np.uint64(_BY_NAME[name].number - 1)
    bits: NDArray[np.bool_] = ((heads["flags"].astype(np.uint64) >> shift) & np.uint64(1)) > 0
    return bits


def roles_of(heads: NDArray[Any]) -> tuple[NDArray[Any], tuple[Note, ...]]:
    """What each line is used for, and messages for the log.

    A line has the role IMAGE unless one of its flags has another; noise goes before all. Two
    exceptions: PARALLEL_CALIBRATION with PARALLEL_CALIBRATION_AND_IMAGING is an image line, and
    so is SURFACECOILCORRECTIONSCAN where at least 90 % of the lines that have a trajectory carry it.

    Parameters
    ----------
    heads
        Acquisition headers, shape (line,).

    Returns
    -------
    Roles, shape (line,), and notes.
    """
    notes: list[Note] = []
    exclusions = {
        flag.name: has_flag(heads, flag.name) for flag in FLAGS if flag.role == Role.OTHER
    }
    exclusions["IS_PARALLEL_CALIBRATION"] &= ~has_flag(heads, "IS_PARALLEL_CALIBRATION_AND_IMAGING")
    noise = has_flag(heads, "IS_NOISE_MEASUREMENT")
    habit = "IS_SURFACECOILCORRECTIONSCAN_DATA"
    others = np.any([lines for name, lines in exclusions.items() if name != habit], axis=0)
    candidates = ~noise & ~others & (heads["trajectory_dimensions"] > 0)
    carriers = candidates & exclusions[habit]
    if carriers.any() and carriers.sum() >= _NEARLY_ALL * candidates.sum():
        exclusions[habit] &= ~carriers
        notes.append(
            (
                logging.WARNING,
                f"{carriers.sum()} of {candidates.sum()} lines with a trajectory are flagged {habit}, as "
                "siemens_to_ismrmrd does for raw data correction; they are taken as image lines",
            )
        )
    roles = np.full(len(heads), Role.IMAGE, object)
    for lines in exclusions.values():
        roles[lines] = Role.OTHER
    roles[noise] = Role.NOISE
    notes += _left_out(heads, roles, exclusions)
    notes += _not_standard(heads, roles)
    return roles, tuple(notes)


def _left_out(
    heads: NDArray[Any], roles: NDArray[Any], exclusions: dict[str, NDArray[np.bool_]]
) -> Iterable[Note]:
    """How many lines each flag excludes; a warning where they look like image lines."""
    for name, carriers in exclusions.items():
        lines = carriers & (roles == Role.OTHER)
        if lines.any():
            level = logging.INFO
            if (heads["trajectory_dimensions"][lines] > 0).any():
                level = logging.WARNING
            yield (
                level,
                f"{lines.sum()} of {len(heads)} lines left out: {name.removeprefix('IS_')}",
            )


def _not_standard(heads: NDArray[Any], roles: NDArray[Any]) -> Iterable[Note]:
    """Flags of unknown meaning that set some image lines apart from the others."""
    image = heads[roles == Role.IMAGE]
    for flag in _NOT_STANDARD:
        count = int(has_flag(image, flag.name).sum())
        if 0 < count < len(image):
            yield (
                logging.WARNING,
                f"{count} of {len(image)} image lines have flag {flag.number}, whose meaning the standard "
                "leaves open; they are used like the others",
            )

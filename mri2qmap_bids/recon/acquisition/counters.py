"""The counters of an acquisition (ISMRMRD ``idx``), and which lines may be reconstructed together."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.errors import RawDataError


class CounterUse(StrEnum):
    """What it means that a counter takes several values within one frame of one slice."""

    SAMPLES = "more samples of the frame"
    PARTITIONS = "partitions: more samples if the trajectory has their kz, else refused"
    SLICES = "slices of a 2D scan; refused in a 3D scan (slabs)"
    SCANS = "refused"
    FREE = "ignored"


@dataclass(frozen=True)
class Counter:
    """One counter."""

    name: str
    """As in ``idx``."""
    use: CounterUse
    """If it is not the one that numbers the frames."""
    meaning: str
    """What it counts."""
    advice: str = ""
    """What may be done where it is refused."""


COUNTERS = (
    Counter("kspace_encode_step_1", CounterUse.SAMPLES, "spiral arm, spoke or phase-encoding line"),
    Counter(
        "kspace_encode_step_2",
        CounterUse.PARTITIONS,
        "partition of a 3D scan",
        "store kz as the third component of the trajectory",
    ),
    Counter(
        "average",
        CounterUse.SAMPLES,
        "a repetition of the same train, averaged by the least-squares reconstruction",
    ),
    Counter("slice", CounterUse.SLICES, "2D slice", "one run a slab"),
    Counter(
        "contrast",
        CounterUse.SCANS,
        "echo, or another contrast",
        "one run an echo, or name the counter of the frames in MRFFrameCounter",
    ),
    Counter(
        "phase",
        CounterUse.SCANS,
        "cardiac or respiratory phase: another state of the body",
        "one run a phase",
    ),
    Counter(
        "repetition",
        CounterUse.SCANS,
        "the scan measured again: another steady state, other motion",
        "one run a repetition; if it counts the shots of one scan, number them by kspace_encode_step_1",
    ),
    Counter(
        "set",
        CounterUse.SCANS,
        "another preparation or flow encoding: another signal",
        "one run a set; if it counts the shots of one scan, number them by kspace_encode_step_1",
    ),
    Counter("segment", CounterUse.SAMPLES, "part of k-space, acquired in one shot"),
    Counter("user", CounterUse.FREE, "eight counters of the converter's own"),
)
"""All counters of ``idx``."""


class FrameCounter(StrEnum):
    """ISMRMRD counters that may number the frames."""

    CONTRAST = "contrast"
    REPETITION = "repetition"
    KSPACE_ENCODE_STEP_1 = "kspace_encode_step_1"
    KSPACE_ENCODE_STEP_2 = "kspace_encode_step_2"
    SLICE = "slice"
    PHASE = "phase"
    SET = "set"
    SEGMENT = "segment"
    AVERAGE = "average"
    ORDER = "order"
    """No counter: the order of acquisition."""


FRAME_COUNTERS = tuple(FrameCounter)


def tally(values: NDArray[Any]) -> str:
    """How many lines have which value: ``0: 60 lines, 1: 60 lines``."""
    numbers, counts = np.unique(values, return_counts=True)
    parts = [f"{n}: {c} lines" for n, c in zip(numbers.tolist(), counts.tolist(), strict=True)]
    return ", ".join(parts if len(parts) <= 8 else [*parts[:3], "...", parts[-1]])


def divides_frames(
    values: NDArray[Any], frames: NDArray[np.int64], slices: NDArray[np.int64]
) -> bool:
    """Whether lines of one frame and slice have several values.

    A counter that numbers every line of a slice anew counts excitations and divides nothing.

    Parameters
    ----------
    values
        A counter, shape (line,).
    frames, slices
        Of each line, shape (line,).
    """
    order = np.lexsort((values, frames, slices))
    rows = np.stack([slices, frames, values.astype(np.int64)])[:, order]
    steps = np.diff(rows, axis=1) != 0
    if not (~steps[0] & ~steps[1] & steps[2]).any():
        return False
    return len(np.unique(rows[[0, 2]], axis=1).T) < len(values)


def check_counters(
    path: Path,
    heads: NDArray[Any],
    frames: NDArray[np.int64],
    slices: NDArray[np.int64],
    frame_counter: str,
    is_3d: bool,
) -> None:
    """Refuse lines that belong to several scans.

    Parameters
    ----------
    path
        The file, for messages.
    heads
        Headers of the image lines, shape (line,).
    frames, slices
        Of each line, shape (line,).
    frame_counter
        One of FRAME_COUNTERS.
    is_3d
        Whether the scan is one volume, so that kz is in the trajectory.

    Raises
    ------
    RawDataError
        If a counter takes several values within one frame of one slice, and that means several scans.
    """
    if is_3d and len(np.unique(slices)) > 1:
        raise RawDataError(
            f"{path}: a 3D scan must be one slab, got several in idx.slice ({tally(slices)}); one run a slab"
        )
    for counter in COUNTERS:
        is_refused = counter.use == CounterUse.SCANS or (
            counter.use == CounterUse.PARTITIONS and not is_3d
        )
        if counter.name == frame_counter or not is_refused:
            continue
        values = heads["idx"][counter.name]
        if divides_frames(values, frames, slices):
            raise RawDataError(
                f"{path}: the lines of one frame must have one value of idx.{counter.name} "
                f"({counter.meaning}), got {tally(values)}; {counter.advice}"
            )
    uids = heads["measurement_uid"]
    if len(np.unique(uids)) > 1:
        raise RawDataError(
            f"{path}: all lines must be of one measurement, got several in measurement_uid "
            f"({tally(uids)}); one run a measurement"
        )

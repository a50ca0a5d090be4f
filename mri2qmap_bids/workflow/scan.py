"""A scan as its sidecar and headers describe it, handed from step to step so that the headers are read once."""

import logging
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mri2qmap_bids import __version__
from mri2qmap_bids.atomic import write_atomically

if TYPE_CHECKING:
    from mri2qmap_bids.recon.acquisition.lines import ImageLines
    from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class DescribedScan:
    """What a run's sidecar and the headers of its raw file say."""

    sequence: "PulseSequence"
    """Its pulse sequence."""
    lines: "ImageLines"
    """The image lines of its raw file."""
    origin: tuple[Any, ...]
    """What it was read from: version of the program, path, size and time of the raw file, sidecar."""


def describe_scan(
    metadata: Mapping[str, Any], raw_file: Path, scan_file: Path | None = None
) -> DescribedScan:
    """The scan of a run, from a step before this one, or else from the raw file's headers.

    Parameters
    ----------
    metadata
        Sidecar, inheritance applied.
    raw_file
        ISMRMRD file.
    scan_file
        From :func:`save_scan`; it counts only if raw file and sidecar are those that it was read from.

    Raises
    ------
    SidecarError
        If the metadata is incomplete or invalid.
    RawDataError
        If the file is unreadable, or does not hold one scan.
    """
    from mri2qmap_bids.dataset.sidecar import read_scan

    # Before the headers are read: a file that changes meanwhile is then seen to have changed.
    origin = _origin(metadata, raw_file)
    scan = _load(scan_file) if scan_file is not None else None
    if scan is not None and scan.origin == origin:
        return scan
    if scan is not None:
        logger.info("%s: raw file or sidecar has changed; its headers are read again", raw_file)
    sequence, lines = read_scan(metadata, raw_file)
    return DescribedScan(sequence, lines, origin)


def save_scan(scan: DescribedScan, path: Path) -> None:
    """Write a scan (pickle) for another process of this program."""
    content = pickle.dumps(scan)
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def _load(path: Path) -> DescribedScan | None:
    """The scan in a file; None without one that this version of the program can read."""
    try:
        scan = pickle.loads(path.read_bytes())
    except Exception:  # a damaged pickle, or one of another version, fails in many ways
        return None
    return scan if isinstance(scan, DescribedScan) else None


def _origin(metadata: Mapping[str, Any], raw_file: Path) -> tuple[Any, ...]:
    try:
        state = raw_file.stat()
    except OSError:
        return ()  # the reader says what is wrong
    return (__version__, raw_file, state.st_size, state.st_mtime_ns, dict(metadata))

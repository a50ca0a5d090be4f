"""Twix file (Siemens, ``.dat``): its measurements, their protocols and their blocks of data, by twixtools."""

from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mri2qmap_bids.convert.twix_protocol import Protocol, protocol_of
from mri2qmap_bids.errors import InputError, RawDataError


def opened(path: Path) -> BinaryIO:
    """The file, opened.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: must be a file, got: {error.strerror}") from error


def measurements(path: Path, file: BinaryIO) -> list[tuple[int, int]]:
    """Where each measurement begins and ends [byte].

    Parameters
    ----------
    path, file
        The file, and the same opened.

    Raises
    ------
    InputError
        If twixtools is not installed.
    RawDataError
        If it is no twix file, or shorter than its measurements.
    """
    library, size = _library(), path.stat().st_size
    if size < library.hdr_def.MultiRaidFileHeader.itemsize:
        raise RawDataError(f"{path}: must be a Siemens twix file, got {size} bytes")
    multiple, count = library.helpers.idea_version_check(file)
    if not multiple:
        return [(0, size)]
    file.seek(0)
    entries = np.fromfile(file, library.hdr_def.MultiRaidFileHeader, count=1)[0]["entry"][
        : int(count)
    ]
    spans = []
    for entry in entries:
        start, length = int(entry["off_"]), int(entry["len_"])
        spans.append((start, start + length if length else size))
    if not spans or max(end for _, end in spans) > size:
        raise RawDataError(
            f"{path}: must be a complete Siemens twix file of {max((e for _, e in spans), default=0)} bytes, "
            f"got {size} bytes"
        )
    return spans


def read_protocol(path: Path, file: BinaryIO, start: int) -> Protocol:
    """Protocol of one measurement.

    Parameters
    ----------
    path, file
        The file, and the same opened.
    start
        Where the measurement begins [byte].

    Raises
    ------
    RawDataError
        If its header has no protocol, or one without slices or matrix.
    """
    file.seek(start)
    length = int.from_bytes(file.read(4), "little")
    if start + length > path.stat().st_size or b"<XProtocol>" not in file.read(max(length, 4) - 4):
        raise RawDataError(
            f"{path}: must be a Siemens twix file, got no protocol (<XProtocol>) in its header"
        )
    file.seek(start)
    try:
        with redirect_stdout(StringIO()):  # the library prints its warnings
            header = _library().twixprot.parse_twix_hdr(file)
        return protocol_of(header)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise RawDataError(
            f"{path}: the protocol in the twix header must have slices and a matrix, got an error at {error}"
        ) from error


def data_blocks(path: Path, file: BinaryIO, start: int) -> Iterator[Any]:
    """The data blocks of one measurement up to its last one, which says that it is complete.

    Parameters
    ----------
    path, file
        The file, and the same opened.
    start
        Where the measurement begins [byte].

    Raises
    ------
    RawDataError
        If the file ends before the last block, or a block has no samples.
    """
    library, size = _library(), path.stat().st_size
    new, _ = library.helpers.idea_version_check(file)
    file.seek(start)
    place, number = start + int.from_bytes(file.read(4), "little"), 0
    while True:
        file.seek(place)
        truncated = RawDataError(
            f"{path}: must be a complete twix file with an end mark (ACQEND), got {number} readouts and then "
            f"no further one; it has {size} bytes"
        )
        try:
            block = library.mdb.Mdb(file, new)
        except ValueError as error:
            raise truncated from error
        if block.is_flag_set("ACQEND"):
            return
        length = int(block.dma_len)
        is_data = not block.is_flag_set("SYNCDATA")
        empty = is_data and int(block.mdh.UsedChannels) * int(block.mdh.SamplesInScan) == 0
        if length <= 0 or place + length > size or empty:
            raise truncated
        if is_data:
            number += 1
            yield block
        place += length


def _library() -> Any:
    try:
        import twixtools
        import twixtools.hdr_def
        import twixtools.helpers
        import twixtools.mdb
        import twixtools.twixprot
    except ImportError as error:
        raise InputError(
            "convert siemens: twixtools must be installed (pip install 'mri2qmap_bids[siemens]'), got: "
            f"{error}"
        ) from error
    return twixtools

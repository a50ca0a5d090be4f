"""The XML header of an ISMRMRD file."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.parsers import expat

import ismrmrd

from mri2qmap_bids.errors import RawDataError


@dataclass(frozen=True)
class ScanHeader:
    """The parts of the ISMRMRD header that a reconstruction needs, for one encoding, in SI units."""

    encoded_matrix: tuple[int, int, int]
    """Number of k-space positions along (x, y, z)."""
    encoded_fov: tuple[float, float, float]
    """Field of view of the encoding along (x, y, z) [m]."""
    recon_matrix: tuple[int, int, int]
    """Number of voxels to reconstruct along (x, y, z)."""
    recon_fov: tuple[float, float, float]
    """Field of view to reconstruct along (x, y, z) [m]."""
    repetition_time: tuple[float, ...] = ()
    """[s]"""
    echo_time: tuple[float, ...] = ()
    """[s]"""
    inversion_time: tuple[float, ...] = ()
    """[s]"""
    flip_angle: tuple[float, ...] = ()
    """[deg], as in the file and in a sidecar."""
    field_strength: float | None = None
    """[T]"""
    manufacturer: str | None = None
    """Vendor of the scanner."""


def parse_headers(path: Path, document: bytes | str) -> tuple[ScanHeader, ...]:
    """The XML header, once for each of its encodings.

    Document types and entities are refused: a header has none, and they can name other files or
    grow without bounds.

    Parameters
    ----------
    path
        The file, for messages.
    document
        XML.

    Raises
    ------
    RawDataError
        If it is no valid ISMRMRD header, or a value that is used is no number.
    """
    _check_document(path, document)
    try:
        with warnings.catch_warnings():
            # What is no number stays text, and is refused below if it is used.
            warnings.simplefilter("ignore")
            header = ismrmrd.xsd.CreateFromDocument(document)
    except Exception as error:  # the parser raises whatever its XML library does
        raise RawDataError(
            f"{path}: the ISMRMRD header must be valid XML, got: {_one_line(error)}"
        ) from error
    if not header.encoding:
        raise RawDataError(f"{path}: the ISMRMRD header must have an `encoding`, got none")
    shared = {**_sequence_parameters(path, header), **_system(path, header)}
    return tuple(_of_encoding(path, encoding, shared) for encoding in header.encoding)


def check_extents(path: Path, scan: ScanHeader) -> None:
    """Check matrix and field of view of the encoding that is used.

    Raises
    ------
    RawDataError
        If an extent is not positive, or a matrix has one voxel in plane.
    """
    extents = (*scan.encoded_matrix, *scan.encoded_fov, *scan.recon_matrix, *scan.recon_fov)
    if min(extents) <= 0:
        raise RawDataError(
            f"{path}: matrix sizes and fields of view must be positive, got encoded "
            f"{scan.encoded_matrix} over {scan.encoded_fov} m, recon {scan.recon_matrix} over "
            f"{scan.recon_fov} m"
        )
    if min(*scan.encoded_matrix[:2], *scan.recon_matrix[:2]) < 2:
        raise RawDataError(
            f"{path}: matrixSize must have at least 2 voxels along x and y (one that is missing counts as "
            f"1), got encoded {scan.encoded_matrix}, recon {scan.recon_matrix}"
        )


def _check_document(path: Path, document: bytes | str) -> None:
    """Refuse what is no XML, or has a document type."""

    def refuse(*_: Any) -> None:
        raise RawDataError(f"{path}: the ISMRMRD header must be XML without DOCTYPE, got one")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(document, True)
    except expat.ExpatError as error:
        raise RawDataError(
            f"{path}: the ISMRMRD header must be valid XML, got: {_one_line(error)}"
        ) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _of_encoding(path: Path, encoding: Any, shared: Mapping[str, Any]) -> ScanHeader:
    encoded = encoding.encodedSpace
    recon = encoding.reconSpace or encoded
    if encoded is None:
        raise RawDataError(f"{path}: every `encoding` must have an `encodedSpace`, got none")
    return ScanHeader(
        encoded_matrix=_matrix(path, encoded),
        encoded_fov=_metres(path, encoded),
        recon_matrix=_matrix(path, recon),
        recon_fov=_metres(path, recon),
        **shared,
    )


def _number(path: Path, name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise RawDataError(f"{path}: {name} in the ISMRMRD header must be a number, got {value!r}")
    return number


def _matrix(path: Path, space: Any) -> tuple[int, int, int]:
    sizes = [
        _number(path, f"matrixSize {axis}", getattr(space.matrixSize, axis, None)) for axis in "xyz"
    ]
    if any(not size.is_integer() for size in sizes):
        raise RawDataError(
            f"{path}: matrixSize in the ISMRMRD header must be whole numbers, got "
            f"{', '.join(f'{size:.8g}' for size in sizes)}"
        )
    return int(sizes[0]), int(sizes[1]), int(sizes[2])


def _metres(path: Path, space: Any) -> tuple[float, float, float]:
    x, y, z = (
        _number(path, f"fieldOfView_mm {axis}", getattr(space.fieldOfView_mm, axis, None)) * 1e-3
        for axis in "xyz"
    )
    return x, y, z


def _sequence_parameters(path: Path, header: Any) -> dict[str, Any]:
    parameters = header.sequenceParameters
    if parameters is None:
        return {}

    def values(name: str, scale: float = 1.0) -> tuple[float, ...]:
        return tuple(
            _number(path, name, value) * scale for value in getattr(parameters, name) or ()
        )

    return {
        "repetition_time": values("TR", 1e-3),
        "echo_time": values("TE", 1e-3),
        "inversion_time": values("TI", 1e-3),
        "flip_angle": values("flipAngle_deg"),
    }


def _system(path: Path, header: Any) -> dict[str, Any]:
    system = header.acquisitionSystemInformation
    if system is None:
        return {}
    strength = system.systemFieldStrength_T
    return {
        "field_strength": _number(path, "systemFieldStrength_T", strength) if strength else None,
        "manufacturer": system.systemVendor or None,
    }

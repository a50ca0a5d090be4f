"""The header of an ISMRMRD file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import ismrmrd

from mri2qmap_bids.errors import RawDataError


@dataclass(frozen=True)
class ScanHeader:
    """The parts of the ISMRMRD header that a reconstruction needs, in SI units."""

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

    @property
    def is_3d(self) -> bool:
        """Whether the encoding has more than one partition."""
        return self.encoded_matrix[2] > 1


def open_dataset(path: Path) -> tuple[h5py.File, h5py.Group]:
    """Open an ISMRMRD file and find its group of raw data.

    Raises
    ------
    RawDataError
        If the file is missing, truncated, not HDF5, or has no ISMRMRD group.
    """
    if path.is_symlink() and not path.exists():
        raise RawDataError(
            f"{path}: the link's target must exist; if the dataset is under DataLad, run "
            f"`datalad get {path}`"
        )
    try:
        # Reading needs no lock, and file systems such as NFS and Lustre may have none.
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        reason = str(error).strip().splitlines()[-1] if path.exists() else "no such file"
        raise RawDataError(
            f"{path}: must be a complete ISMRMRD (HDF5) file, got: {reason}"
        ) from error
    groups = [name for name in file if {"xml", "data"} <= _members(file[name])]
    if not groups:
        file.close()
        raise RawDataError(
            f"{path}: must hold an ISMRMRD group `dataset` with `xml` and `data`, "
            f"got groups {sorted(file) if file else []}"
        )
    return file, file["dataset" if "dataset" in groups else groups[0]]


def read_header(path: Path) -> ScanHeader:
    """Read only the XML header.

    Raises
    ------
    RawDataError
        If the file or its header is unreadable, or an extent is not positive.
    """
    file, group = open_dataset(path)
    with file:
        document = group["xml"][0]
    try:
        header = ismrmrd.xsd.CreateFromDocument(document)
    except Exception as error:  # the parser raises whatever its XML library does
        raise RawDataError(f"{path}: the ISMRMRD header must be valid XML, got: {error}") from error
    if not header.encoding:
        raise RawDataError(f"{path}: the ISMRMRD header must have an `encoding`, got none")
    encoding = header.encoding[0]
    recon = encoding.reconSpace or encoding.encodedSpace
    scan = ScanHeader(
        encoded_matrix=_triple(encoding.encodedSpace.matrixSize),
        encoded_fov=_metres(encoding.encodedSpace.fieldOfView_mm),
        recon_matrix=_triple(recon.matrixSize),
        recon_fov=_metres(recon.fieldOfView_mm),
        **_sequence_parameters(header),
        **_system(header),
    )
    extents = (*scan.encoded_matrix, *scan.encoded_fov, *scan.recon_matrix, *scan.recon_fov)
    if min(extents) <= 0:
        raise RawDataError(
            f"{path}: matrix sizes and fields of view must be positive, got encoded "
            f"{scan.encoded_matrix} over {scan.encoded_fov} m, recon {scan.recon_matrix} over "
            f"{scan.recon_fov} m"
        )
    return scan


def _members(node: Any) -> set[str]:
    return set(node) if isinstance(node, h5py.Group) else set()


def _triple(size: Any) -> tuple[int, int, int]:
    return int(size.x), int(size.y), int(size.z)


def _metres(size: Any) -> tuple[float, float, float]:
    return float(size.x) * 1e-3, float(size.y) * 1e-3, float(size.z) * 1e-3


def _sequence_parameters(header: Any) -> dict[str, Any]:
    parameters = header.sequenceParameters
    if parameters is None:
        return {}
    return {
        "repetition_time": tuple(value * 1e-3 for value in parameters.TR or ()),
        "echo_time": tuple(value * 1e-3 for value in parameters.TE or ()),
        "inversion_time": tuple(value * 1e-3 for value in parameters.TI or ()),
        "flip_angle": tuple(float(value) for value in parameters.flipAngle_deg or ()),
    }


def _system(header: Any) -> dict[str, Any]:
    system = header.acquisitionSystemInformation
    if system is None:
        return {}
    strength = system.systemFieldStrength_T
    return {
        "field_strength": float(strength) if strength else None,
        "manufacturer": system.systemVendor or None,
    }

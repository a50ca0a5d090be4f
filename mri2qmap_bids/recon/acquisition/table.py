"""The acquisitions of an ISMRMRD file, without their samples."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import ismrmrd.hdf5
import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.errors import RawDataError
from mri2qmap_bids.recon.acquisition.flags import Role, roles_of
from mri2qmap_bids.recon.acquisition.header import ScanHeader, parse_headers
from mri2qmap_bids.recon.acquisition.note import Note

_FIELDS = {"head", "traj", "data"}
_BLOCK = 128  # acquisitions read together
# Lines of each encoding whose trajectory shows whether kz encodes: chosen at random, since lines at
# equal distances may all lie in one partition.
_N_PROBES = 64
# Bytes that one stored byte can hold, at most (deflate).
_LARGEST_COMPRESSION = 1032


@dataclass(frozen=True, eq=False)
class AcquisitionTable:
    """Headers of one scan's acquisitions, and where the samples lie."""

    path: Path
    """The file."""
    group: str
    """HDF5 group of the scan."""
    headers: tuple[ScanHeader, ...]
    """One for each encoding."""
    heads: NDArray[Any]
    """Acquisition headers, shape (line,)."""
    roles: NDArray[Any]
    """Role of each line, shape (line,)."""
    probes: Mapping[int, tuple[NDArray[np.float32], ...]]
    """Trajectories of some image lines of each encoding, each of shape (sample, dim)."""
    noise_group: str
    """HDF5 group of the noise scan; that of the scan if none has one."""
    noise_numbers: NDArray[np.int64]
    """Places of the noise lines in that group, shape (noise line,)."""
    noise_heads: NDArray[Any]
    """Their headers, shape (noise line,)."""
    notes: tuple[Note, ...] = ()
    """Messages for the log."""


def read_table(path: Path) -> AcquisitionTable:
    """Read XML header and acquisition headers, and choose the group that holds the scan.

    Of several groups, the scan's is the one whose image lines have a trajectory; a noise scan may lie in
    another. Links to other files are not followed.

    Parameters
    ----------
    path
        ISMRMRD file (HDF5).

    Raises
    ------
    RawDataError
        If the file is unreadable or incomplete, claims more than it holds, has no image lines, or
        holds several scans.
    """
    with open_file(path) as file:
        groups = _groups(path, file)
        tables = {name: _heads(path, file, name) for name in groups}
        roles = {name: roles_of(heads) for name, heads in tables.items()}
        group = _scan_group(path, tables, {name: parts[0] for name, parts in roles.items()})
        heads, notes = tables[group], roles[group][1]
        lines = roles[group][0] == Role.IMAGE
        noise = [name for name in groups if (roles[name][0] == Role.NOISE).any()]
        noise_group = _noise_group(group, noise)
        noise_numbers = np.flatnonzero(roles[noise_group][0] == Role.NOISE)
        return AcquisitionTable(
            path=path,
            group=group,
            headers=parse_headers(path, document_of(path, file[group])),
            heads=heads,
            roles=roles[group][0],
            probes={
                number: _probes(
                    file[group]["data"], heads, lines & (heads["encoding_space_ref"] == number)
                )
                for number in np.unique(heads["encoding_space_ref"][lines]).tolist()
            },
            noise_group=noise_group,
            noise_numbers=noise_numbers,
            noise_heads=tables[noise_group][noise_numbers],
            notes=notes,
        )


@contextmanager
def open_file(path: Path) -> Iterator[h5py.File]:
    """Open an ISMRMRD file for reading; what HDF5 cannot read inside the block is one error, too.

    Raises
    ------
    RawDataError
        If the file is missing, truncated, or not HDF5.
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
    with file:
        try:
            yield file
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise RawDataError(f"{path}: must be a complete ISMRMRD file, got: {reason}") from error


def _groups(path: Path, file: h5py.File) -> list[str]:
    """Names of the groups with raw data."""
    groups = [name for name in file if _is_raw(file, name)]
    if not groups:
        raise RawDataError(
            f"{path}: must hold an ISMRMRD group `dataset` with `xml` and `data` in the file itself "
            f"(links are not followed), got groups {sorted(file)}"
        )
    return groups


def _is_raw(file: h5py.File, name: str) -> bool:
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        return False
    group = file[name]
    return isinstance(group, h5py.Group) and all(
        isinstance(group.get(member, getlink=True), h5py.HardLink) for member in ("xml", "data")
    )


def document_of(path: Path, group: h5py.Group) -> bytes | str:
    """The XML header, be it stored as a scalar or as an array of one."""
    node = group["xml"]
    content = None
    if isinstance(node, h5py.Dataset) and node.size:
        content = node[()] if node.shape == () else node[(0,) * node.ndim]
    if not isinstance(content, bytes | str) or not content.strip():
        raise RawDataError(
            f"{path}: `{group.name}/xml` must hold the header as text, got {content!r}"
        )
    return content


def _heads(path: Path, file: h5py.File, name: str) -> NDArray[Any]:
    """Headers of a group's acquisitions, if the file can hold what they claim."""
    node = file[name]["data"]
    where = f"`{name}/data`"
    fields = set(node.dtype.names or ()) if isinstance(node, h5py.Dataset) else set()
    if not fields >= _FIELDS or node.ndim != 1:
        raise RawDataError(
            f"{path}: {where} must be a list of acquisitions with head, traj and data, got "
            f"{sorted(fields) or 'something else'}"
        )
    gaps = _missing_fields(node.dtype["head"], ismrmrd.hdf5.acquisition_header_dtype)
    if gaps:
        raise RawDataError(
            f"{path}: {where} must have the fields of an acquisition header, got none named {gaps}"
        )
    if node.external or node.is_virtual:
        raise RawDataError(
            f"{path}: {where} must lie in the file itself, got a link to another file"
        )
    packing = _LARGEST_COMPRESSION if node.id.get_create_plist().get_nfilters() else 1
    size = path.stat().st_size
    if node.size * node.dtype.itemsize > packing * node.id.get_storage_size():
        raise RawDataError(
            f"{path}: {where} must hold the {node.size} acquisitions that it claims, got "
            f"{node.id.get_storage_size()} bytes"
        )
    heads = _read_heads(node)
    samples = heads["number_of_samples"].astype(np.float64)
    values = samples * (2.0 * heads["active_channels"] + heads["trajectory_dimensions"])
    if values.sum() * 4 > size:
        line = int(values.argmax())
        raise RawDataError(
            f"{path}: {where} must hold the samples that its acquisitions claim, got {values.sum() * 4:.3g} "
            f"bytes in a file of {size} (acquisition {line}: {samples[line]:g} samples, "
            f"{heads['active_channels'][line]} channels)"
        )
    return heads


def _read_heads(data: h5py.Dataset) -> NDArray[Any]:
    """Headers of all acquisitions of a list, as ISMRMRD has it.

    Whole acquisitions are read, a block at a time: where h5py (3.16) is asked for some fields, it reads the samples as
    well and never frees them, so that reading the headers would keep as much memory as the file is large.
    """
    starts = range(0, len(data), _BLOCK)
    blocks = [data[start : start + _BLOCK]["head"] for start in starts]
    return np.concatenate(blocks) if blocks else np.empty(0, data.dtype["head"])


def _missing_fields(dtype: np.dtype[Any], standard: np.dtype[Any]) -> list[str]:
    """Names in the standard that a header lacks, those of the counters included."""
    gaps = []
    for name in standard.names or ():
        if name not in (dtype.names or ()):
            gaps.append(name)
        else:
            gaps += _missing_fields(dtype[name], standard[name])
    return gaps


def _scan_group(
    path: Path, tables: Mapping[str, NDArray[Any]], roles: Mapping[str, NDArray[Any]]
) -> str:
    """The group with the scan: that with image lines, if possible with a trajectory."""
    counts = {name: int((roles[name] == Role.IMAGE).sum()) for name in tables}
    with_positions = {
        name: int(((roles[name] == Role.IMAGE) & (heads["trajectory_dimensions"] > 0)).sum())
        for name, heads in tables.items()
    }
    scans = [name for name in tables if with_positions[name]] or [n for n in tables if counts[n]]
    if len(scans) > 1:
        listed = ", ".join(f"{name}: {counts[name]} image lines" for name in scans)
        raise RawDataError(
            f"{path}: must hold one scan, got several groups with image lines ({listed}); one run a group"
        )
    if not scans:
        reasons = [text for name in tables for _, text in roles_of(tables[name])[1]]
        n_lines = sum(len(heads) for heads in tables.values())
        raise RawDataError(
            f"{path}: must hold imaging acquisitions, got none among {n_lines} lines"
            + (f" ({'; '.join(reasons)})" if reasons else "")
        )
    return scans[0]


def _noise_group(group: str, noise: list[str]) -> str:
    """The group with the noise scan: the scan's own, else the last one before it."""
    if group in noise or not noise:
        return group
    return ([name for name in noise if name < group] or noise)[-1]


def _probes(
    data: h5py.Dataset, heads: NDArray[Any], lines: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], ...]:
    """Trajectories of some of the lines, without samples to discard; incomplete ones are left out."""
    numbers = np.flatnonzero(lines & (heads["trajectory_dimensions"] > 0))
    if len(numbers) > _N_PROBES:
        numbers = np.sort(np.random.default_rng(0).choice(numbers, _N_PROBES, replace=False))
    probes = []
    for number, record in zip(numbers, data[numbers.tolist()]["traj"], strict=True):
        n_dims = int(heads["trajectory_dimensions"][number])
        positions = np.asarray(record, np.float32)
        if positions.size and positions.size % n_dims == 0:
            end = positions.size // n_dims - int(heads["discard_post"][number])
            probes.append(
                positions.reshape(-1, n_dims)[int(heads["discard_pre"][number]) : max(end, 0)]
            )
    return tuple(probes)

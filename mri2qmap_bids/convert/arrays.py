"""Arrays in ``.npz`` and ``.mat`` files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import h5py
import numpy as np
import scipy.io
from numpy.typing import NDArray

from mri2qmap_bids.convert.conversion import LONGEST_READOUT, Conversion, ConversionOptions
from mri2qmap_bids.errors import InputError, RawDataError
from mri2qmap_bids.recon.acquisition.scan import RawScan

REQUIRED = ("kspace", "trajectory")


def convert_arrays(path: Path, options: ConversionOptions) -> Conversion:
    """A scan from the arrays of one file, named as the arguments of :meth:`RawScan.from_arrays`.

    Parameters
    ----------
    path
        ``.npz`` or ``.mat`` with ``kspace`` and ``trajectory``, and where needed ``frames``, ``fov`` [m],
        ``matrix``, ``trajectory_units``, ``noise``, ``affine`` [m] and ``dwell_time`` [s].
    options
        Field of view, matrix and units take the place of those in the file.

    Raises
    ------
    InputError
        If there is no such file.
    RawDataError
        If the file lacks an array, or its arrays do not fit each other.
    """
    arrays = read_arrays(path)
    values = {
        **arrays,
        **{
            name: value
            for name, value in (
                ("fov", options.fov),
                ("matrix", options.matrix),
                ("trajectory_units", options.trajectory_units),
            )
            if value is not None
        },
    }
    for name in (*REQUIRED, "fov", "matrix", "trajectory_units"):
        if name not in values:
            option = "" if name in REQUIRED else f" (or --{name.replace('_', '-')})"
            raise RawDataError(
                f"{path}: must have an array named {name}{option}, got {', '.join(sorted(arrays)) or 'none'}"
            )
    return conversion_of(path, values)


def conversion_of(path: Path, values: Mapping[str, Any]) -> Conversion:
    """The conversion of arrays by name; ``path`` is for messages.

    Raises
    ------
    RawDataError
        If the arrays do not fit each other.
    """
    kspace = np.asarray(values["kspace"])
    frames, dwell = values.get("frames"), values.get("dwell_time")
    affine, noise = values.get("affine"), values.get("noise")
    try:
        scan = RawScan.from_arrays(
            kspace,
            values["trajectory"],
            frames if frames is None or kspace.ndim == 2 else _number(frames),
            _sequence(values["fov"], float),
            _sequence(values["matrix"], int),
            trajectory_units=str(np.asarray(values["trajectory_units"]).reshape(-1)[0]),
            noise=noise,
            affine=affine,
        )
    except (TypeError, ValueError) as error:
        raise RawDataError(f"{path}: {error}") from error
    length = min(kspace.shape[-1] if kspace.ndim > 2 else LONGEST_READOUT, LONGEST_READOUT)
    dwell_time = 0.0 if dwell is None else float(np.asarray(dwell).reshape(-1)[0])
    return Conversion(
        scan=scan,
        readout_lengths=tuple(_lengths(part.frame.numpy(), length) for part in scan.slices),
        dwell_time=dwell_time,
        metadata={"DwellTime": dwell_time} if dwell_time else {},
    )


def read_trajectory(path: Path) -> NDArray[Any]:
    """Positions from a ``.npy`` file, or the array ``trajectory`` of a ``.npz`` or ``.mat`` file.

    Raises
    ------
    InputError
        If there is no such file.
    RawDataError
        If it has no such array.
    """
    arrays = read_arrays(path)
    if "trajectory" not in arrays:
        raise RawDataError(
            f"{path}: must have an array named trajectory, got {', '.join(sorted(arrays)) or 'none'}"
        )
    array: NDArray[Any] = arrays["trajectory"]
    return array


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of a file by name; that of a ``.npy`` file is named trajectory.

    Raises
    ------
    InputError
        If there is no such file.
    RawDataError
        If it cannot be read, or is of another kind.
    """
    if not path.is_file():
        raise InputError(f"{path}: must be a file, got no such file")
    readers = {".npy": _read_npy, ".npz": _read_npz, ".mat": _read_mat}
    if path.suffix not in readers:
        raise RawDataError(f"{path}: must be .npz or .mat, got {path.suffix or 'no extension'}")
    try:
        return readers[path.suffix](path)
    except (
        OSError,
        ValueError,
        EOFError,
        TypeError,
        BadZipFile,
        scipy.io.matlab.MatReadError,
    ) as error:
        raise RawDataError(
            f"{path}: must be a complete {path.suffix} file of numbers, got: {' '.join(str(error).split())}"
        ) from error


def _read_npy(path: Path) -> dict[str, NDArray[Any]]:
    return {"trajectory": np.load(path, allow_pickle=False)}


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _read_mat(path: Path) -> dict[str, NDArray[Any]]:
    """A MATLAB file, the HDF5 kind (v7.3) included."""
    if not h5py.is_hdf5(path):
        return {name: array for name, array in scipy.io.loadmat(path).items() if name[:1] != "_"}
    with h5py.File(path, "r") as file:
        return {
            name: _of_matlab(node) for name, node in file.items() if isinstance(node, h5py.Dataset)
        }


def _of_matlab(node: h5py.Dataset) -> NDArray[Any]:
    """An array with the axes that MATLAB shows; HDF5 has them the other way round."""
    array = np.asarray(node[()])
    if array.dtype.names == ("real", "imag"):
        array = array["real"] + 1j * array["imag"]
    if node.attrs.get("MATLAB_class") == b"char":
        return np.array(["".join(map(chr, array.reshape(-1)))])
    return array.T


def _number(frames: Any) -> Any:
    """The only value of an array, as MATLAB keeps a number."""
    array = np.asarray(frames)
    return int(array.reshape(-1)[0]) if array.size == 1 else array


def _sequence(values: Any, kind: type) -> Any:
    return [kind(value) for value in np.asarray(values).reshape(-1)]


def _lengths(frame: NDArray[np.int64], longest: int) -> NDArray[np.int64]:
    """Readouts of at most so many samples, each of one frame."""
    ends = np.append(np.flatnonzero(np.diff(frame)) + 1, len(frame))
    lengths: list[int] = []
    for count in np.diff(ends, prepend=0).tolist():
        lengths += [longest] * (count // longest) + [count % longest] * (count % longest > 0)
    return np.array(lengths)

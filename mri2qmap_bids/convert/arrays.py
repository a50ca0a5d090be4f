"""Arrays in ``.npz`` and ``.mat`` files."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import h5py
import numpy as np
import scipy.io
from numpy.typing import NDArray

from mri2qmap_bids.convert.conversion import LONGEST_READOUT, Conversion, ConversionOptions
from mri2qmap_bids.errors import ArgumentError, InputError, RawDataError
from mri2qmap_bids.recon.acquisition.elements import REAL, check_elements
from mri2qmap_bids.recon.acquisition.scan import RawScan

logger = logging.getLogger(__name__)

REQUIRED = ("kspace", "trajectory")
# The longest time between samples of a scanner [s]; a larger number is in ms or us.
_LONGEST_DWELL = 1e-3


_NAMES = (
    *REQUIRED,
    "frames",
    "fov",
    "matrix",
    "trajectory_units",
    "noise",
    "affine",
    "dwell_time",
)


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
    unused = sorted(set(arrays) - set(_NAMES))
    if unused:
        logger.warning(
            "%s: arrays of other names than %s are not used: %s",
            path,
            ", ".join(_NAMES),
            ", ".join(unused),
        )
    return conversion_of(path, values)


def conversion_of(path: Path, values: Mapping[str, Any]) -> Conversion:
    """The conversion of arrays by name; ``path`` is for messages.

    Raises
    ------
    RawDataError
        If an array has elements of another kind, or the arrays do not fit each other.
    """
    kspace = np.asarray(values["kspace"])
    frames, affine, noise = (values.get(name) for name in ("frames", "affine", "noise"))
    try:
        dwell_time = _dwell_time(values.get("dwell_time"))
        scan = RawScan.from_arrays(
            kspace,
            values["trajectory"],
            frames if frames is None else _frames(frames, kspace.ndim),
            np.asarray(values["fov"]).reshape(-1),
            np.asarray(values["matrix"]).reshape(-1),
            trajectory_units=_units(values["trajectory_units"]),
            noise=noise,
            affine=affine,
        )
    except (TypeError, ValueError) as error:
        raise RawDataError(f"{path}: {error}") from error
    length = min(kspace.shape[-1] if kspace.ndim > 2 else LONGEST_READOUT, LONGEST_READOUT)
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


def _dwell_time(value: Any) -> float:
    """Time between samples [s]; 0: unknown."""
    if value is None:
        return 0.0
    numbers = np.asarray(value).reshape(-1)
    check_elements("dwell_time", numbers, REAL)
    if len(numbers) != 1 or not 0 <= numbers[0] <= _LONGEST_DWELL:
        raise ArgumentError(
            f"dwell_time must be one number from 0 to {_LONGEST_DWELL:g} s, got "
            f"{numbers[0] if len(numbers) == 1 else f'{len(numbers)} numbers'}"
        )
    return float(numbers[0])


def _units(value: Any) -> str:
    """The only word of an array."""
    words = np.asarray(value).reshape(-1)
    if len(words) != 1 or words.dtype.kind not in "US":
        raise ArgumentError(
            f"trajectory_units must be a text, got {words.dtype} of shape {words.shape}"
        )
    return str(words[0])


def _frames(frames: Any, n_axes: int) -> Any:
    """One number, or of flat samples (coil, sample) one for each, which MATLAB keeps as a row or a column."""
    array = np.asarray(frames)
    if n_axes == 2:
        return array.reshape(-1) if array.size == max(array.shape, default=1) else array
    return array.item() if array.size == 1 else array


def _lengths(frame: NDArray[np.int64], longest: int) -> NDArray[np.int64]:
    """Readouts of at most so many samples, each of one frame."""
    ends = np.append(np.flatnonzero(np.diff(frame)) + 1, len(frame))
    lengths: list[int] = []
    for count in np.diff(ends, prepend=0).tolist():
        lengths += [longest] * (count // longest) + [count % longest] * (count % longest > 0)
    return np.array(lengths)

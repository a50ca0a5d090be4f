"""Arrays of BART: pairs of a header (``.hdr``) with the shape and numbers (``.cfl``)."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.convert.arrays import conversion_of
from mri2qmap_bids.convert.conversion import Conversion, ConversionOptions
from mri2qmap_bids.encoded_text import read_text
from mri2qmap_bids.errors import InputError, RawDataError, UsageError

# BART's axes: 1 samples, 2 arms (of a trajectory; 0 and 1 are its components and samples), 3 coils, ...
_COIL, _ECHO, _TIME, _SLICE = 3, 5, 10, 13
_N_AXES = 16


def convert_bart(
    kspace: Path, trajectory: Path, noise: Path | None, options: ConversionOptions
) -> Conversion:
    """A scan from k-space, trajectory and noise.

    Parameters
    ----------
    kspace
        Shape (1, sample, arm, coil, ...) with frames along BART's axis 5 (echo) or 10 (time) and slices
        along 13.
    trajectory
        Shape (3, sample, arm, 1, ...) with frames along the same axis, or the same in all of them, in cycles per
        field of view. It is 3D if its third component varies.
    noise
        Samples of every coil along axis 3; None: no noise scan.
    options
        ``fov`` and ``matrix`` are needed: BART's files have none.

    Raises
    ------
    InputError
        If a file is missing.
    UsageError
        If the field of view or the matrix is not given.
    RawDataError
        If shapes do not fit each other.
    """
    if options.fov is None or options.matrix is None:
        option = "--fov" if options.fov is None else "--matrix"
        raise UsageError(f"convert bart: {option} must be given, which BART's files lack, got none")
    samples, positions = _padded(read_cfl(kspace)), _padded(read_cfl(trajectory).real)
    axis = _frame_axis(kspace, samples)
    axes_of_samples = {1, 2, _COIL, axis, _SLICE}
    for name, path, array, axes in (
        ("k-space", kspace, samples, axes_of_samples),
        ("trajectory", trajectory, positions, {0, 1, 2, axis}),
    ):
        others = [n for n in range(_N_AXES) if array.shape[n] > 1 and n not in axes]
        if others:
            raise RawDataError(
                f"{path}: {name} must have length 1 along BART's axis {others[0]}, got shape {array.shape}"
            )
    if positions.shape[0] != 3:
        raise RawDataError(
            f"{trajectory}: the trajectory must have 3 components along axis 0, got {positions.shape[0]}"
        )
    n_dim = 3 if np.ptp(positions[2]) > 1e-6 else 2
    ordered = _only(samples, (_SLICE, _COIL, axis, 2, 1))
    values: dict[str, Any] = {
        "kspace": ordered if ordered.shape[0] > 1 else ordered[0],
        "trajectory": _only(positions, (axis, 2, 1, 0))[..., :n_dim],
        "fov": options.fov,
        "matrix": options.matrix,
        "trajectory_units": options.trajectory_units or "cycles/fov",
    }
    if noise is not None:
        coils = np.moveaxis(_padded(read_cfl(noise)), _COIL, 0)
        if len(coils) != samples.shape[_COIL]:
            raise RawDataError(
                f"{noise}: noise must have the {samples.shape[_COIL]} coils of the k-space along BART's axis "
                f"{_COIL}, got {len(coils)}"
            )
        values["noise"] = coils.reshape(len(coils), -1)
    return conversion_of(kspace, values)


def read_cfl(path: Path) -> NDArray[np.complex64]:
    """The array of ``path.hdr`` and ``path.cfl``; the name may be given with either extension or none.

    Raises
    ------
    InputError
        If a file is missing.
    RawDataError
        If the header has no shape, or the file another number of values.
    """
    stem = path.with_suffix("") if path.suffix in (".cfl", ".hdr") else path
    header, numbers = Path(f"{stem}.hdr"), Path(f"{stem}.cfl")
    for file in (header, numbers):
        if not file.is_file():
            raise InputError(f"{file}: must be a file, got no such file")
    try:
        lines = read_text(header).splitlines()
        row = next(line for line in lines if line.strip() and not line.startswith("#"))
        shape = tuple(int(word) for word in row.split())
    except (ValueError, StopIteration) as error:
        raise RawDataError(f"{header}: must have a line with the shape, got none") from error
    array = np.fromfile(numbers, np.complex64)
    if array.size != np.prod(shape):
        raise RawDataError(
            f"{numbers}: must hold the {np.prod(shape)} values of shape {shape}, got {array.size}"
        )
    return array.reshape(shape, order="F")


def _padded(array: NDArray[Any]) -> NDArray[Any]:
    return array.reshape(array.shape + (1,) * (_N_AXES - array.ndim))


def _frame_axis(path: Path, samples: NDArray[np.complex64]) -> int:
    """The axis of frames: echoes or time."""
    if samples.shape[_ECHO] > 1 and samples.shape[_TIME] > 1:
        raise RawDataError(
            f"{path}: frames must lie along BART's axis {_ECHO} or {_TIME}, got both in {samples.shape}"
        )
    return _ECHO if samples.shape[_ECHO] > 1 else _TIME


def _only(array: NDArray[Any], axes: tuple[int, ...]) -> NDArray[Any]:
    """An array with these axes in this order; all others have length 1."""
    rest = [axis for axis in range(_N_AXES) if axis not in axes]
    return array.transpose(*axes, *rest).reshape([array.shape[axis] for axis in axes])

"""One readout of an ISMRMRD file: its samples and their positions."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.errors import RawDataError


def samples_of(path: Path, number: int, record: Any) -> NDArray[np.complex64]:
    """All samples of one acquisition, shape (coil, sample).

    Parameters
    ----------
    path, number
        The file and the acquisition's place in it, for messages.
    record
        The acquisition as stored.

    Raises
    ------
    RawDataError
        If it does not hold what its header says.
    """
    head = record["head"]
    shape = int(head["active_channels"]), int(head["number_of_samples"])
    values = np.ascontiguousarray(record["data"], dtype=np.float32)
    if values.size != 2 * shape[0] * shape[1]:
        raise RawDataError(
            f"{path}: acquisition {number} must hold data for its {shape[1]} samples of {shape[0]} coils, got "
            f"{values.size / 2:g} values"
        )
    return values.view(np.complex64).reshape(shape)


def line_of(
    path: Path, number: int, record: Any
) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """Samples (coil, sample) and positions (sample, dim) of one acquisition without those to discard.

    Parameters
    ----------
    path, number, record
        As of :func:`samples_of`.

    Raises
    ------
    RawDataError
        If it does not hold what its header says, or a value is not finite.
    """
    head = record["head"]
    n_samples, n_dims = int(head["number_of_samples"]), int(head["trajectory_dimensions"])
    samples = samples_of(path, number, record)
    positions = np.asarray(record["traj"], np.float32)
    if positions.size != n_samples * n_dims:
        raise RawDataError(
            f"{path}: acquisition {number} must hold a trajectory of {n_dims} components for its {n_samples} "
            f"samples, got {positions.size} values"
        )
    span = slice(int(head["discard_pre"]), n_samples - int(head["discard_post"]))
    samples, positions = samples[:, span], positions.reshape(n_samples, n_dims)[span, :3]
    check_finite(path, number, "k-space", samples)
    check_finite(path, number, "trajectory", positions)
    return samples, positions


def check_finite(path: Path, number: int, name: str, values: NDArray[Any]) -> None:
    """Refuse NaN and infinity.

    Parameters
    ----------
    path, number
        As of :func:`samples_of`.
    name
        Of the values, for messages.
    values
        Of any shape.

    Raises
    ------
    RawDataError
        If a value is not finite.
    """
    if not np.isfinite(values).all():
        raise RawDataError(
            f"{path}: {name} must be finite, got {int((~np.isfinite(values)).sum())} NaN or "
            f"infinite values in acquisition {number}"
        )

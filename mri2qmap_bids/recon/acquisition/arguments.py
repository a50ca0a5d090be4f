"""Arrays given from Python, made tensors of the right kind and checked."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mri2qmap_bids.errors import ArgumentError

_KINDS = {torch.complex64: "complex", torch.float32: "real", torch.int64: "whole"}


def tensor_of(value: Any, name: str, axes: str, dtype: torch.dtype) -> torch.Tensor:
    """A contiguous tensor from a tensor or array; it shares memory where nothing is to be converted.

    Parameters
    ----------
    value
        Tensor, NumPy array or nested lists.
    name
        Of the argument, for messages.
    axes
        Names of the axes, for messages.
    dtype
        complex64, float32 or int64; other precisions of the same kind are converted, and real
        numbers may be whole.

    Raises
    ------
    ArgumentError
        If it has other axes, another kind of numbers, no elements, or is not finite.
    """
    tensor = value if isinstance(value, torch.Tensor) else _from_array(value, name)
    kind = "complex" if tensor.is_complex() else "real" if tensor.is_floating_point() else "whole"
    if tensor.dtype == torch.bool or (
        kind != _KINDS[dtype] and (kind, dtype) != ("whole", torch.float32)
    ):
        raise ArgumentError(f"{name} must be {_KINDS[dtype]} numbers, got {tensor.dtype}")
    if tensor.ndim != len(axes.split(", ")) or tensor.numel() == 0:
        raise ArgumentError(f"{name} must have the axes ({axes}), got shape {tuple(tensor.shape)}")
    tensor = tensor.to(dtype).resolve_conj().contiguous()
    # A sum needs no temporary, and is not finite if one of its terms is not.
    if not bool(torch.isfinite(tensor.sum())) and not bool(torch.isfinite(tensor).all()):
        wrong = int((~torch.isfinite(tensor)).sum())
        raise ArgumentError(f"{name} must be finite, got {wrong} NaN or infinite values")
    return tensor


def check_samples(kspace: torch.Tensor, trajectory: torch.Tensor, frame: torch.Tensor) -> None:
    """Refuse arrays of one slice that do not fit together.

    Raises
    ------
    ArgumentError
        If they differ in the number of samples, positions are not 2D or 3D, or a frame is negative.
    """
    n_samples = len(frame)
    if kspace.shape[1] != n_samples or len(trajectory) != n_samples:
        raise ArgumentError(
            "kspace (coil, sample), trajectory (sample, dim) and frame (sample) must have equally many "
            f"samples, got shapes {tuple(kspace.shape)}, {tuple(trajectory.shape)} and {tuple(frame.shape)}"
        )
    if trajectory.shape[1] not in (2, 3):
        raise ArgumentError(
            "trajectory must have the components x, y[, z] along its second axis, got shape "
            f"{tuple(trajectory.shape)}"
        )
    if int(frame.min()) < 0:
        raise ArgumentError(f"frame must count from 0, got {int(frame.min())}")


def check_slices(slices: Sequence[Any], noise: torch.Tensor | None, n_frames: int) -> None:
    """Refuse slices that do not fit to one another, to the noise or to the frames.

    Parameters
    ----------
    slices
        Samples of every slice.
    noise
        Of the same coils; None: there is none.
    n_frames
        Number of frames T.

    Raises
    ------
    ArgumentError
        If the numbers of coils differ, or the largest frame is not T - 1.
    """
    coils = {len(part.kspace) for part in slices} | ({len(noise)} if noise is not None else set())
    if len(coils) > 1:
        raise ArgumentError(
            f"kspace and noise must have equally many coils in all slices, got {sorted(coils)}"
        )
    last = max(int(part.frame.max()) for part in slices)
    if last != n_frames - 1:
        raise ArgumentError(f"frame must be 0 to n_frames - 1 = {n_frames - 1}, got up to {last}")


def _from_array(value: Any, name: str) -> torch.Tensor:
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biufc":
            raise TypeError(f"{array.dtype} values")
        # Neither read-only arrays nor the other byte order can be shared.
        if (
            not array.flags.writeable
            or not array.dtype.isnative
            or min(array.strides, default=0) < 0
        ):
            array = np.array(array, array.dtype.newbyteorder("="))
        return torch.from_numpy(array)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{name} must be an array of numbers, got {error}") from error

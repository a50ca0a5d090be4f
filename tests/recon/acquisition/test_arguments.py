"""Arrays from Python become tensors of the same values, or are refused by name."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.acquisition.arguments import check_samples, check_slices, tensor_of

VALUES = np.arange(12.0).reshape(3, 4)


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "form",
    [
        lambda a: a,
        lambda a: a.tolist(),
        lambda a: a.astype(np.float32),
        lambda a: a.astype(np.int16),
        lambda a: a.astype(">f8"),
        lambda a: a.T.copy().T,
        lambda a: a[::-1].copy()[::-1],
        lambda a: np.repeat(a, 2, axis=1)[:, ::2],
        read_only,
        torch.tensor,
        lambda a: torch.tensor(a.T.copy()).T,
    ],
    ids=["as it is", "lists", "single", "whole", "big-endian", "transposed", "turned", "strided",
         "read-only", "tensor", "transposed tensor"],
)  # fmt: skip
def test_every_form_of_an_array_is_the_same_tensor(form):
    tensor = tensor_of(form(VALUES), "x", "a, b", torch.float32)
    assert tensor.dtype == torch.float32
    assert tensor.is_contiguous()
    assert torch.equal(tensor, torch.tensor(VALUES, dtype=torch.float32))


def test_a_conjugate_view_has_the_conjugate_values():
    values = torch.tensor(VALUES * (1 + 2j), dtype=torch.complex64)
    tensor = tensor_of(values.conj(), "x", "a, b", torch.complex64)
    assert not tensor.is_conj()
    assert torch.equal(torch.view_as_real(tensor)[..., 1], -2 * values.real)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.float32, torch.int64])
def test_what_fits_shares_its_memory(dtype):
    tensor = torch.ones(3, 4, dtype=dtype)
    assert tensor_of(tensor, "x", "a, b", dtype).data_ptr() == tensor.data_ptr()
    array = tensor.numpy()
    assert tensor_of(array, "x", "a, b", dtype).data_ptr() == array.ctypes.data


@pytest.mark.parametrize(
    ("value", "dtype", "words"),
    [
        (VALUES, torch.complex64, "x must be complex numbers, got torch.float64"),
        (VALUES * 1j, torch.float32, "x must be real numbers, got torch.complex128"),
        (VALUES, torch.int64, "x must be whole numbers, got torch.float64"),
        (VALUES > 2, torch.int64, "x must be whole numbers, got torch.bool"),
        (VALUES > 2, torch.float32, "x must be real numbers, got torch.bool"),
        ("samples", torch.float32, "x must be an array of numbers"),
        ([[1, 2], [3]], torch.float32, "x must be an array of numbers"),
        (None, torch.float32, "x must be an array of numbers"),
        (VALUES[0], torch.float32, r"x must have the axes \(a, b\), got shape \(4,\)"),
        (VALUES[:, :0], torch.float32, r"x must have the axes \(a, b\), got shape \(3, 0\)"),
        (np.where(VALUES > 9, np.nan, VALUES), torch.float32, "x must be finite, got 2 NaN or infinite"),
        (VALUES * 1e38, torch.float32, "x must be finite, got 8 "),
    ],
)  # fmt: skip
def test_what_is_no_such_array_is_refused(value, dtype, words):
    with pytest.raises(ArgumentError, match=words):
        tensor_of(value, "x", "a, b", dtype)


def test_large_values_are_finite_though_their_sum_is_not():
    tensor = tensor_of(np.full((3, 4), 3e38), "x", "a, b", torch.float32)
    assert torch.isfinite(tensor).all() and not torch.isfinite(tensor.sum())


def samples(n=6, n_dim=2, n_coils=2, first=0):
    return SimpleNamespace(
        kspace=torch.ones(n_coils, n, dtype=torch.complex64),
        trajectory=torch.zeros(n, n_dim),
        frame=torch.arange(n) + first,
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kspace": torch.ones(2, 5) + 0j}, r"equally many samples, got shapes \(2, 5\), \(6, 2\) and \(6,\)"),
        ({"trajectory": torch.zeros(5, 2)}, "equally many samples"),
        ({"frame": torch.arange(7)}, "equally many samples"),
        ({"trajectory": torch.zeros(6, 1)}, r"components x, y\[, z\]"),
        ({"trajectory": torch.zeros(6, 4)}, r"components x, y\[, z\]"),
        ({"frame": torch.arange(6) - 1}, "frame must count from 0, got -1"),
    ],
)  # fmt: skip
def test_samples_of_one_slice_fit_together(changes, words):
    for n_dim in (2, 3):
        check_samples(**vars(samples(n_dim=n_dim)))
    with pytest.raises(ArgumentError, match=words):
        check_samples(**vars(samples()) | changes)


def test_slices_have_the_same_coils_and_all_frames():
    noise = torch.ones(2, 9)
    check_slices([samples(), samples(8)], noise, 8)
    check_slices([samples()], None, 6)
    with pytest.raises(ArgumentError, match=r"equally many coils in all slices, got \[2, 3\]"):
        check_slices([samples(), samples(n_coils=3)], None, 6)
    with pytest.raises(ArgumentError, match=r"got \[1, 2\]"):
        check_slices([samples()], noise[:1], 6)
    for n_frames in (5, 7):
        with pytest.raises(ArgumentError, match=f"n_frames - 1 = {n_frames - 1}, got up to 5"):
            check_slices([samples()], noise, n_frames)

"""Inner loops of convolutions on a CPU, compiled to machine code (numba); each call works in one thread."""

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Frequencies whose matrices and spectra are in a core's nearest cache.
_FREQUENCIES = 128
# Edge of the squares in which an array is transposed: two lines of the cache.
_SQUARE = 16

_Array = NDArray[np.generic]


def turned(images: _Array, wave: _Array, shifted: bool, out: _Array) -> None:
    """Images with their two axes exchanged, times 1 or times a wave along the last axis, or both.

    Parameters
    ----------
    images
        Shape (image, i, j), complex64, any strides.
    wave
        Shape (i), complex64.
    shifted
        Whether the first output is multiplied by the wave.
    out
        Shape (1 or 2, image, j, i), complex64; the second output is always multiplied by the wave.
    """
    _compiled(_turned)(images, wave, shifted, out)


def turned_back(images: _Array, wave: _Array, shifted: bool, out: _Array) -> None:
    """The adjoint of :func:`turned`: the sum of its outputs, times 1 or conj(wave), with axes exchanged.

    Parameters
    ----------
    images
        Shape (1 or 2, image, j, i), complex64; overwritten.
    wave
        Shape (i), complex64.
    shifted
        As of :func:`turned`.
    out
        Shape (image, i, j), complex64, any strides.
    """
    _compiled(_turned_back)(images, wave, shifted, out)


def matrix_product(upper: _Array, begin: int, spectra: _Array) -> None:
    """Multiply spectra by the Hermitian matrix of every frequency, in place.

    Parameters
    ----------
    upper
        Elements i <= j, column after column, shape (pair, frequency), float32 or complex64.
    begin
        The first frequency of the spectra.
    spectra
        Shape (coil, rank, frequency), complex64.
    """
    product = _complex_matrix_product if np.iscomplexobj(upper) else _real_matrix_product
    _compiled(product)(upper, begin, spectra.view(np.float32))


def load_machine_code() -> None:
    """Load, or compile, the loops of a real basis, before they are needed."""
    for function in (_turned, _turned_back, _real_matrix_product):
        _compiled(function)


@cache
def _compiled(function: Callable[..., None]) -> Callable[..., None]:
    import numba  # takes half a second

    # Without the wrapper of a type checker, which numba cannot compile.
    plain = inspect.unwrap(function)
    options = {"nogil": True, "fastmath": True, "error_model": "numpy"}
    compiled: Callable[..., None]
    try:
        # To compile them again takes each process a second or two.
        compiled = numba.njit(_SIGNATURES[function.__name__], cache=True, **options)(plain)
    except Exception:
        # There is no folder to keep them, or a damaged file in it, of which pickle raises errors of any kind.
        compiled = numba.njit(_SIGNATURES[function.__name__], **options)(plain)
    return compiled


_SIGNATURES = {
    "_turned": "void(complex64[:,:,:], complex64[::1], boolean, complex64[:,:,:,::1])",
    "_turned_back": "void(complex64[:,:,:,::1], complex64[::1], boolean, complex64[:,:,:])",
    "_real_matrix_product": "void(float32[:,::1], int64, float32[:,:,::1])",
    "_complex_matrix_product": "void(complex64[:,::1], int64, float32[:,:,::1])",
}


# Each is one nest of loops. The innermost run over rows of one axis: with two indices they are not vectorised.


def _turned(images: Any, wave: Any, shifted: bool, out: Any) -> None:  # noqa: C901
    n_images, n_i, n_j = images.shape
    for image in range(n_images):
        for first_j in range(0, n_j, _SQUARE):
            last_j = min(first_j + _SQUARE, n_j)
            for first_i in range(0, n_i, _SQUARE):
                last_i = min(first_i + _SQUARE, n_i)
                for j in range(first_j, last_j):
                    row = out[0, image, j]
                    for i in range(first_i, last_i):
                        row[i] = images[image, i, j]
            for j in range(first_j, last_j):
                row = out[0, image, j]
                if len(out) == 2:
                    second = out[1, image, j]
                    for i in range(n_i):
                        second[i] = wave[i] * row[i]
                elif shifted:
                    for i in range(n_i):
                        row[i] *= wave[i]


def _turned_back(images: Any, wave: Any, shifted: bool, out: Any) -> None:  # noqa: C901
    n_images, n_i, n_j = out.shape
    for image in range(n_images):
        for first_j in range(0, n_j, _SQUARE):
            last_j = min(first_j + _SQUARE, n_j)
            for j in range(first_j, last_j):
                row = images[0, image, j]
                if len(images) == 2:
                    second = images[1, image, j]
                    for i in range(n_i):
                        row[i] += np.conj(wave[i]) * second[i]
                elif shifted:
                    for i in range(n_i):
                        row[i] *= np.conj(wave[i])
            for first_i in range(0, n_i, _SQUARE):
                last_i = min(first_i + _SQUARE, n_i)
                for i in range(first_i, last_i):
                    target = out[image, i]
                    for j in range(first_j, last_j):
                        target[j] = images[0, image, j, i]


def _real_matrix_product(upper: Any, begin: int, spectra: Any) -> None:  # noqa: C901
    """Spectra as pairs of real numbers, shape (coil, rank, 2 frequency)."""
    n_coils, rank, n_frequencies = spectra.shape[0], spectra.shape[1], spectra.shape[2] // 2
    matrices = np.empty((len(upper), _FREQUENCIES), np.float32)
    reals, imaginaries = np.empty((2, rank, _FREQUENCIES), np.float32)
    real, imaginary = np.empty((2, _FREQUENCIES), np.float32)
    for start in range(0, n_frequencies, _FREQUENCIES):
        n = min(_FREQUENCIES, n_frequencies - start)
        for pair in range(len(upper)):
            row = matrices[pair]
            stored = upper[pair, begin + start : begin + start + n]
            for f in range(n):
                row[f] = stored[f]
        for coil in range(n_coils):
            for j in range(rank):
                values = spectra[coil, j, 2 * start : 2 * (start + n)]
                a, b = reals[j], imaginaries[j]
                for f in range(n):
                    a[f] = values[2 * f]
                    b[f] = values[2 * f + 1]
            for i in range(rank):
                real[:] = 0
                imaginary[:] = 0
                for j in range(rank):
                    low, high = min(i, j), max(i, j)
                    row = matrices[high * (high + 1) // 2 + low]
                    a, b = reals[j], imaginaries[j]
                    for f in range(_FREQUENCIES):
                        real[f] += row[f] * a[f]
                    for f in range(_FREQUENCIES):
                        imaginary[f] += row[f] * b[f]
                values = spectra[coil, i, 2 * start : 2 * (start + n)]
                for f in range(n):
                    values[2 * f] = real[f]
                    values[2 * f + 1] = imaginary[f]


def _complex_matrix_product(upper: Any, begin: int, spectra: Any) -> None:  # noqa: C901
    n_coils, rank, n_frequencies = spectra.shape[0], spectra.shape[1], spectra.shape[2] // 2
    cosines, sines = np.empty((2, len(upper), _FREQUENCIES), np.float32)
    reals, imaginaries = np.empty((2, rank, _FREQUENCIES), np.float32)
    real, imaginary = np.empty((2, _FREQUENCIES), np.float32)
    for start in range(0, n_frequencies, _FREQUENCIES):
        n = min(_FREQUENCIES, n_frequencies - start)
        for pair in range(len(upper)):
            c, s = cosines[pair], sines[pair]
            stored = upper[pair, begin + start : begin + start + n]
            for f in range(n):
                c[f] = stored[f].real
                s[f] = stored[f].imag
        for coil in range(n_coils):
            for j in range(rank):
                values = spectra[coil, j, 2 * start : 2 * (start + n)]
                a, b = reals[j], imaginaries[j]
                for f in range(n):
                    a[f] = values[2 * f]
                    b[f] = values[2 * f + 1]
            for i in range(rank):
                real[:] = 0
                imaginary[:] = 0
                for j in range(rank):
                    low, high = min(i, j), max(i, j)
                    pair = high * (high + 1) // 2 + low
                    sign = np.float32(1 if i <= j else -1)
                    c, s, a, b = cosines[pair], sines[pair], reals[j], imaginaries[j]
                    for f in range(_FREQUENCIES):
                        real[f] += c[f] * a[f] - sign * s[f] * b[f]
                    for f in range(_FREQUENCIES):
                        imaginary[f] += c[f] * b[f] + sign * s[f] * a[f]
                values = spectra[coil, i, 2 * start : 2 * (start + n)]
                for f in range(n):
                    values[2 * f] = real[f]
                    values[2 * f + 1] = imaginary[f]

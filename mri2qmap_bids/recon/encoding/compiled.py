"""Inner loops of A^H A on a CPU, compiled to machine code (numba): one pass over memory each."""

import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

# Frequencies in one pass over all pairs: their matrices and spectra fit into a core's cache.
_BLOCK = 128

_Array = NDArray[np.generic]


def matrix_product(upper: _Array, spectra: _Array, offset: int = 0) -> None:
    """Multiply spectra by the Hermitian matrix of every frequency, in place.

    Parameters
    ----------
    upper
        Elements i <= j, column after column, shape (pair, frequency), float32 or complex64.
    spectra
        Shape (coil, rank, frequency), complex64.
    offset
        Frequency of the spectra at which the matrices begin.
    """
    if not np.iscomplexobj(upper):
        _in_threads(_matrix_product("float32"), upper.shape[1], upper, spectra.view(np.float32), offset)  # fmt: skip
    else:
        _in_threads(_matrix_product("complex64"), upper.shape[1], upper, spectra, offset)


def coil_sum(images: _Array, coils: _Array, total: _Array) -> None:
    """Add sum_c conj(S_c) x_c to ``total``.

    Parameters
    ----------
    images
        x, shape (coil, rank, voxel), complex64.
    coils
        S, shape (coil, voxel), complex64.
    total
        Shape (rank, voxel), complex64.
    """
    _in_threads(_coil_sum(), images.shape[2], images, coils, total)


def load_machine_code() -> None:
    """Load, or compile, the loops of a real basis, before they are needed."""
    _matrix_product("float32")
    _coil_sum()


def _in_threads(function: Callable[..., None], n: int, *arguments: object) -> None:
    """Call a function that does not hold the interpreter's lock with ranges of 0 to n."""
    n_threads = min(torch.get_num_threads(), n)
    if n_threads == 1:
        function(*arguments, 0, n)
        return
    bounds = np.linspace(0, n, n_threads + 1).astype(int)
    ranges = list(zip(bounds[:-1], bounds[1:], strict=True))
    tasks = [_pool(n_threads).submit(function, *arguments, *part) for part in ranges[1:]]
    function(*arguments, *ranges[0])
    for task in tasks:
        task.result()


@cache
def _pool(n_threads: int) -> ThreadPoolExecutor:
    """All but the calling thread; to begin threads anew would take longer than a slice's product."""
    return ThreadPoolExecutor(n_threads - 1, "normal")


@cache
def _matrix_product(number: str) -> Callable[..., None]:
    function = _real_matrix_product if number == "float32" else _complex_matrix_product
    return _machine_code(function, f"void({number}[:,::1], {number}[:,:,::1], int64, int64, int64)")


@cache
def _coil_sum() -> Callable[..., None]:
    return _machine_code(
        _add_coils, "void(complex64[:,:,::1], complex64[:,::1], complex64[:,::1], int64, int64)"
    )


def _machine_code(function: Callable[..., None], signature: str) -> Callable[..., None]:
    import numba  # takes half a second

    # Without the wrapper of a type checker, which numba cannot compile.
    plain = inspect.unwrap(function)
    compiled: Callable[..., None]
    try:
        # To compile them again takes each process a second or two.
        compiled = numba.njit(signature, nogil=True, fastmath=True, cache=True)(plain)
    except Exception:
        # There is no folder to keep them, or a damaged file in it, of which pickle raises errors of any kind.
        compiled = numba.njit(signature, nogil=True, fastmath=True)(plain)
    return compiled


def _real_matrix_product(upper: Any, spectra: Any, offset: int, first: int, last: int) -> None:
    """Spectra as pairs of real numbers, shape (coil, rank, 2 frequency)."""
    n_coils, rank = spectra.shape[0], spectra.shape[1]
    matrices = np.empty((upper.shape[0], 2 * _BLOCK), np.float32)
    product = np.empty((rank, 2 * _BLOCK), np.float32)
    for start in range(first, last, _BLOCK):
        n = min(_BLOCK, last - start)
        for pair in range(upper.shape[0]):
            for f in range(n):
                # Once for the real and once for the imaginary part.
                matrices[pair, 2 * f] = upper[pair, start + f]
                matrices[pair, 2 * f + 1] = upper[pair, start + f]
        begin = 2 * (offset + start)
        for coil in range(n_coils):
            product[:] = 0
            for i in range(rank):
                for j in range(rank):
                    low, high = min(i, j), max(i, j)
                    element = matrices[high * (high + 1) // 2 + low]
                    values = spectra[coil, j, begin : begin + 2 * n]
                    for f in range(2 * n):
                        product[i, f] += element[f] * values[f]
            for i in range(rank):
                values = spectra[coil, i, begin : begin + 2 * n]
                for f in range(2 * n):
                    values[f] = product[i, f]


def _complex_matrix_product(upper: Any, spectra: Any, offset: int, first: int, last: int) -> None:
    n_coils, rank = spectra.shape[0], spectra.shape[1]
    product = np.empty((rank, _BLOCK), np.complex64)
    for start in range(first, last, _BLOCK):
        n = min(_BLOCK, last - start)
        begin = offset + start
        for coil in range(n_coils):
            product[:] = 0
            for i in range(rank):
                for j in range(rank):
                    low, high = min(i, j), max(i, j)
                    element = upper[high * (high + 1) // 2 + low, start : start + n]
                    values = spectra[coil, j, begin : begin + n]
                    if i <= j:
                        for f in range(n):
                            product[i, f] += element[f] * values[f]
                    else:
                        for f in range(n):
                            product[i, f] += np.conj(element[f]) * values[f]
            for i in range(rank):
                values = spectra[coil, i, begin : begin + n]
                for f in range(n):
                    values[f] = product[i, f]


def _add_coils(images: Any, coils: Any, total: Any, first: int, last: int) -> None:
    for start in range(first, last, _BLOCK):
        stop = min(start + _BLOCK, last)
        for coil in range(images.shape[0]):
            sensitivity = coils[coil, start:stop]
            for i in range(images.shape[1]):
                image, component = images[coil, i, start:stop], total[i, start:stop]
                for voxel in range(stop - start):
                    component[voxel] += np.conj(sensitivity[voxel]) * image[voxel]

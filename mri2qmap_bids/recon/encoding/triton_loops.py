"""Kernels of A^H A in Triton's language, which the functions of :mod:`~mri2qmap_bids.recon.encoding.fused` launch.

Pointers go to pairs of real numbers. They are advanced step by step, as the product of a component's
index and the number of voxels may exceed 32 bits. Triton can read types only as strings.
"""

import inspect
from collections.abc import Callable
from typing import Any

try:
    import triton
    import triton.language as tl
    from triton.language import constexpr
except ImportError:
    triton, constexpr = None, int

AVAILABLE = triton is not None
"""Whether Triton is installed."""


def _kernel(function: Callable[..., Any]) -> Any:
    # Without the wrapper of a type checker, which Triton cannot compile.
    return triton.jit(inspect.unwrap(function)) if AVAILABLE else function


@_kernel
def _read(pointer: "Any", at: "Any", inside: "Any") -> "Any":
    """Complex numbers as real and imaginary part."""
    parts = pointer + 2 * at[:, None] + tl.arange(0, 2)[None, :]
    return tl.split(tl.load(parts, mask=inside[:, None], other=0.0).to(tl.float32))


@_kernel
def _write(pointer: "Any", at: "Any", inside: "Any", real: "Any", imaginary: "Any") -> None:
    parts = pointer + 2 * at[:, None] + tl.arange(0, 2)[None, :]
    tl.store(parts, tl.join(real, imaginary), mask=inside[:, None])


@_kernel
def _product_of(real: "Any", imaginary: "Any", other_real: "Any", other_imaginary: "Any") -> "Any":
    return (
        real * other_real - imaginary * other_imaginary,
        real * other_imaginary + imaginary * other_real,
    )


@_kernel
def _ramp(waves: "Any", at: "Any", inside: "Any", sizes: "Any") -> "Any":
    """ramp_q of voxels, the product of the waves along z, y and x."""
    n, n_y, n_x = sizes
    n_z = n // (n_y * n_x)
    row = at // n_x
    z, y, x = row // n_y, row % n_y, at % n_x
    z_real, z_imaginary = _read(waves, z, inside)
    y_real, y_imaginary = _read(waves, n_z + y, inside)
    x_real, x_imaginary = _read(waves, n_z + n_y + x, inside)
    real, imaginary = _product_of(z_real, z_imaginary, y_real, y_imaginary)
    return _product_of(real, imaginary, x_real, x_imaginary)


@_kernel
def matrix_product(
    upper: "Any",
    spectra: "Any",
    factors: "Any",
    n: "Any",
    N_COILS: constexpr,
    RANK: constexpr,
    COMPLEX: constexpr,
    SCALED: constexpr,
    BLOCK: constexpr,
) -> None:
    """Products with the Hermitian matrices of a block of frequencies, in place."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    matrix_real: "Any" = ()
    matrix_imaginary: "Any" = ()
    for pair in tl.static_range(RANK * (RANK + 1) // 2):
        if COMPLEX:
            real, imaginary = _read(upper, at, inside)
            upper += 2 * n
        else:
            real = tl.load(upper + at, mask=inside, other=0.0).to(tl.float32)
            imaginary = real
            upper += n
        if SCALED:
            factor = tl.load(factors + pair)
            real *= factor
            imaginary *= factor
        matrix_real = matrix_real + (real,)
        matrix_imaginary = matrix_imaginary + (imaginary,)
    for _coil in range(N_COILS):
        values_real: "Any" = ()
        values_imaginary: "Any" = ()
        pointer = spectra
        for _j in tl.static_range(RANK):
            real, imaginary = _read(pointer, at, inside)
            values_real = values_real + (real,)
            values_imaginary = values_imaginary + (imaginary,)
            pointer += 2 * n
        for i in tl.static_range(RANK):
            real = tl.zeros((BLOCK,), tl.float32)
            imaginary = tl.zeros((BLOCK,), tl.float32)
            for j in tl.static_range(RANK):
                # The lower triangle is the conjugate of the upper one.
                if i <= j:
                    element_real = matrix_real[j * (j + 1) // 2 + i]
                    element_imaginary = matrix_imaginary[j * (j + 1) // 2 + i]
                else:
                    element_real = matrix_real[i * (i + 1) // 2 + j]
                    element_imaginary = -matrix_imaginary[i * (i + 1) // 2 + j]
                real += element_real * values_real[j]
                imaginary += element_real * values_imaginary[j]
                if COMPLEX:
                    real -= element_imaginary * values_imaginary[j]
                    imaginary += element_imaginary * values_real[j]
            _write(spectra, at, inside, real, imaginary)
            spectra += 2 * n


@_kernel
def coil_images(
    image: "Any",
    coils: "Any",
    images: "Any",
    waves: "Any",
    sizes: "Any",
    N_COILS: constexpr,
    RANK: constexpr,
    BLOCK: constexpr,
) -> None:
    """S_c ramp x of a block of voxels."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    n = sizes[0]
    inside = at < n
    ramp_real, ramp_imaginary = _ramp(waves, at, inside, sizes)
    image_real: "Any" = ()
    image_imaginary: "Any" = ()
    for _component in tl.static_range(RANK):
        real, imaginary = _read(image, at, inside)
        image_real = image_real + (real,)
        image_imaginary = image_imaginary + (imaginary,)
        image += 2 * n
    for _coil in range(N_COILS):
        coil_real, coil_imaginary = _read(coils, at, inside)
        coil_real, coil_imaginary = _product_of(
            coil_real, coil_imaginary, ramp_real, ramp_imaginary
        )
        for i in tl.static_range(RANK):
            real, imaginary = _product_of(
                coil_real, coil_imaginary, image_real[i], image_imaginary[i]
            )
            _write(images, at, inside, real, imaginary)
            images += 2 * n
        coils += 2 * n


@_kernel
def coil_sum(
    total: "Any",
    coils: "Any",
    images: "Any",
    waves: "Any",
    sizes: "Any",
    N_COILS: constexpr,
    RANK: constexpr,
    BLOCK: constexpr,
) -> None:
    """Adds conj(ramp) sum_c conj(S_c) x_c to ``total``, in a block of voxels."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    n = sizes[0]
    inside = at < n
    ramp_real, ramp_imaginary = _ramp(waves, at, inside, sizes)
    sum_real = (tl.zeros((BLOCK,), tl.float32),) * RANK
    sum_imaginary = (tl.zeros((BLOCK,), tl.float32),) * RANK
    for _coil in range(N_COILS):
        coil_real, coil_imaginary = _read(coils, at, inside)
        next_real: "Any" = ()
        next_imaginary: "Any" = ()
        for i in tl.static_range(RANK):
            real, imaginary = _read(images, at, inside)
            real, imaginary = _product_of(real, imaginary, coil_real, -coil_imaginary)
            next_real = next_real + (sum_real[i] + real,)
            next_imaginary = next_imaginary + (sum_imaginary[i] + imaginary,)
            images += 2 * n
        sum_real = next_real
        sum_imaginary = next_imaginary
        coils += 2 * n
    for i in tl.static_range(RANK):
        real, imaginary = _product_of(sum_real[i], sum_imaginary[i], ramp_real, -ramp_imaginary)
        before_real, before_imaginary = _read(total, at, inside)
        _write(total, at, inside, before_real + real, before_imaginary + imaginary)
        total += 2 * n

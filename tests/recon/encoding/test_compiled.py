"""The compiled loops, against numpy."""

import numpy as np
import pytest
from helpers.program import printed_by

from mri2qmap_bids.recon.encoding.compiled import matrix_product, turned, turned_back
from mri2qmap_bids.recon.encoding.frequency_matrices import frequency_pairs

RANK = 4
WAVE = np.exp(-1j * np.pi * np.arange(37) / 37).astype(np.complex64)


def numbers(*shape):
    parts = np.random.default_rng(0).standard_normal((*shape, 2)).astype(np.float32)
    return parts.view(np.complex64)[..., 0]


@pytest.mark.parametrize(("n", "shifted"), [(1, False), (1, True), (2, False)])
def test_axes_are_exchanged_and_modulated(n, shifted):
    images = numbers(3, 37, 50)[:, :, 5:24]  # rows that are not contiguous
    out = np.zeros((n, 3, 19, 37), np.complex64)
    turned(images, WAVE, shifted, out)
    exchanged = images.swapaxes(1, 2)
    expected = [exchanged * WAVE] if shifted else [exchanged, exchanged * WAVE]
    assert np.allclose(out, expected[:n], atol=1e-6)


@pytest.mark.parametrize(("n", "shifted"), [(1, False), (1, True), (2, False)])
def test_turning_back_is_the_adjoint(n, shifted):
    x, y = numbers(3, 37, 19), numbers(n, 3, 19, 37)
    out = np.zeros_like(y)
    turned(x, WAVE, shifted, out)
    forward = np.vdot(out, y)
    back = numbers(3, 37, 50)
    beside = back[:, :, 19:].copy()
    turned_back(y, WAVE, shifted, back[:, :, :19])
    assert np.vdot(x, back[:, :, :19]) == pytest.approx(forward, rel=1e-4)
    assert np.array_equal(back[:, :, 19:], beside)


@pytest.mark.parametrize("n_frequencies", [1, 128, 301])
@pytest.mark.parametrize("kind", [np.float32, np.complex64])
def test_matrix_products_are_those_of_full_matrices(kind, n_frequencies):
    pairs, begin = frequency_pairs(RANK), 11
    upper = numbers(len(pairs), 400)
    upper = np.ascontiguousarray(upper.real) if kind is np.float32 else upper
    full = np.zeros((RANK, RANK, n_frequencies), np.complex64)
    for k, (i, j) in enumerate(pairs):
        if i == j:
            upper[k] = upper[k].real
        full[i, j] = upper[k, begin : begin + n_frequencies]
        full[j, i] = full[i, j].conj()
    spectra = numbers(2, RANK, n_frequencies)
    expected = np.einsum("ijf,cjf->cif", full, spectra)
    matrix_product(upper, begin, spectra)
    assert np.allclose(spectra, expected, atol=1e-5)


@pytest.mark.parametrize("damage", [b"", b"no machine code"])
def test_damaged_machine_code_of_an_earlier_call_is_made_anew(tmp_path, damage):
    program = (
        "import numpy as np\n"
        "from mri2qmap_bids.recon.encoding.compiled import turned\n"
        "out = np.zeros((1, 1, 2, 3), np.complex64)\n"
        "turned(np.ones((1, 3, 2), np.complex64), np.ones(3, np.complex64), False, out)\n"
        "print(out.real.sum())\n"
    )
    for number in range(2):
        assert printed_by(program, NUMBA_CACHE_DIR=str(tmp_path)) == "6.0\n"
        code = list(tmp_path.rglob("*_turned*.nb?"))
        assert number or len(code) == 2
        for file in code:
            file.write_bytes(damage)

"""The compiled loops give the same on any number of threads."""

import numpy as np
import pytest
import torch
from helpers.program import printed_by

from mri2qmap_bids.recon.encoding.compiled import coil_sum, matrix_product


@pytest.fixture(params=[2, 5])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def numbers(*shape):
    parts = np.random.default_rng(0).standard_normal((*shape, 2)).astype(np.float32)
    return parts.view(np.complex64)[..., 0]


def alone(function, *arguments):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        function(*arguments)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("kind", [np.float32, np.complex64])
def test_matrix_products_do_not_depend_on_the_threads(kind, threads):
    upper = numbers(6, 1001)
    upper = np.ascontiguousarray(upper.real) if kind is np.float32 else upper
    one, many = numbers(2, 3, 1001), numbers(2, 3, 1001)
    alone(matrix_product, upper, one)
    matrix_product(upper, many)
    assert np.array_equal(one, many) and not np.array_equal(one, numbers(2, 3, 1001))


def test_frequencies_outside_the_matrices_are_not_touched():
    spectra = numbers(2, 3, 1001)
    matrix_product(np.zeros((6, 300), np.float32), spectra, 200)
    assert not spectra[..., 200:500].any()
    assert np.array_equal(spectra[..., :200], numbers(2, 3, 1001)[..., :200])
    assert np.array_equal(spectra[..., 500:], numbers(2, 3, 1001)[..., 500:])


def test_coil_sums_do_not_depend_on_the_threads(threads):
    images, coils = numbers(2, 3, 1001), numbers(2, 1001)
    one, many = np.zeros((2, 3, 1001), np.complex64)
    alone(coil_sum, images, coils, one)
    coil_sum(images, coils, many)
    assert np.array_equal(one, many) and one.any()


@pytest.mark.parametrize("damage", [b"", b"no machine code"])
def test_damaged_machine_code_of_an_earlier_call_is_made_anew(tmp_path, damage):
    program = (
        "import numpy as np\n"
        "from mri2qmap_bids.recon.encoding.compiled import coil_sum\n"
        "total = np.zeros((1, 4), np.complex64)\n"
        "coil_sum(np.ones((2, 1, 4), np.complex64), np.ones((2, 4), np.complex64), total)\n"
        "print(total.real.sum())\n"
    )
    for number in range(2):
        assert printed_by(program, NUMBA_CACHE_DIR=str(tmp_path)) == "8.0\n"
        code = list(tmp_path.rglob("*_add_coils*.nb?"))
        assert number or len(code) == 2
        for file in code:
            file.write_bytes(damage)

"""Convolutions in blocks, against transforms of whole images one grid after the other."""

from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest
import torch
from helpers.laws import relative_error
from helpers.threads import torch_threads

from mri2qmap_bids.recon.encoding import convolution, convolution_blocks
from mri2qmap_bids.recon.encoding.convolution import coil_convolutions
from mri2qmap_bids.recon.encoding.convolution_blocks import by_columns, convolve, empty_by_columns
from mri2qmap_bids.recon.encoding.frequency_matrices import frequency_pairs

RANK = 3
PAIRS = frequency_pairs(RANK)
VOLUME = (6, 10, 9)


def numbers(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.complex64)


def matrices(kind, *shape):
    upper = numbers(len(PAIRS), *shape)
    for k, (i, j) in enumerate(PAIRS):
        if i == j:
            upper[k] = upper[k].real.to(upper.dtype)
    if kind.startswith("real"):
        upper = upper.real.contiguous()
    if kind.endswith("half"):
        upper = (torch.view_as_real(upper) if upper.is_complex() else upper).half()
    return upper


def both_ways(image, coils, spectra, scales, coils_at_once, monkeypatch):
    """By whole images, and in blocks."""
    monkeypatch.setattr(convolution, "_FEW", 1 << 30)
    whole = coil_convolutions(image, coils, spectra, scales, coils_at_once)
    monkeypatch.setattr(convolution, "_FEW", 0)
    return whole, coil_convolutions(image, coils, spectra, scales, coils_at_once)


@pytest.fixture(params=[1, 2, 5], ids=lambda n: f"{n} threads")
def threads(request):
    with torch_threads(request.param):
        yield


@pytest.mark.parametrize("kind", ["real", "complex", "real half", "complex half"])
@pytest.mark.parametrize(
    "shape",
    [(31,), (17, 12), VOLUME, (4, 16, 16), (1, 9), (9, 1), (1, 5, 4), (5, 1, 4), (5, 4, 1)],
    ids=str,
)
def test_they_are_those_of_whole_images(shape, kind, threads, monkeypatch):
    monkeypatch.setattr(convolution_blocks, "_BLOCK", 600)
    spectra = [(q, matrices(kind, *shape) * (2 + q[0])) for q in product((0, 1), repeat=len(shape))]
    scales = tuple(1.0 + pair for pair in range(len(PAIRS))) if "half" in kind else None
    image, coils = numbers(RANK, *shape), numbers(3, *shape)
    for coils_at_once in (1, 2, 3):
        whole, blocks = both_ways(image, coils, spectra, scales, coils_at_once, monkeypatch)
        assert relative_error(blocks, whole) < 1e-6


@pytest.mark.parametrize(
    "parities",
    [[(0, 0, 0)], [(1, 1, 1)], [(1, 0, 1), (0, 0, 0), (0, 1, 1)], [(0, 1, 0), (1, 1, 0)]],
    ids=str,
)
def test_any_grids_can_be_asked_for(parities, monkeypatch):
    spectra = [(parity, matrices("complex", *VOLUME)) for parity in parities]
    arguments = numbers(RANK, *VOLUME), numbers(2, *VOLUME), spectra, None, 2
    whole, blocks = both_ways(*arguments, monkeypatch)
    assert relative_error(blocks, whole) < 1e-6


def test_coils_may_have_any_order_in_memory(monkeypatch):
    spectra = [(parity, matrices("real", 16, 16)) for parity in product((0, 1), repeat=2)]
    coils = numbers(16, 16, 4).movedim(-1, 0)
    arguments = numbers(RANK, 16, 16), coils, spectra, None, 4
    whole, blocks = both_ways(*arguments, monkeypatch)
    assert relative_error(blocks, whole) < 1e-6


def test_no_grid_gives_nothing():
    result = convolve(numbers(RANK, *VOLUME), numbers(2, *VOLUME), {}, None, 1)
    assert result.shape == (RANK, *VOLUME) and not result.any()


def test_they_work_where_gradients_are_off(threads, monkeypatch):
    spectra = [((0, 0, 0), matrices("real", *VOLUME))]
    with torch.inference_mode():
        image, coils = numbers(RANK, *VOLUME), numbers(1, *VOLUME)
        whole, blocks = both_ways(image, coils, spectra, None, 1, monkeypatch)
        assert relative_error(blocks, whole) < 1e-6


def test_the_callers_number_of_threads_stays(threads):
    convolution_blocks._threads.cache_clear()
    before = torch.get_num_threads()
    convolve(numbers(1, 8, 8), numbers(1, 8, 8), {(0, 0): torch.ones(1, 8, 8)}, None, 1)
    assert torch.get_num_threads() == before
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == before


@pytest.mark.parametrize("parts", [(), (2,)])
def test_the_order_in_memory_changes_no_value(parts):
    stored = torch.randn(6, *VOLUME, *parts)
    array = empty_by_columns(2, 6, VOLUME, parts, torch.float32)
    assert array.shape == (2, 6, *VOLUME, *parts)
    array[1] = stored
    ordered = by_columns(stored, 3)
    assert torch.equal(ordered, stored) and torch.equal(array[1], stored)
    assert ordered.stride() == array[1].stride()
    # Along z neighbours in memory are next to one another.
    assert ordered.stride(1) == (2 if parts else 1)

"""The non-uniform transform against its sum."""

import pytest
import torch
from helpers.laws import assert_adjoint, assert_linear, relative_error
from helpers.threads import torch_threads

from mri2qmap_bids.recon.encoding.nufft import Nufft, _with_memory

SHAPES = [(8, 9), (5, 6, 7)]


@pytest.fixture
def threads():
    """Two threads, whatever the machine has."""
    with torch_threads(2):
        yield


def case(shape, n=60):
    torch.manual_seed(0)
    omega = (2 * torch.rand(n, len(shape)) - 1) * torch.pi
    image, samples = (torch.randn(s, dtype=torch.complex64) for s in (shape, (n,)))
    return omega, image, samples


def direct_sum(omega, image):
    axes = [torch.arange(n) - n // 2 for n in image.shape]
    places = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, image.ndim)
    phase = omega.double() @ places.double().T
    return (torch.exp(-1j * phase) @ image.flatten().to(torch.complex128)).to(torch.complex64)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_it_is_the_sum_with_its_origin_in_the_middle(shape):
    omega, image, samples = case(shape)
    plan = Nufft(omega, shape)
    assert relative_error(plan.forward(image), direct_sum(omega, image)) < 3e-4
    fine = Nufft(omega, shape, tolerance=1e-6)
    assert relative_error(fine.forward(image), direct_sum(omega, image)) < 1e-5
    assert_adjoint(plan.forward, plan.adjoint, image, samples, 1e-5)
    assert_linear(plan.forward, image, image.flip(0), 1e-5)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_positions_have_a_period(shape):
    """Of 2 pi per voxel, as those of a kernel on a doubled grid need it."""
    omega, image, _ = case(shape)
    turns = torch.randint(-1, 2, omega.shape)
    moved = omega + 2 * torch.pi * turns
    assert relative_error(Nufft(moved, shape).forward(image), direct_sum(omega, image)) < 3e-4


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("number", [1, 3])
def test_several_images_are_transformed_as_one_by_one(shape, number):
    omega, _, _ = case(shape)
    plan = Nufft(omega, shape)
    torch.manual_seed(1)
    images = torch.randn(number, *shape, dtype=torch.complex64)
    samples = torch.randn(number, 60, dtype=torch.complex64)
    one_by_one = torch.stack([plan.forward(image) for image in images])
    assert relative_error(plan.forward(images), one_by_one) < 1e-5
    one_by_one = torch.stack([plan.adjoint(part) for part in samples])
    assert relative_error(plan.adjoint(samples), one_by_one) < 1e-5


def test_small_images_go_together_on_several_cores(threads):
    omega, _, _ = case((8, 9))
    assert Nufft(omega, (8, 9)).at_once > 100
    assert Nufft(torch.zeros(2**20, 3), (8, 9, 9)).at_once == 4
    assert Nufft(omega, (128, 128, 128)).at_once == 1
    torch.set_num_threads(1)
    assert Nufft(omega, (8, 9)).at_once == 1


def test_a_plan_serves_one_image_after_the_other():
    omega, image, samples = case((8, 9))
    plan = Nufft(omega, (8, 9))
    first = plan.forward(image)
    plan.adjoint(samples)
    plan.forward(2 * image)
    assert torch.equal(plan.forward(image), first)


def test_spreading_alone_is_real_positive_and_its_own_adjoint():
    omega, image, samples = case((16, 16))
    plan = Nufft(omega, (16, 16), spread_only=True)
    image = torch.randn(16, 16, dtype=torch.complex64)
    assert_adjoint(plan.forward, plan.adjoint, image, samples, 1e-5)
    density = plan.adjoint(torch.ones(60, dtype=torch.complex64))
    assert density.imag.abs().max() < 1e-6 and density.real.min() >= 0


def test_the_spreading_kernel_is_an_exponential_of_a_semicircle():
    """The kernel of cufinufft, so that density compensation does not depend on the device."""
    n, width = 32, 5
    distance = torch.linspace(-3, 3, 25)
    omega = torch.stack([2 * torch.pi * distance / n, torch.zeros(25)], 1)
    point = torch.zeros(n, n, dtype=torch.complex64)
    point[n // 2, n // 2] = 1
    kernel = Nufft(omega, (n, n), 3e-4, spread_only=True).forward(point).real
    semicircle = (1 - (2 * distance / width) ** 2).clamp_min(0).sqrt()
    expected = torch.exp(2.3 * width * (semicircle - 1)) * (distance.abs() < width / 2)
    assert torch.allclose(kernel / kernel.max(), expected, atol=1e-3)


def test_cufinufft_short_of_memory_is_called_again_and_then_said(monkeypatch):
    emptied = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))
    calls = []

    def fails(times):
        calls.append(times)
        if len(calls) <= times:
            raise RuntimeError("Error creating plan.")
        return "plan"

    assert _with_memory(lambda: fails(1)) == "plan"
    assert len(calls) == 2 and len(emptied) == 1
    calls.clear()
    with pytest.raises(torch.OutOfMemoryError, match="Error creating plan"):
        _with_memory(lambda: fails(2))
    assert len(calls) == 2

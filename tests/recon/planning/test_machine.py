"""Speed and memory of this machine."""

import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mri2qmap_bids.recon.encoding.nufft import Nufft
from mri2qmap_bids.recon.planning import machine as machines
from mri2qmap_bids.recon.planning.machine import MemoryLimits, Rates, machine_of, measured_rates

RATES = Rates(fft=1e11, stream=3e12, product=1e14, spread=1e9)


def test_rates_are_the_work_of_the_trials_by_their_time(monkeypatch):
    """The work is counted while it is done; every trial takes two seconds."""
    shapes, sizes, flops = [], [], []
    transform, spread = torch.fft.fftn, Nufft.adjoint

    def counted_transform(image, dim):
        shapes.append(image.shape)
        return transform(image, dim=dim)

    def counted_spread(nufft, samples):
        sizes.append(len(samples))
        return spread(nufft, samples)

    def two_seconds(work, device, repeats=5):
        with FlopCounterMode(display=False) as counter:
            work()
        flops.append(counter.get_total_flops())
        return 2.0

    monkeypatch.setattr(torch.fft, "fftn", counted_transform)
    monkeypatch.setattr(Nufft, "adjoint", counted_spread)
    monkeypatch.setattr(machines, "_quickest", two_seconds)
    monkeypatch.setattr(machines, "_rates_with", machines._rates_with.__wrapped__)
    rates = measured_rates(torch.device("cpu"), (96, 96))
    n_images, *plane = shapes[0]
    n = math.prod(plane)
    assert rates.fft == pytest.approx(n_images * n * math.log2(n) / 2)
    assert rates.product == pytest.approx(max(flops) / 2)
    assert rates.spread == pytest.approx(sizes[0] / 2)
    # Two arrays are read and one is written, of as many complex numbers as are transformed.
    assert rates.stream == pytest.approx(3 * 8 * n_images * n / 2)


@pytest.mark.parametrize(
    ("shape", "images"),
    [
        ((96, 96), (7, 96, 96)),
        ((64, 64), (8, 64, 64)),
        ((48, 48, 48), (1, 48, 48, 48)),
        ((90, 91, 92), (1, 90, 90, 90)),
        ((16, 2048, 2048), (1, 10, 1280, 1280)),
        ((8, 4, 4), (8, 8, 4, 4)),
    ],
)
def test_trials_are_as_large_as_the_problem_up_to_a_limit(shape, images, monkeypatch):
    tried = []
    transform = torch.fft.fftn

    def noted(points, dim):
        tried.append(tuple(points.shape))
        return transform(points, dim=dim)

    monkeypatch.setattr(torch.fft, "fftn", noted)
    monkeypatch.setattr(machines, "_rates_with", machines._rates_with.__wrapped__)
    measured_rates(torch.device("cpu"), shape)
    assert set(tried) == {images}


def test_memory_is_what_is_allowed_or_nine_tenths_of_what_is_there(monkeypatch):
    monkeypatch.setattr(machines, "measured_rates", lambda *_: RATES)
    monkeypatch.setattr("mri2qmap_bids.recon.planning.resources.available_memory_gb", lambda: 20.0)
    for limits, gigabytes in ((MemoryLimits(3.0), 3), (MemoryLimits(), 18), (MemoryLimits(0.0), 0)):
        machine = machine_of(torch.device("cpu"), (96, 96), limits)
        assert machine.host_memory == machine.device_memory == pytest.approx(1e9 * gigabytes)
        assert not machine.is_gpu and machine.rates == RATES


def test_threads_that_wait_for_others_do_not_count(monkeypatch):
    # As on a machine whose cores are busy: several threads take a hundred times as long.
    def took(work: object, device: torch.device, repeats: int = 5) -> float:
        return 1e-3 if torch.get_num_threads() == 1 else 1e-1

    monkeypatch.setattr(machines, "_quickest", took)
    n_threads = torch.get_num_threads()
    rates = []
    try:
        for n in (1, 2):
            torch.set_num_threads(n)
            machines._rates_with.cache_clear()
            rates.append(measured_rates(torch.device("cpu"), (96, 96)))
            assert torch.get_num_threads() == n
    finally:
        torch.set_num_threads(n_threads)
        machines._rates_with.cache_clear()
    assert rates[0] == rates[1]

import pytest
import torch

from mri2qmap_bids.errors import DeviceError
from mri2qmap_bids.recon import device as device_module
from mri2qmap_bids.recon.device import find_device


@pytest.fixture
def machine(monkeypatch):
    """A machine with so many GPUs, and with or without cuFINUFFT; the GPUs made current."""
    current = []

    def make(n_gpus, cufinufft=True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: n_gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
        monkeypatch.setattr(torch.cuda, "set_device", current.append)
        monkeypatch.setattr(device_module, "find_spec", lambda _: object() if cufinufft else None)
        return current

    return make


def test_a_gpu_that_is_not_there_is_said(machine):
    machine(2)
    with pytest.raises(DeviceError, match=r"must be a GPU that is there, got cuda:77 of 2 GPU"):
        find_device("cuda:77")
    assert find_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(("n_gpus", "expected"), [(1, "cuda:0"), (0, "cpu")])
def test_auto_takes_a_gpu_if_there_is_one(machine, n_gpus, expected):
    machine(n_gpus)
    assert find_device("auto") == torch.device(expected)


def test_the_gpu_becomes_the_current_one(machine):
    """Kernels of other libraries run on the current device."""
    assert machine(2) == []
    find_device("cpu")
    device = find_device("cuda:1")
    assert machine(2) == [device] == [torch.device("cuda:1")]


def test_without_cufinufft_there_is_no_gpu(machine, caplog):
    machine(1, cufinufft=False)
    assert find_device("auto") == torch.device("cpu")
    assert "cuFINUFFT is missing (the extra gpu installs it)" in caplog.text
    with pytest.raises(DeviceError, match=r"cpu without cuFINUFFT .*extra gpu.*, got cuda:0"):
        find_device("cuda:0")

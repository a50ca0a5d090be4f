import pytest
import torch

from mri2qmap_bids.errors import DeviceError
from mri2qmap_bids.recon.device import find_device


def test_a_gpu_that_is_not_there_is_said():
    with pytest.raises(DeviceError, match=r"device must be a GPU that is there, got cuda:77"):
        find_device("cuda:77")
    assert find_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(("there", "expected"), [(True, "cuda:0"), (False, "cpu")])
def test_auto_takes_a_gpu_if_there_is_one(monkeypatch, there, expected):
    monkeypatch.setattr("torch.cuda.is_available", lambda: there)
    assert find_device("auto") == torch.device(expected)

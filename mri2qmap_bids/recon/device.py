"""The device to compute on."""

import torch

from mri2qmap_bids.errors import DeviceError


def find_device(name: str) -> torch.device:
    """The device to compute on; ``auto`` takes the first GPU, else the CPU.

    Raises
    ------
    DeviceError
        If the requested GPU is not available.
    """
    name = name.lower()
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"device must be a GPU that is there, got {name} of {torch.cuda.device_count()} GPU(s)"
        )
    return device

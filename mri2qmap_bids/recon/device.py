"""The device to compute on."""

import logging
from importlib.util import find_spec

import torch

from mri2qmap_bids.errors import DeviceError

logger = logging.getLogger(__name__)


def find_device(name: str) -> torch.device:
    """The device to compute on; ``auto`` takes the first GPU, else the CPU.

    A GPU becomes the current device of the process, which cuFINUFFT and Triton compute on. Without cuFINUFFT ``auto``
    takes the CPU, and a warning is logged.

    Raises
    ------
    DeviceError
        If the requested GPU is not available, or cuFINUFFT is missing.
    """
    name = name.lower()
    usable = find_spec("cufinufft") is not None
    if name == "auto":
        if torch.cuda.is_available() and not usable:
            logger.warning("The GPU is not used: cuFINUFFT is missing (the extra gpu installs it)")
        name = "cuda:0" if torch.cuda.is_available() and usable else "cpu"
    device = torch.device(name)
    if device.type != "cuda":
        return device
    if (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"device must be a GPU that is there, got {name} of {torch.cuda.device_count()} GPU(s)"
        )
    if not usable:
        raise DeviceError(
            f"device must be cpu without cuFINUFFT (the extra gpu installs it), got {name}"
        )
    torch.cuda.set_device(device)
    return device

"""Errors of the package with the options that may solve them."""

from mri2qmap_bids.errors import DeviceError, MemoryLimitError, Mri2QmapError, UnexpectedError

_ADVICE: dict[type[Mri2QmapError], str] = {
    MemoryLimitError: "; allow more memory (--mem, --gpu-mem), or use a smaller --matrix or --rank",
    UnexpectedError: "; -v logs its traceback",
    DeviceError: "; check the driver (and --gpus all / --nv in a container) or use --device cpu",
}


def advised(error: Mri2QmapError) -> str:
    """An error's text with the options that may solve it."""
    advice = next((text for kind, text in _ADVICE.items() if isinstance(error, kind)), "")
    return f"{error}{advice}"

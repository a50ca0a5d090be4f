"""CUDA's libraries for cufinufft, whose version of CUDA may be another one than torch's."""

import ctypes
from importlib.metadata import PackageNotFoundError, files

# Python packages of the extra "gpu", and in each what cufinufft is linked with.
_LIBRARIES = {
    "nvidia-cuda-runtime-cu12": "libcudart.so.12",
    "nvidia-cufft-cu12": "libcufft.so.11",
}


def load_cuda_libraries() -> None:
    """Load what cufinufft is linked with, before it is imported.

    The dynamic loader does not look where pip puts these libraries. Without the packages it may
    still find those of a CUDA toolkit.
    """
    for package, library in _LIBRARIES.items():
        try:
            found = files(package) or []
        except PackageNotFoundError:
            continue
        for file in found:
            if file.name == library:
                ctypes.CDLL(str(file.locate()), mode=ctypes.RTLD_GLOBAL)

"""CUDA libraries for cufinufft, whose CUDA version may differ from that of torch."""

import ctypes
from importlib.metadata import PackageNotFoundError, files

# Python packages of the extra "gpu", and the library in each that cufinufft is linked with.
_LIBRARIES = {
    "nvidia-cuda-runtime-cu12": "libcudart.so.12",
    "nvidia-cufft-cu12": "libcufft.so.11",
}


def load_cuda_libraries() -> None:
    """Load the libraries that cufinufft is linked with, before it is imported.

    The dynamic loader does not search the folders where pip installs these libraries. Without the
    packages it may still find those of a CUDA toolkit.
    """
    for package, library in _LIBRARIES.items():
        try:
            package_files = files(package) or []
        except PackageNotFoundError:
            continue
        for file in package_files:
            if file.name == library:
                ctypes.CDLL(str(file.locate()), mode=ctypes.RTLD_GLOBAL)

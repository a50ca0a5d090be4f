"""cufinufft finds the libraries of CUDA that came as Python packages."""

import _ctypes
import shutil
from pathlib import Path

from mri2qmap_bids.recon.encoding.cuda import load_cuda_libraries


def loaded() -> str:
    return Path("/proc/self/maps").read_text()


def test_libraries_of_the_packages_are_loaded(tmp_path, monkeypatch):
    """Any shared library will do to see it loaded."""
    library = tmp_path / "nvidia" / "cufft" / "lib" / "libcufft.so.11"
    library.parent.mkdir(parents=True)
    shutil.copy(_ctypes.__file__, library)
    described = tmp_path / "nvidia_cufft_cu12-0.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Name: nvidia-cufft-cu12\nVersion: 0.0\n")
    (described / "RECORD").write_text("nvidia/cufft/lib/libcufft.so.11,,\n")
    load_cuda_libraries()
    assert str(library) not in loaded()
    monkeypatch.syspath_prepend(tmp_path)
    load_cuda_libraries()
    assert str(library) in loaded()

"""Arrays as BART keeps them: a header with the shape, and the numbers in Fortran's order."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.convert.bart import read_cfl

__all__ = ["read_cfl", "write_cfl"]


def write_cfl(path: Path, array: NDArray[np.generic]) -> None:
    """Write ``path.hdr`` and ``path.cfl``."""
    path.with_suffix(".hdr").write_text("# Dimensions\n" + " ".join(map(str, array.shape)) + "\n")
    np.asarray(array, np.complex64).ravel(order="F").tofile(path.with_suffix(".cfl"))

"""Arrays as BART keeps them: a header with the shape, and the numbers in Fortran's order."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def write_cfl(path: Path, array: NDArray[np.generic]) -> None:
    """Write ``path.hdr`` and ``path.cfl``."""
    path.with_suffix(".hdr").write_text("# Dimensions\n" + " ".join(map(str, array.shape)) + "\n")
    np.asarray(array, np.complex64).ravel(order="F").tofile(path.with_suffix(".cfl"))


def read_cfl(path: Path) -> NDArray[np.complex64]:
    """Read what :func:`write_cfl`, or BART, wrote."""
    shape = [int(n) for n in path.with_suffix(".hdr").read_text().splitlines()[1].split()]
    return np.fromfile(path.with_suffix(".cfl"), np.complex64).reshape(shape, order="F")

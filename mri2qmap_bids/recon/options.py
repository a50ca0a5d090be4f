"""The science's knobs and their defaults, in one place."""

from dataclasses import dataclass
from typing import Literal, get_args

ReconMethod = Literal["subspace", "gridding"]
RECON_METHODS: tuple[ReconMethod, ...] = get_args(ReconMethod)


@dataclass(frozen=True)
class ReconOptions:
    """How a scan is reconstructed."""

    method: ReconMethod = "subspace"
    """subspace: conjugate gradients; gridding: density-compensated adjoint."""
    n_iterations: int = 12
    """Conjugate-gradient steps of the subspace reconstruction."""
    rank: int | None = None
    """Dimension of the temporal subspace; None keeps ``energy``."""
    energy: float = 0.9999
    """Fraction of the dictionary's energy that the subspace must hold, 0..1."""
    n_virtual_coils: int = 8
    """Coils left after compression."""
    matrix: tuple[int, int, int] | None = None
    """Voxels along (z, y, x) over the scan's field of view; None takes the file's."""
    t1_range: tuple[float, float] = (0.1, 5.0)
    """Shortest and longest T1 in the dictionary [s]."""
    t2_range: tuple[float, float] = (0.01, 2.0)
    """Shortest and longest T2 in the dictionary [s]."""
    grid_step: float = 0.05
    """Largest relative step between neighbouring dictionary values."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""

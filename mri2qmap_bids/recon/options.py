"""Options of a reconstruction."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReconOptions:
    """How a scan is reconstructed."""

    method: str = "mri2qmap"
    """Name of the method; ``recon.methods`` has one file per method."""
    n_iterations: int | None = None
    """Maximum number of iterations of the method's solver; None takes the method's default."""
    regularisation: float | None = None
    """Weight of the method's regulariser, relative to the noise; None takes the method's default."""
    rank: int | None = None
    """Dimension of the temporal subspace; None takes the smallest that contains ``energy``."""
    energy: float = 0.9999
    """Fraction of the dictionary's energy that the subspace must contain, 0..1."""
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
    denoiser: str | None = None
    """Weights of the method's denoiser (.safetensors); None takes those of the package."""
    random_seed: int = 0
    """Seed of the random samples from which the uncertainty is computed."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""

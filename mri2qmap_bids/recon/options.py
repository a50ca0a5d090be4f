"""Options of a reconstruction: what a user may choose; a method's settings are its constants."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.arguments import whole
from mri2qmap_bids.recon.bound import Bound, check
from mri2qmap_bids.recon.bounds import LEAST_MATRIX, MATRIX, PARTITIONS
from mri2qmap_bids.recon.units import RATIOS, TIMES

_BOUNDS = {
    "regularisation": Bound("", "1", 0.0, 1e12, RATIOS, "a negative weight has no minimiser"),
    "energy": Bound("", "1", 0.5, 1.0, RATIOS, "a fraction; below a half there is no fingerprint"),
    "t1_range": Bound("", "s", 1e-3, 20.0, TIMES, "no tissue relaxes faster, no fluid more slowly"),
    "t2_range": Bound("", "s", 1e-4, 20.0, TIMES, "no signal is left below, no fluid is above"),
    "grid_step": Bound("", "1", 1e-3, 2.0, RATIOS, "a relative step; finer ones exceed any memory"),
}
INVERSION_EFFICIENCIES = ("given", "estimate", "map")
"""Where the efficiency of the inversion comes from."""
LARGEST_SEED = 2**64 - 1
"""PyTorch takes no larger one."""
_LEAST = {"n_iterations": 1, "rank": 1, "n_virtual_coils": 1, "random_seed": 0}


@dataclass(frozen=True)
class ReconOptions:
    """How a scan is reconstructed."""

    method: str = "mri2qmap"
    """Name of the method; ``recon.methods`` has one file per method."""
    n_iterations: int | None = None
    """Maximum number of iterations of the method: steps of the solver, or rounds of denoising and data consistency;
    None takes the method's default."""
    regularisation: float | None = None
    """Weight of the method's regulariser, relative to that which follows from the data; None takes
    the method's default."""
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
    inversion_efficiency: str = "given"
    """given: that of the pulse sequence; estimate: one value for the whole scan, from its data;
    map: one value per voxel, smoothed over a Gaussian window."""
    denoiser: str | None = None
    """Weights of the method's denoiser (.safetensors); None takes those of the package."""
    random_seed: int = 0
    """Seed of the random samples from which the uncertainty is computed."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""

    def __post_init__(self) -> None:
        for name, bound in _BOUNDS.items():
            value = getattr(self, name)
            # Defaults need no check, and the help of the command line need not wait for NumPy.
            if value is not None and value is not getattr(type(self), name):
                check(bound, value, name)
        for name, least in _LEAST.items():
            if getattr(self, name) is not None:
                object.__setattr__(self, name, whole(getattr(self, name), name, least))
        if self.random_seed > LARGEST_SEED:
            raise ArgumentError(
                f"random_seed must be at most {LARGEST_SEED}, got {self.random_seed}"
            )
        _check_ranges(self.t1_range, self.t2_range)
        if self.matrix is not None:
            object.__setattr__(self, "matrix", _matrix(self.matrix))
        if self.inversion_efficiency not in INVERSION_EFFICIENCIES:
            raise ArgumentError(
                f"inversion_efficiency must be {', '.join(INVERSION_EFFICIENCIES)} (its value belongs to the "
                f"pulse sequence), got {self.inversion_efficiency!r}"
            )
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", str(self.device), re.IGNORECASE):
            raise ArgumentError(f"device must be auto, cpu, cuda or cuda:N, got {self.device!r}")


def _check_ranges(t1_range: tuple[float, float], t2_range: tuple[float, float]) -> None:
    for name, limits in (("t1_range", t1_range), ("t2_range", t2_range)):
        if len(limits) != 2 or not limits[0] < limits[1]:
            raise ArgumentError(f"{name} must be (shortest, longest) [s], got {limits}")
    if t2_range[0] > t1_range[1]:
        raise ArgumentError(
            f"t2_range must begin below the longest T1 (no tissue has T2 above T1), got {t2_range} with "
            f"t1_range {t1_range}"
        )


def _matrix(matrix: Iterable[int]) -> tuple[int, int, int]:
    sizes = tuple(whole(n, "matrix", 1) for n in matrix)
    if len(sizes) != 3:
        raise ArgumentError(f"matrix must be (z, y, x), got {sizes}")
    check(PARTITIONS, sizes[0], "matrix along z")
    check(MATRIX, sizes[1:], "matrix along y, x")
    if min(sizes[1:]) < LEAST_MATRIX:
        raise ArgumentError(f"matrix along y, x must be at least {LEAST_MATRIX}, got {sizes[1:]}")
    return sizes

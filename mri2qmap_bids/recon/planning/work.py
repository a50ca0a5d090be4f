"""The work of a method: how often it applies what costs time and memory."""

from collections.abc import Callable
from dataclasses import dataclass

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.planning.size import ProblemSize


@dataclass(frozen=True)
class SplitCost:
    """Cost of the split variables of ADMM."""

    resident: float
    """Bytes held between steps."""
    scratch: float
    """Bytes while the proximal map is computed."""
    moved: float
    """Bytes read and written in every step."""


@dataclass(frozen=True)
class StageWork:
    """Upper bound of the work of one recorded stage of a method."""

    name: str
    """As of :meth:`mri2qmap_bids.recon.record.Record.stage`."""
    n_normal: int = 0
    """Applications of A^H A."""
    n_denoise: int = 0
    """Applications of a denoising prior."""
    n_match: int = 0
    """Number of times that every voxel is matched."""
    n_transforms: int = 0
    """Applications of A or A^H by non-uniform transforms."""


@dataclass(frozen=True)
class Work:
    """Upper bound of the work of a method; with the problem's size it determines the cost."""

    stages: tuple[StageWork, ...]
    """Its parts, at least one, in the order in which they begin."""
    n_prox: int = 0
    """ADMM steps."""
    split: Callable[[ProblemSize], SplitCost] | None = None
    """Cost of their split variables."""
    n_images: Callable[[ProblemSize], int] | None = None
    """Images denoised one by one in each application; None: all contrasts together."""
    corrects_residual: bool = False
    """Whether the method ends with a residual correction."""

    def __post_init__(self) -> None:
        if not self.stages:
            raise ArgumentError("stages must be at least one, got none")

    @property
    def n_normal(self) -> int:
        """Applications of A^H A; 0: no linear problem is solved."""
        return sum(stage.n_normal for stage in self.stages)

    @property
    def n_denoise(self) -> int:
        """Applications of a denoising prior."""
        return sum(stage.n_denoise for stage in self.stages)

    @property
    def n_match(self) -> int:
        """Number of times that every voxel is matched."""
        return sum(stage.n_match for stage in self.stages)

    @property
    def n_transforms(self) -> int:
        """Applications of A or A^H by non-uniform transforms, in typical runs; at least that of the data."""
        return max(1, sum(stage.n_transforms for stage in self.stages))

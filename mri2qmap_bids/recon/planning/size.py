"""The size of a reconstruction problem."""

import math
from dataclasses import dataclass

from mri2qmap_bids.recon.denoisers.base import (
    DenoiserShape,
)
from mri2qmap_bids.recon.denoisers.unet import UNetShape
from mri2qmap_bids.recon.encoding.toeplitz import fast_grid

_COMPLEX = 8.0  # bytes


@dataclass(frozen=True)
class ProblemSize:
    """The quantities that cost depends on; slices are processed one after the other."""

    shape: tuple[int, ...]
    """Voxels of one slice or volume, along (z,) y, x, encoded field of view."""
    n_slices: int
    """Slices; 1 for a volume."""
    rank: int
    """Dimension of the subspace."""
    n_receive: int
    """Coils in the file."""
    n_coils: int
    """Coils after compression."""
    n_samples: int
    """Samples of one coil in one slice or volume."""
    n_atoms: int
    """Atoms of the dictionary."""
    denoiser: DenoiserShape = UNetShape()
    """The denoiser, of the methods that have one."""
    real_basis: bool = True
    """Whether the temporal basis is real."""
    n_fields: int = 1
    """Transmit fields of the dictionary; a voxel is compared with the atoms of one."""
    n_segments: int = 1
    """Time segments of the encoding; 1 without correction of off-resonance."""
    n_normal_segments: int = 1
    """Time segments of A^H A by convolutions."""

    @property
    def n_voxels(self) -> int:
        """Of one slice or volume."""
        return math.prod(self.shape)

    @property
    def n_frequencies(self) -> int:
        """Of each interleaved grid of the Toeplitz kernels."""
        return math.prod(fast_grid(self.shape))

    @property
    def n_pairs(self) -> int:
        """Toeplitz kernels."""
        return self.rank * (self.rank + 1) // 2

    @property
    def image(self) -> float:
        """Bytes of one subspace image."""
        return self.rank * self.n_voxels * _COMPLEX

    @property
    def component(self) -> float:
        """Bytes of one of its components."""
        return self.n_voxels * _COMPLEX

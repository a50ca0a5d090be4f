"""What all slices of a scan share."""

from dataclasses import dataclass, field

import torch

from mri2qmap_bids.recon.acquisition.geometry import Geometry
from mri2qmap_bids.recon.acquisition.scan import RawScan
from mri2qmap_bids.recon.denoisers.base import Denoiser
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.dictionary import Dictionary
from mri2qmap_bids.recon.record import Record


@dataclass(frozen=True, eq=False)
class SharedData:
    """What all slices of a scan share; a volume is one of them."""

    scan: RawScan
    """Samples of all slices."""
    geometry: Geometry
    """The grid of the maps."""
    dictionary: Dictionary
    """Fingerprints and subspace, on the device to compute on."""
    options: ReconOptions
    """Method and its parameters."""
    whitening: torch.Tensor | None = None
    """Whitening matrix of the coils, shape (coil, coil); None: there is no noise scan."""
    denoiser: Denoiser | None = None
    """The method's denoiser; None: it has none."""
    record: Record = field(default_factory=Record)
    """Records time and steps."""

    @property
    def middle(self) -> int:
        """Number of the middle slice; 0 for a volume."""
        return len(self.scan.slices) // 2

    @property
    def map_shape(self) -> tuple[int, ...]:
        """Shape of the maps of one slice, or of the volume."""
        return self.geometry.matrix[0 if self.scan.is_3d else 1 :]

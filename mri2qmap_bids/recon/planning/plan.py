"""How to reconstruct, and what every part of it costs."""

from dataclasses import dataclass
from typing import Literal

from mri2qmap_bids.recon.encoding.toeplitz import Storage


@dataclass(frozen=True)
class Stage:
    """One part of a reconstruction."""

    name: str
    """Name of the stage."""
    host: float
    """Peak of the host's memory [byte]; 0 if the device is the CPU."""
    device: float
    """Peak of the device's memory [byte]."""
    seconds: float
    """Time for all slices."""


@dataclass(frozen=True)
class Plan:
    """How to reconstruct: storage and batch sizes."""

    normal: Literal["toeplitz", "transforms"] = "toeplitz"
    """A^H A by convolutions, or by non-uniform Fourier transforms in every application."""
    storage: Storage = "single"
    """Storage of Toeplitz kernels."""
    by_blocks: bool = False
    """Whether they are computed in blocks."""
    coils_at_once: int = 1
    """Coils in one application of A^H A."""
    voxels_at_once: int = 4096
    """Voxels matched together."""
    slices_at_once: int = 8
    """Slices denoised together."""
    stages: tuple[Stage, ...] = ()
    """Cost of each part."""

    @property
    def host(self) -> float:
        """Peak of the host's memory [byte]."""
        return max((stage.host for stage in self.stages), default=0.0)

    @property
    def device(self) -> float:
        """Peak of the device's memory [byte]."""
        return max((stage.device for stage in self.stages), default=0.0)

    @property
    def seconds(self) -> float:
        """Time of all stages."""
        return sum((stage.seconds for stage in self.stages), start=0.0)

    def __str__(self) -> str:
        kernels = {
            "single": "Toeplitz kernels in memory",
            "half": "Toeplitz kernels in half precision",
            "host": "Toeplitz kernels streamed from the host",
        }
        how = (
            kernels[self.storage] if self.normal == "toeplitz" else "non-uniform Fourier transforms"
        )
        blocks = ", set up in blocks" if self.by_blocks and self.normal == "toeplitz" else ""
        host = f"{self.host / 1e9:.1f} GB" if self.host else ""
        device = f"{self.device / 1e9:.1f} GB" + (" on the GPU" if self.host else "")
        together = [f"{self.coils_at_once} coil(s)", f"{self.voxels_at_once} voxels"]
        if self.slices_at_once > 1 and any(stage.name == "denoise" for stage in self.stages):
            together.append(f"{self.slices_at_once} slices")
        return (
            f"{how}{blocks}; {', '.join(together)} at once; about "
            f"{', '.join(filter(None, (device, host)))} and {duration(self.seconds)}"
        )


def duration(seconds: float) -> str:
    """A time in words.

    >>> duration(7.4), duration(300.0), duration(9000.0)
    ('7 s', '5 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"

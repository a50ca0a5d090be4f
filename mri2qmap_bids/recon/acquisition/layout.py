"""How a raw file is to be read."""

from dataclasses import dataclass

from mri2qmap_bids.recon.acquisition.counters import FrameCounter
from mri2qmap_bids.recon.acquisition.trajectory import TrajectoryUnits
from mri2qmap_bids.recon.arguments import member, whole


@dataclass(frozen=True)
class ReadLayout:
    """How to interpret a file's counters and trajectory.

    Raises
    ------
    ArgumentError
        If the number of frames is below 1, or there is no such counter or unit.
    """

    n_frames: int
    """Number of frames T."""
    frame_counter: FrameCounter | str = FrameCounter.CONTRAST
    """The counter with the frame number; a name, in any case, becomes the counter."""
    trajectory_units: TrajectoryUnits | str | None = None
    """Unit of the positions; None: cycles/pixel or cycles/fov, by the magnitude."""
    is_3d: bool | None = None
    """Whether the scan is one volume; None: by trajectory and header."""
    encoding: int | None = None
    """Which encoding of the header the scan has, from 0; None: that of the lines with all frames."""
    gradient_delay: tuple[float, ...] = ()
    """Delay of the gradients against the samples along x, y[, z] [s]; empty: none."""

    def __post_init__(self) -> None:
        counter, units = self.frame_counter, self.trajectory_units
        object.__setattr__(self, "n_frames", whole(self.n_frames, "n_frames", 1))
        object.__setattr__(self, "frame_counter", member(FrameCounter, counter, "frame_counter"))
        if units is not None:
            units = member(TrajectoryUnits, units, "trajectory_units")
            object.__setattr__(self, "trajectory_units", units)

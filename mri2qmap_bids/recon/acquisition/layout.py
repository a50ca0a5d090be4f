"""How a raw file is to be read."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReadLayout:
    """How to interpret a file's counters and trajectory."""

    n_frames: int
    """Number of frames T."""
    frame_counter: str = "contrast"
    """The counter with the frame number, one of FRAME_COUNTERS."""
    trajectory_units: str | None = None
    """cycles/pixel, cycles/fov or rad/pixel; None: detected from the magnitude."""
    is_3d: bool | None = None
    """Whether the scan is one volume; None: told by trajectory and header."""
    encoding: int | None = None
    """Which encoding of the header the scan has, from 0; None: that of the lines with all frames."""

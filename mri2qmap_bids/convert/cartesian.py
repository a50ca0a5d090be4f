"""Cartesian lines: their positions, and the removal of readout oversampling."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Lines:
    """Where the lines of a Cartesian scan lie."""

    encoded_fov: tuple[float, float, float]
    """Along x (with oversampling), y and z [m]."""
    centre_sample: int
    """Sample at the centre of k-space."""
    centre_line: int
    """Line at the centre, along y."""
    centre_partition: int = 0
    """Partition at the centre, along z."""


def without_oversampling(
    samples: NDArray[np.complex64], n_samples: int, centre: int
) -> tuple[NDArray[np.complex64], int]:
    """A line's samples with the outer field of view removed, and the sample at its centre.

    s' = F_n C F_L^-1 s, where C cuts the image along the line from L to its middle n voxels. The signal keeps
    its level and the noise falls by sqrt(n / L), as with a receiver of n / L of the bandwidth.

    Parameters
    ----------
    samples
        Shape (coil, sample).
    n_samples
        Samples to keep; divides the number of samples.
    centre
        Sample at the centre of k-space.
    """
    length = samples.shape[-1]
    start = length // 2 - n_samples // 2
    image = np.fft.ifft(np.roll(samples, -centre, axis=-1), axis=-1)
    middle = np.roll(image, length // 2, axis=-1)[..., start : start + n_samples]
    line = np.fft.fft(np.roll(middle, -(n_samples // 2), axis=-1), axis=-1)
    new_centre = centre * n_samples // length
    return np.roll(line, new_centre, axis=-1).astype(np.complex64), new_centre


def line_positions(
    lines: Lines, n_samples: int, line: int, partition: int | None
) -> NDArray[np.float32]:
    """Positions of one line's samples along x, y[, z] [cycles/m], shape (sample, dim)."""
    x = (np.arange(n_samples) - lines.centre_sample) / lines.encoded_fov[0]
    y = (line - lines.centre_line) / lines.encoded_fov[1]
    components = [x, np.full(n_samples, y)]
    if partition is not None:
        z = (partition - lines.centre_partition) / lines.encoded_fov[2]
        components.append(np.full(n_samples, z))
    return np.stack(components, axis=-1).astype(np.float32)

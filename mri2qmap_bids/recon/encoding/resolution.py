"""Resolution of the sampling and of a linear reconstruction."""

import numpy as np
import torch

from mri2qmap_bids.recon.arrays import Trajectory

_MOST_SHELLS = 24
_FINE = 64  # points of a profile in each voxel


def empty_shells(
    omega: Trajectory, shape: tuple[int, ...], voxel_size: tuple[float, ...]
) -> list[str]:
    """Warnings for shells of k-space without samples; empty if there are none.

    Parameters
    ----------
    omega
        Positions [rad/voxel], shape (sample, dim), within the k-space extent of the grid.
    shape
        Shape of the grid; shells are at least as thick as a step of its k-space.
    voxel_size
        Voxel size along the columns [m].
    """
    n_shells = max(2, min(_MOST_SHELLS, min(n for n in shape if n > 1) // 2))
    radius = torch.linalg.vector_norm(omega, dim=1) / torch.pi
    shell = (radius * n_shells).long()
    filled = torch.bincount(shell[shell < n_shells], minlength=n_shells)[:n_shells] > 0
    if bool(filled.all()):
        return []
    numbers = torch.nonzero(filled).flatten()
    last = int(numbers[-1]) + 1 if len(numbers) else 0
    messages = []
    if last < n_shells:
        share = max(last, 1) / n_shells
        size_text = " x ".join(f"{1e3 * size / share:.2g}" for size in reversed(voxel_size))
        messages.append(
            f"k-space is empty beyond {100 * share:.0f} % of the extent set by the matrix size: the "
            f"resolution is about {size_text} mm, not that of the voxels"
        )
    holes = [int(i) for i in torch.nonzero(~filled[:last]).flatten()]
    if holes:
        low, high = holes[0] / n_shells, (holes[-1] + 1) / n_shells
        messages.append(
            f"k-space has no samples in {len(holes)} of {n_shells} shells between "
            f"{100 * low:.0f} and {100 * high:.0f} % of the extent set by the matrix size: structures of "
            f"{1e3 * min(voxel_size) / high:.2g} mm and more may be missing or distorted"
        )
    return messages


def point_spread_widths(response: torch.Tensor) -> tuple[float, ...]:
    """Full width at half maximum of the point-spread function along every axis [voxel].

    Parameters
    ----------
    response
        Transfer function in the order of a discrete Fourier transform, real, shape (*space). All
        ones give 1.2, the width of a sinc.
    """
    widths = []
    for axis, n in enumerate(response.shape):
        others = tuple(other for other in range(response.ndim) if other != axis)
        profile = response.double().mean(others).cpu().numpy()
        frequency = np.fft.fftfreq(n)
        place = np.arange(0, n // 2 * _FINE) / _FINE
        spread = np.zeros(len(place))
        for value, f in zip(profile, frequency, strict=True):
            spread += value * np.cos(2 * np.pi * f * place)
        below = np.flatnonzero(spread < spread[:1] / 2)  # no place if there is one voxel
        widths.append(2 * float(place[below[0]]) if len(below) else float(n))
    return tuple(widths)

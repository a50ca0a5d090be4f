"""Where a scan sampled k-space."""

import numpy as np
import torch

from mri2qmap_bids.recon.diagnostics.model import Sampling
from mri2qmap_bids.recon.encoding.forward import Encoding

_N_READOUT_SAMPLES = 4096
_SAMPLES_AT_ONCE = 1 << 22


def sampling_of(encoding: Encoding) -> Sampling:
    """Number of samples in every cell of the grid's k-space, and the first readouts.

    Parameters
    ----------
    encoding
        A.
    """
    omega, shape = encoding.omega, encoding.shape
    n_cells = int(np.prod(shape))
    sizes = torch.tensor(shape, device=omega.device)
    counts = torch.zeros(n_cells, dtype=torch.long, device=omega.device)
    for part in torch.split(omega, _SAMPLES_AT_ONCE):
        cell = torch.round(part / (2 * torch.pi) * sizes).long() + sizes // 2
        cell = torch.minimum(cell.clamp_min(0), sizes - 1)
        flat = cell[:, 0]
        for axis in range(1, len(shape)):
            flat = flat * shape[axis] + cell[:, axis]
        counts += torch.bincount(flat, minlength=n_cells)
    density = counts.cpu().numpy().reshape(shape)
    # The outermost cells are half outside the grid's ellipsoid.
    axes = [(np.arange(n) - n // 2) / max(n / 2 - 1, 0.5) for n in shape]
    radius = sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij", sparse=True))
    images = [density] if len(shape) == 2 else [density.mean(axis) for axis in range(3)]
    return Sampling(
        density=tuple(np.asarray(image, np.float32) for image in images),
        coverage=float((density[np.asarray(radius) <= 1] > 0).mean()),
        readouts=(omega[:_N_READOUT_SAMPLES].flip(1) / torch.pi).cpu().numpy(),
        readout_frames=encoding.frame[:_N_READOUT_SAMPLES].cpu().numpy().astype(np.int32),
        n_samples=len(omega),
    )

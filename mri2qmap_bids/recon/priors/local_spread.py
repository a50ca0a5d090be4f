"""How much a map varies around every voxel."""

import torch

from mri2qmap_bids.recon.arrays import QuantityMap

_EDGE = 3  # voxels


def local_spread(values: QuantityMap, weight: QuantityMap) -> QuantityMap:
    """Weighted standard deviation over the 3^d voxels around every voxel; 0 where all weights are 0.

    Parameters
    ----------
    values
        Shape (*space).
    weight
        At least 0, shape (*space).
    """
    dim = values.ndim
    pool = {2: torch.nn.functional.avg_pool2d, 3: torch.nn.functional.avg_pool3d}[dim]

    def around(image: torch.Tensor) -> torch.Tensor:
        mean: torch.Tensor = pool(image[None, None], _EDGE, stride=1, padding=_EDGE // 2)[0, 0]
        return mean

    # About the middle of all values, so that squares lose no digits.
    shifted, weight = values - values.median(), weight.to(values.dtype)
    total = around(weight).clamp_min(1e-6 * float(weight.max()) + torch.finfo(values.dtype).tiny)
    mean = around(weight * shifted) / total
    variance: torch.Tensor = around(weight * shifted.square()) / total - mean.square()
    return variance.clamp_min(0).sqrt()

"""The loss of training: errors of the contrasts, and of the maps that they mean."""

import torch

from mri2qmap_bids.recon.denoisers.unet import UNet, memory_format
from mri2qmap_bids.training.draw import Batch
from mri2qmap_bids.training.map_errors import ContrastInverse, errors_of_maps

_SMALLEST_SQUARE = 1e-8  # neither root nor logarithm has a slope at 0


def training_loss(
    network: UNet,
    batch: Batch,
    inverse: ContrastInverse | None,
    quantity_weight: float,
    device: torch.device,
) -> torch.Tensor:
    """Errors of a denoised batch, as one number to be minimised.

    The error of a patch is the root mean square over its voxels, so that the minimiser is the mean of what
    is likely, not its median, which would drop whatever is rather absent than there, as faint lesions are.
    The loss of a joint denoiser is the mean of that error over patches and contrasts, plus the weighted
    mean error of log T1, log T2 and log M0 where the maps are known, so that ratios of contrasts are
    kept. Separate contrasts have no ratios to keep; their loss is the mean of the error's logarithm, which
    is their PSNR: no patch counts more because there is more noise in it.

    Parameters
    ----------
    network
        The denoiser.
    batch
        Patches.
    inverse
        For the errors of the maps; None for a denoiser of separate contrasts.
    quantity_weight
        Weight of the errors of the maps.
    device
        The network's.
    """
    batch = batch.to(device)
    noisy = batch.noisy.contiguous(memory_format=memory_format(network.shape.n_dims))
    with torch.autocast(device.type, torch.bfloat16):
        denoised = network(noisy, batch.sigma)
    error = (denoised.float() - batch.clean) * batch.counted
    if inverse is None:
        return mean_error(error, batch.counted, logarithm=True)
    of_maps = mean_error(*map_errors(error, batch, inverse))
    return mean_error(error, batch.counted) + quantity_weight * of_maps


def map_errors(
    error: torch.Tensor, batch: Batch, inverse: ContrastInverse
) -> tuple[torch.Tensor, torch.Tensor]:
    """Errors of log T1, log T2 and log M0, and where there is signal; each (batch, 3, *space)."""
    maps = batch.maps
    quantities = errors_of_maps(error * batch.white, maps, inverse).clamp(-1, 1)
    return quantities, (maps.m0 > 0).float()[:, None].expand_as(quantities)


def mean_error(error: torch.Tensor, counted: torch.Tensor, logarithm: bool = False) -> torch.Tensor:
    """Root mean square of what counts, or its logarithm, mean over patches and channels with any."""
    voxels = counted.flatten(2).sum(2)
    square = error.square().mul(counted).flatten(2).sum(2) / voxels.clamp_min(1) + _SMALLEST_SQUARE
    size = square.log() / 2 if logarithm else square.sqrt()
    there = (voxels > 0).float()
    return (size * there).sum() / there.sum().clamp_min(1)

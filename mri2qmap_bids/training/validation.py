"""Scores of subjects that are not trained on."""

from collections.abc import Sequence

import numpy as np
import torch

from mri2qmap_bids.recon.denoisers.unet import UNet
from mri2qmap_bids.training.data import Slice
from mri2qmap_bids.training.draw import Batch
from mri2qmap_bids.training.loss import map_errors, mean_error
from mri2qmap_bids.training.map_errors import ContrastInverse

VALIDATION_LEVELS = (0.02, 0.05, 0.1, 0.2)


@torch.no_grad()
def score_volumes(
    network: UNet, batches: Sequence[Batch], inverse: ContrastInverse
) -> dict[str, float]:
    """Root-mean-square errors of held-out batches.

    Of the contrasts before and after denoising, and of log T1, log T2 and log M0 after it.

    Parameters
    ----------
    network
        On the device of the batches.
    batches
        Patches of volumes.
    inverse
        For the errors of the maps.
    """
    errors: list[tuple[float, ...]] = []
    for batch in batches:
        denoised = network(batch.noisy, batch.sigma)
        before, after = (
            (images - batch.clean) * batch.counted for images in (batch.noisy, denoised)
        )
        of_maps, signal = map_errors(after, batch, inverse)
        errors.append(
            (
                mean_error(before, batch.counted).item(),
                mean_error(after, batch.counted).item(),
                *(mean_error(of_maps[:, [q]], signal[:, [q]]).item() for q in range(3)),
            )
        )
    names = ("noisy", "denoised", "t1", "t2", "m0")
    return {f"error_{name}": float(v) for name, v in zip(names, np.mean(errors, 0), strict=True)}


@torch.no_grad()
def score_slices(network: UNet, slices: Sequence[Slice], device: torch.device) -> dict[str, float]:
    """PSNR [dB] of held-out slices at each noise level, white noise, mean over slices."""
    scores: dict[str, float] = {}
    for level in VALIDATION_LEVELS:
        values = []
        for number, item in enumerate(slices):
            rng = np.random.default_rng([7, number])
            clean = _divisible(item.images.astype(np.float32), network.shape.multiple)
            sigma = np.zeros_like(clean)
            sigma[item.present] = level
            noisy = clean + sigma * rng.standard_normal(clean.shape).astype(np.float32)
            denoised = network(
                torch.from_numpy(noisy)[None].to(device), torch.from_numpy(sigma)[None].to(device)
            )
            error = (denoised[0].cpu().numpy() - clean)[item.present]
            values.append(-10 * np.log10(np.mean(error**2)))
        scores[f"psnr_{level:g}"] = float(np.mean(values)) if values else float("nan")
    return scores


def _divisible(images: np.ndarray, multiple: int) -> np.ndarray:
    ny, nx = (size // multiple * multiple for size in images.shape[1:])
    return images[:, :ny, :nx]

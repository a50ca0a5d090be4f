"""Training of the joint denoiser: noise is added, and the network learns to take it away."""

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from tqdm import tqdm

from mri2qmap_bids.recon.pnp.network import JointDenoiser, NetworkShape
from mri2qmap_bids.train.data import Slice

logger = logging.getLogger(__name__)

VALIDATION_LEVELS = (0.02, 0.05, 0.1, 0.2)


@dataclass(frozen=True)
class TrainingOptions:
    """How long and how a denoiser is trained."""

    n_steps: int = 20000
    """Optimiser steps."""
    batch: int = 8
    """Patches a step."""
    patch: int = 64
    """Edge of a patch [voxel]."""
    rate: float = 1e-3
    """Largest learning rate; falls to a hundredth by a cosine."""
    sigma_range: tuple[float, float] = (0.005, 0.4)
    """Noise levels, drawn log-uniformly for every channel; 1 is the brightest tissue."""
    synthetic_share: float = 0.6
    """Part of the patches that come from synthesised contrasts, where there are any."""
    validate_every: int = 500
    """Steps between validations and checkpoints."""
    seed: int = 0
    """Of weights, patches and noise."""
    device: str = "cpu"
    """cpu, cuda or cuda:N; mixed precision on a GPU."""


def train(
    real: Sequence[Slice],
    synthetic: Sequence[Slice],
    held_out: Sequence[Slice],
    shape: NetworkShape,
    options: TrainingOptions,
    checkpoint: Path,
) -> tuple[JointDenoiser, list[dict[str, Any]]]:
    """Minimise E |D(w + n, sigma) - w| over patches, noise levels and missing contrasts.

    Stops and goes on: a checkpoint beside the weights holds network, optimiser, history and
    step, and a call with the same file takes up there.

    Parameters
    ----------
    real, synthetic
        Training slices; either may be empty.
    held_out
        Slices of other subjects, for the validation curve.
    shape
        The network.
    options
        How long and how.
    checkpoint
        The file to keep the state in.

    Returns
    -------
    The network whose running mean of weights was best, and the validation history.
    """
    torch.manual_seed(options.seed)
    device = torch.device(options.device)
    network = JointDenoiser(shape).to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean = torch.optim.swa_utils.AveragedModel(
        network,
        multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.999),  # type: ignore[no-untyped-call]
    )
    optimiser = torch.optim.Adam(network.parameters(), lr=options.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimiser, options.n_steps, eta_min=options.rate / 100
    )
    history: list[dict[str, Any]] = []
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        for part, name in (
            (network, "network"),
            (mean, "mean"),
            (optimiser, "optimiser"),
            (schedule, "schedule"),
        ):
            part.load_state_dict(state[name])  # type: ignore[attr-defined]
        history, first = json.loads(state["history"]), int(state["step"])
        logger.info("%s: going on at step %d", checkpoint, first)
    start = time.monotonic()
    for step in tqdm(
        range(first, options.n_steps), initial=first, total=options.n_steps, mininterval=10
    ):
        rng = np.random.default_rng([options.seed, step])
        clean, present = draw_patches(real, synthetic, options, rng)
        noisy, sigma = add_noise(clean, present, options.sigma_range, rng)
        inputs = [torch.from_numpy(array).to(device) for array in (noisy, sigma, clean, present)]
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            denoised = network(inputs[0].contiguous(memory_format=torch.channels_last), inputs[1])
        error = (denoised.float() - inputs[2]).abs() * inputs[3][:, :, None, None]
        loss = error.sum() / (inputs[3].sum() * options.patch**2)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        mean.update_parameters(network)
        if (step + 1) % options.validate_every == 0 or step + 1 == options.n_steps:
            scores = validate(mean.module, held_out, device)  # type: ignore[arg-type]
            history.append(
                {"step": step + 1, "loss": loss.item(), "seconds": time.monotonic() - start}
                | scores
            )
            logger.info("step %d: loss %.4f, %s", step + 1, loss.item(), _shown(scores))
            state = {
                "network": network.state_dict(),
                "mean": mean.state_dict(),
                "optimiser": optimiser.state_dict(),
                "schedule": schedule.state_dict(),
                "history": json.dumps(history),
                "step": step + 1,
            }
            partial = checkpoint.with_suffix(".part")
            torch.save(state, partial)
            partial.replace(checkpoint)
    averaged: JointDenoiser = mean.module  # type: ignore[assignment]
    return averaged, history


def draw_patches(
    real: Sequence[Slice],
    synthetic: Sequence[Slice],
    options: TrainingOptions,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """A batch of flipped and turned patches: (batch, contrast, y, x) and (batch, contrast)."""
    share = options.synthetic_share if real and synthetic else float(bool(synthetic))
    patches: list[np.ndarray] = []
    present: list[np.ndarray] = []
    while len(patches) < options.batch:
        source = synthetic if rng.random() < share else real
        item = source[int(rng.integers(len(source)))]
        images = item.images
        edge = options.patch
        padding = [(0, max(edge - size, 0)) for size in images.shape[1:]]
        images = np.pad(images, [(0, 0), *padding]) if any(p[1] for p in padding) else images
        y, x = (rng.integers(size - edge + 1) for size in images.shape[1:])
        patch = images[:, y : y + edge, x : x + edge]
        patch = np.rot90(patch, int(rng.integers(4)), axes=(1, 2))[:, :: rng.choice((-1, 1))]
        patches.append(patch.astype(np.float32) * rng.uniform(0.5, 1.3))
        present.append(item.present)
    return np.stack(patches), np.stack(present)


def add_noise(
    clean: np.ndarray,
    present: np.ndarray,
    sigma_range: tuple[float, float],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Noise of another level for every channel, partly shared by them and partly smooth.

    Contrasts synthesised from estimated maps share the errors of the maps, and those of an
    iterative solution are not white. A missing contrast is pure noise of level 1.
    """
    n_batch, n_contrasts = present.shape
    low, high = np.log(sigma_range)
    common = rng.uniform(low, high, (n_batch, 1))
    own = np.clip(common + rng.normal(0, 0.7, (n_batch, n_contrasts)), low, high)
    sigma = np.where(present, np.exp(own), 1.0).astype(np.float32)
    white = rng.standard_normal(clean.shape)
    shared = rng.standard_normal((n_batch, 1, *clean.shape[2:]))
    mix = rng.uniform(0, 0.8, (n_batch, n_contrasts, 1, 1)) * rng.choice(
        (-1, 1), (n_batch, n_contrasts, 1, 1)
    )
    noise = np.sqrt(1 - mix**2) * white + mix * shared
    for item in range(n_batch):
        if rng.random() < 0.5:
            width = rng.uniform(0.3, 0.8)
            noise[item] = gaussian_filter(noise[item], (0, width, width))
            noise[item] /= noise[item].std()
    noisy = np.where(present[:, :, None, None], clean, 0) + sigma[:, :, None, None] * noise
    return noisy.astype(np.float32), sigma


@torch.no_grad()
def validate(
    network: JointDenoiser, slices: Sequence[Slice], device: torch.device
) -> dict[str, float]:
    """PSNR [dB] of held-out slices at each noise level, white noise, mean over slices."""
    scores: dict[str, float] = {}
    for level in VALIDATION_LEVELS:
        values = []
        for number, item in enumerate(slices):
            rng = np.random.default_rng([7, number])
            clean = _divisible(item.images.astype(np.float32), network.shape.multiple)
            sigma = np.where(item.present, level, 1.0).astype(np.float32)
            noisy = clean + sigma[:, None, None] * rng.standard_normal(clean.shape).astype(
                np.float32
            )
            denoised = network(
                torch.from_numpy(noisy)[None].to(device), torch.from_numpy(sigma)[None].to(device)
            )
            error = (denoised[0].cpu().numpy() - clean)[item.present]
            values.append(-10 * np.log10(np.mean(error**2)))
        scores[f"psnr_{level:g}"] = float(np.mean(values)) if values else float("nan")
    return scores


def card(
    options: TrainingOptions,
    shape: NetworkShape,
    history: list[dict[str, Any]],
    data: dict[str, Any],
) -> dict[str, Any]:
    """What the weights are and where they come from."""
    return {
        "network": asdict(shape),
        "training": asdict(options),
        "data": data,
        "validation": history[-1] if history else {},
    }


def _divisible(images: np.ndarray, multiple: int) -> np.ndarray:
    ny, nx = (size // multiple * multiple for size in images.shape[1:])
    return images[:, :ny, :nx]


def _shown(scores: dict[str, float]) -> str:
    return ", ".join(f"{key} {value:.2f}" for key, value in scores.items())

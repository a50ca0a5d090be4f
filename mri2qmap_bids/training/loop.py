"""Training of the joint denoiser: noise is added, and the network learns to remove it."""

import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from mri2qmap_bids.atomic import write_atomically
from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.recon.denoisers.unet import UNet, UNetShape, memory_format
from mri2qmap_bids.training.data import Slice
from mri2qmap_bids.training.draw import Batch, Sources, draw_batch
from mri2qmap_bids.training.noise import NoiseTables, errors_of_maps
from mri2qmap_bids.training.volume_draw import VolumeSources, draw_volume_batch

logger = logging.getLogger(__name__)

VALIDATION_LEVELS = (0.02, 0.05, 0.1, 0.2)
# Of the running mean of the weights, and steps at most until the learning rate is whole.
_MEMORY, _WARM_UP = 0.999, 100
_N_BATCHES = 3
_STATE = "network", "mean", "optimiser"
_SMALLEST_SQUARE = 1e-8  # neither root nor logarithm has a slope at 0


@dataclass(frozen=True)
class TrainingOptions:
    """How long and how a denoiser is trained."""

    n_steps: int = 20000
    """Optimiser steps."""
    batch: int = 16
    """Patches a step."""
    patch: int = 64
    """Edge of a patch [voxel]."""
    rate: float = 1e-3
    """Largest learning rate; falls to a hundredth by a cosine."""
    sigma_range: tuple[float, float] = (0.003, 0.3)
    """Noise levels, drawn log-uniformly for every channel; 1 is the brightest tissue."""
    shares: tuple[float, float, float] = (0.4, 0.35, 0.25)
    """Parts of the patches that come from synthesised anatomies, from T1-weighted images
    turned into maps, and from real images as they are, where there are any."""
    quantity_weight: float = 0.25
    """Weight of the relative errors of T1, T2 and M0 that errors of the contrasts mean, where
    the contrasts are synthesised, against the contrasts' own; not of separate contrasts."""
    validate_every: int = 1000
    """Steps between validations and checkpoints."""
    seed: int = 0
    """Of weights, patches and noise."""
    device: str = "cpu"
    """cpu, cuda or cuda:N; in mixed precision (bfloat16)."""
    seconds: float | None = None
    """Time after which training ends; the learning rate follows the steps or the time, whichever
    is further. None: only the steps count."""


def train(
    sources: Sources | VolumeSources,
    held_out: Sequence[Slice] | VolumeSources,
    shape: UNetShape,
    options: TrainingOptions,
    checkpoint: Path,
    initial: UNet | None = None,
) -> tuple[UNet, list[dict[str, Any]]]:
    """Minimise the error of D(w + n, sigma) over patches, noise levels and missing contrasts.

    The error of a patch is the root mean square over its voxels. So D tends to the mean of what
    is likely, not to its median, which would drop whatever is rather absent than there, as faint
    lesions are. The loss of a joint denoiser is the mean of that error over patches and contrasts.
    Of synthesised contrasts the maps are known. There the errors of T1, T2 and M0 that those of
    the contrasts mean count too, so that their ratios are kept. Separate contrasts have no ratios
    to keep; their loss is the mean of the error's logarithm, which is their PSNR: no patch counts
    more because there is more noise in it.

    Training may be interrupted: a checkpoint beside the weights holds network, optimiser, history and
    step, and a call with the same file takes up there.

    Parameters
    ----------
    sources
        What patches are cut from: slices or volumes, as the network takes them.
    held_out
        Slices or volumes of other subjects, for the validation curve.
    shape
        The network.
    options
        How long and how.
    checkpoint
        The file to keep the state in.
    initial
        A network of the same shape to start from; None starts from random weights.

    Returns
    -------
    The running mean of the network's weights, and the validation history.

    Raises
    ------
    UsageError
        If the checkpoint is of another network or of other options.
    """
    torch.manual_seed(options.seed)
    # Patches have one size: the fastest algorithm of every convolution is looked for once.
    torch.backends.cudnn.benchmark = True
    device = torch.device(options.device)
    network = UNet(shape).to(device)
    if initial is not None:
        network.load_state_dict(initial.state_dict())
    network.to(memory_format=memory_format(shape.n_dims))  # type: ignore[call-overload]
    mean = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=_running_mean)
    optimiser = torch.optim.Adam(network.parameters(), lr=options.rate, fused=device.type == "cuda")
    judge = _judge_of(held_out, options, device)
    history: list[dict[str, Any]] = []
    first, spent = 0, 0.0
    made_by = json.dumps({"network": asdict(shape), **asdict(options)})
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        if state.get("made_by") != made_by:
            raise UsageError(
                f"{checkpoint}: must be of the same training to be continued, "
                f"{made_by}, got {state.get('made_by')}; remove it to start again"
            )
        for part, name in zip((network, mean, optimiser), _STATE, strict=True):
            part.load_state_dict(state[name])  # type: ignore[attr-defined]
        history, first = json.loads(state["history"]), int(state["step"])
        spent = float(history[-1]["seconds"])
        logger.info("%s: continuing at step %d", checkpoint, first)
    start, warm_up = time.monotonic() - spent, max(1, min(_WARM_UP, options.n_steps // 100))
    tables = None if shape.separate else sources.tables
    for step in tqdm(
        range(first, options.n_steps), initial=first, total=options.n_steps, mininterval=10
    ):
        elapsed = time.monotonic() - start
        progress = max(step / options.n_steps, elapsed / (options.seconds or math.inf))
        for group in optimiser.param_groups:
            group["lr"] = options.rate * min(1, (step + 1) / warm_up) * _rate(min(progress, 1))
        rng = np.random.default_rng([options.seed, step])
        batch = _draw(sources, options, rng, shape.separate)
        loss = _loss(network, batch, tables, options, device)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        mean.update_parameters(network)
        last = step + 1 == options.n_steps or progress >= 1
        if (step + 1) % options.validate_every == 0 or last:
            scores = judge(mean.module)  # type: ignore[arg-type]
            history.append(
                {"step": step + 1, "loss": loss.item(), "seconds": time.monotonic() - start}
                | scores
            )
            logger.info("step %d: loss %.4f, %s", step + 1, loss.item(), _score_text(scores))
            _save_state(checkpoint, (network, mean, optimiser), history, made_by)
        if last:
            break
    averaged: UNet = mean.module  # type: ignore[assignment]
    return averaged, history


def _save_state(
    checkpoint: Path,
    parts: tuple[Any, Any, Any],
    history: list[dict[str, Any]],
    made_by: str,
) -> None:
    """Write network, running mean and optimiser with the history, whole or not at all."""
    state = dict(zip(_STATE, (part.state_dict() for part in parts), strict=True))
    state |= {"history": json.dumps(history), "made_by": made_by, "step": history[-1]["step"]}

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:  # torch refuses names that begin with a dot
            torch.save(state, file)

    write_atomically(checkpoint, write)


@torch.no_grad()
def _running_mean(
    mean: tuple[torch.Tensor, ...] | list[torch.Tensor],
    weights: tuple[torch.Tensor, ...] | list[torch.Tensor],
    n_averaged: torch.Tensor | int,
) -> None:
    """Exponential mean, whose memory grows with the steps at first."""
    torch._foreach_lerp_(mean, weights, 1 - min(_MEMORY, float(n_averaged / (n_averaged + 20))))


def _rate(progress: float) -> float:
    """Half a cosine from 1 to 0.01."""
    return 0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2


def _draw(
    sources: Sources | VolumeSources,
    options: TrainingOptions,
    rng: np.random.Generator,
    separate: bool,
) -> Batch:
    if isinstance(sources, VolumeSources):
        anatomies, textures, _ = options.shares
        return draw_volume_batch(
            sources, options.batch, options.patch, options.sigma_range, (anatomies, textures), rng
        )
    return draw_batch(
        sources, options.batch, options.patch, options.sigma_range, options.shares, rng, separate
    )


def _judge_of(
    held_out: Sequence[Slice] | VolumeSources, options: TrainingOptions, device: torch.device
) -> Callable[[UNet], dict[str, float]]:
    if isinstance(held_out, VolumeSources):
        batches = [
            _draw(held_out, options, np.random.default_rng([7, number]), False)
            for number in range(_N_BATCHES)
        ]
        return partial(validate_volumes, batches=batches, tables=held_out.tables)
    return lambda network: validate(network, held_out, device)


@torch.no_grad()
def validate_volumes(
    network: UNet, batches: Sequence[Batch], tables: NoiseTables
) -> dict[str, float]:
    """Root-mean-square errors of held-out batches.

    Of the contrasts before and after denoising, and of log T1, log T2 and log M0 after it.

    Parameters
    ----------
    network
        On the device of the batches.
    batches
        Patches of volumes.
    tables
        For the errors of maps.
    """
    errors: list[tuple[float, ...]] = []
    for batch in batches:
        denoised = network(batch.noisy, batch.sigma)
        before, after = (
            (images - batch.clean) * batch.counted for images in (batch.noisy, denoised)
        )
        of_maps, signal = _map_errors(after, batch, tables)
        errors.append(
            (
                _mean_error(before, batch.counted).item(),
                _mean_error(after, batch.counted).item(),
                *(_mean_error(of_maps[:, [q]], signal[:, [q]]).item() for q in range(3)),
            )
        )
    names = ("noisy", "denoised", "t1", "t2", "m0")
    return {f"error_{name}": float(v) for name, v in zip(names, np.mean(errors, 0), strict=True)}


@torch.no_grad()
def validate(network: UNet, slices: Sequence[Slice], device: torch.device) -> dict[str, float]:
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


def card(
    options: TrainingOptions,
    shape: UNetShape,
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


def _loss(
    network: UNet,
    batch: Batch,
    tables: NoiseTables | None,
    options: TrainingOptions,
    device: torch.device,
) -> torch.Tensor:
    """The loss of :func:`train`; without tables that of separate contrasts."""
    order = memory_format(network.shape.n_dims)
    noisy = batch.noisy.to(device).contiguous(memory_format=order)
    counted = batch.counted.to(device)
    with torch.autocast(device.type, torch.bfloat16):
        denoised = network(noisy, batch.sigma.to(device))
    error = (denoised.float() - batch.clean.to(device)) * counted
    if tables is None:
        return _mean_error(error, counted, logarithm=True)
    quantities, signal = _map_errors(error.to(batch.white.device), batch, tables)
    of_maps = _mean_error(quantities, signal).to(device)
    return _mean_error(error, counted) + options.quantity_weight * of_maps


def _map_errors(
    error: torch.Tensor, batch: Batch, tables: NoiseTables
) -> tuple[torch.Tensor, torch.Tensor]:
    """Errors of log T1, log T2 and log M0, and where there is signal; each (batch, 3, *space)."""
    maps = batch.maps
    quantities = errors_of_maps(error * batch.white, maps, tables).clamp(-1, 1)
    return quantities, (maps.m0 > 0).float()[:, None].expand_as(quantities)


def _mean_error(
    error: torch.Tensor, counted: torch.Tensor, logarithm: bool = False
) -> torch.Tensor:
    """Root mean square of what counts, or its logarithm, mean over patches and channels with any."""
    voxels = counted.flatten(2).sum(2)
    square = error.square().mul(counted).flatten(2).sum(2) / voxels.clamp_min(1) + _SMALLEST_SQUARE
    size = square.log() / 2 if logarithm else square.sqrt()
    there = (voxels > 0).float()
    return (size * there).sum() / there.sum().clamp_min(1)


def _divisible(images: np.ndarray, multiple: int) -> np.ndarray:
    ny, nx = (size // multiple * multiple for size in images.shape[1:])
    return images[:, :ny, :nx]


def _score_text(scores: dict[str, float]) -> str:
    return ", ".join(f"{key} {value:.2f}" for key, value in scores.items())

"""Training of the joint denoiser: noise is added, and the network learns to remove it."""

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from mri2qmap_bids.atomic import write_atomically
from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.recon.denoisers.unet import UNet, UNetShape, memory_format
from mri2qmap_bids.training.draw import Batch
from mri2qmap_bids.training.loss import training_loss
from mri2qmap_bids.training.map_errors import contrast_inverse

logger = logging.getLogger(__name__)

# Of the running mean of the weights, and steps at most until the learning rate is whole.
_MEMORY, _WARM_UP = 0.999, 100
_STATE = "network", "mean", "optimiser"


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
    draw: Callable[[np.random.Generator], Batch],
    score: Callable[[UNet], dict[str, float]],
    shape: UNetShape,
    options: TrainingOptions,
    checkpoint: Path,
    initial: UNet | None = None,
    inputs: Mapping[str, Any] | None = None,
) -> tuple[UNet, list[dict[str, Any]]]:
    """Minimise :func:`~mri2qmap_bids.training.loss.training_loss` of D(w + n, sigma) over batches.

    Training may be interrupted: a checkpoint beside the weights holds network, optimiser, history and
    step, and a call with the same file takes up there.

    Parameters
    ----------
    draw
        Makes one batch from a source of randomness.
    score
        Scores a network on other subjects, by name, for the validation curve.
    shape
        The network.
    options
        How long and how.
    checkpoint
        The file to keep the state in.
    initial
        A network of the same shape to start from; None starts from random weights.
    inputs
        What identifies data and initial weights, for JSON: a checkpoint of others is refused.

    Returns
    -------
    The running mean of the network's weights, and the validation history.

    Raises
    ------
    UsageError
        If the checkpoint is of another network, of other options or of other inputs, or the training diverges.
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
    history: list[dict[str, Any]] = []
    first, spent = 0, 0.0
    made_by = json.dumps({"network": asdict(shape), **asdict(options), "inputs": inputs})
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
    inverse = None if shape.separate else contrast_inverse(shape.contrasts, device)
    for step in tqdm(
        range(first, options.n_steps), initial=first, total=options.n_steps, mininterval=10
    ):
        elapsed = time.monotonic() - start
        progress = max(step / options.n_steps, elapsed / (options.seconds or math.inf))
        for group in optimiser.param_groups:
            group["lr"] = options.rate * min(1, (step + 1) / warm_up) * _rate(min(progress, 1))
        rng = np.random.default_rng([options.seed, step])
        loss = training_loss(network, draw(rng), inverse, options.quantity_weight, device)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        mean.update_parameters(network)
        last = step + 1 == options.n_steps or progress >= 1
        if (step + 1) % options.validate_every == 0 or last:
            _check_converging(network, loss, step + 1, options)
            scores = score(mean.module)  # type: ignore[arg-type]
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


def _check_converging(
    network: torch.nn.Module, loss: torch.Tensor, step: int, options: TrainingOptions
) -> None:
    """Refuse weights that half precision, in which they are stored, cannot hold."""
    finite = all(bool(torch.isfinite(value.half()).all()) for value in network.parameters())
    if not finite or not math.isfinite(loss.item()):
        raise UsageError(
            f"--rate: must be so low that training does not diverge, got {options.rate:g}, with a loss of "
            f"{loss.item():g} and weights that are {'' if finite else 'not '}finite at step {step}"
        )


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


def _score_text(scores: dict[str, float]) -> str:
    return ", ".join(f"{key} {value:.2f}" for key, value in scores.items())

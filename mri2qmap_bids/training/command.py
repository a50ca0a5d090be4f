"""``mri2qmap-tools train``: images and labels to weights, card and validation curve."""

import argparse
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mri2qmap_bids.encoded_text import read_text
from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.recon.denoisers.base import ANY_CONTRAST
from mri2qmap_bids.recon.denoisers.registry import load_denoiser, save_denoiser
from mri2qmap_bids.recon.denoisers.unet import ARCHITECTURE, UNet, UNetShape
from mri2qmap_bids.recon.physics.contrasts import DENOISED_CONTRASTS
from mri2qmap_bids.training.data import load_folder, synthesise_slices, tissue_slices
from mri2qmap_bids.training.draw import Batch, Sources, draw_batch
from mri2qmap_bids.training.heads import Heads, load_heads, load_weighted
from mri2qmap_bids.training.loop import TrainingOptions, card, train
from mri2qmap_bids.training.map_errors import contrast_inverse
from mri2qmap_bids.training.noise import noise_tables
from mri2qmap_bids.training.scans import random_dictionaries
from mri2qmap_bids.training.validation import score_slices, score_volumes
from mri2qmap_bids.training.volume_draw import VolumeSources, draw_volume_batch

Draw = Callable[[np.random.Generator], Batch]
Score = Callable[[UNet], dict[str, float]]

logger = logging.getLogger(__name__)

# Slices, and batches of volumes, for validation.
_N_SLICES, _N_BATCHES = 24, 3
# Random pulse sequences, for training and for the validation of volumes.
_N_TRAINS, _N_HELD_OUT = 24, 4
# Noise levels by the dimensions: of added noise, and of the unregularised contrasts.
_SIGMAS = {2: (0.003, 0.3), 3: (0.005, 1.0)}


def run_training(arguments: argparse.Namespace) -> Path:
    """Train as the command line asks.

    Returns
    -------
    The weights' file.

    Raises
    ------
    UsageError
        If there is nothing to train on, or nothing to validate on.
    """
    initial: UNet | None = None
    if arguments.initial:
        loaded = load_denoiser(arguments.initial, torch.device("cpu"))
        if not isinstance(loaded, UNet):
            raise UsageError(
                f"--initial {arguments.initial}: must be weights of a {ARCHITECTURE}, got another "
                "architecture"
            )
        initial = loaded.requires_grad_(True)
    if initial is not None:
        shape = initial.shape
    else:
        shape = UNetShape(
            width=arguments.width, n_levels=arguments.levels, n_dims=arguments.dimensions
        )
        if arguments.separate:
            shape = replace(shape, contrasts=ANY_CONTRAST)
    _check_dimensions(shape, arguments)
    options = TrainingOptions(
        n_steps=arguments.steps,
        batch=arguments.batch,
        patch=arguments.patch or (64 if shape.n_dims == 2 else 48),
        rate=arguments.rate,
        sigma_range=_SIGMAS[shape.n_dims],
        shares=tuple(arguments.shares),
        validate_every=arguments.validate_every,
        seed=arguments.seed,
        device=arguments.device,
        seconds=arguments.seconds,
    )
    prepare = _prepare_slices if shape.n_dims == 2 else _prepare_volumes
    draw, score, data = prepare(arguments, shape, options)
    output: Path = arguments.output
    checkpoint = output.with_suffix(".checkpoint")
    network, history = train(draw, score, shape, options, checkpoint, initial)
    data["sources"] = _sources(arguments.source)
    if arguments.initial:
        data["initial"] = json.loads(read_text(arguments.initial.with_suffix(".json")))
    save_denoiser(network, card(options, shape, history, data), output)
    draw_curve(history, output.with_suffix(".png"))
    return output


def _check_dimensions(shape: UNetShape, arguments: argparse.Namespace) -> None:
    if shape.n_dims != arguments.dimensions:
        raise UsageError(
            f"--initial {arguments.initial}: must be of {arguments.dimensions} dimensions "
            f"(--dimensions), got weights of {shape.n_dims}"
        )
    if shape.n_dims == 3 and shape.separate:
        raise UsageError(
            "--separate: must not be given with --dimensions 3, which has no such training"
        )


def _prepare_slices(
    arguments: argparse.Namespace, shape: UNetShape, options: TrainingOptions
) -> tuple[Draw, Score, dict[str, Any]]:
    """How batches are drawn from slices, how a network is scored on others, and the data for the card."""
    contrasts = tuple(DENOISED_CONTRASTS) if shape.separate else shape.contrasts
    real = load_folder(arguments.images, contrasts) if arguments.images else []
    tissues = tissue_slices(arguments.labels, arguments.slices_per_label, arguments.seed)
    prefixes = tuple(arguments.hold_out)
    test_tissues = [item for item in tissues if item.group.startswith(prefixes)]
    tissues = [item for item in tissues if item not in test_tissues]
    held_out = [item for item in real if item.group.startswith(prefixes)]
    real = [item for item in real if item not in held_out]
    held_out += synthesise_slices(test_tissues, contrasts, arguments.seed)
    _check_sources(real, tissues, held_out, prefixes)
    validation = held_out[:: max(len(held_out) // _N_SLICES, 1)]
    logger.info(
        "%d real, %d anatomical, %d held-out slices", len(real), len(tissues), len(validation)
    )
    sources = Sources(contrasts, real, tissues, noise_tables(contrasts, _N_TRAINS, arguments.seed))

    def draw(rng: np.random.Generator) -> Batch:
        limits, shares = options.sigma_range, options.shares
        return draw_batch(
            sources, options.batch, options.patch, limits, shares, rng, shape.separate
        )

    score = partial(score_slices, slices=validation, device=torch.device(options.device))
    data = {
        "real_slices": len(real),
        "real_subjects": sorted({item.group for item in real}),
        "anatomical_slices": len(tissues),
        "anatomical_subjects": sorted({item.group for item in tissues}),
        "held_out_subjects": sorted({item.group for item in held_out}),
    }
    return draw, score, data


def _prepare_volumes(
    arguments: argparse.Namespace, shape: UNetShape, options: TrainingOptions
) -> tuple[Draw, Score, dict[str, Any]]:
    """How batches are drawn from volumes, how a network is scored on others, and the data for the card."""
    device = torch.device(arguments.device)
    anatomies = load_heads(arguments.labels, device, arguments.seed)
    textures = load_weighted(arguments.images, device) if arguments.images else []
    prefixes = tuple(arguments.hold_out)
    used, held_out = (
        Heads(
            [head for head in anatomies if head.group.startswith(prefixes) == held],
            [volume for volume in textures if volume.group.startswith(prefixes) == held],
            device,
        )
        for held in (False, True)
    )
    _check_sources(
        used.textures, used.anatomies, [*held_out.anatomies, *held_out.textures], prefixes
    )
    seeds = (arguments.seed, arguments.seed + 1)
    trained, validated = (
        VolumeSources(shape.contrasts, heads, random_dictionaries(n, seed, device))
        for heads, n, seed in zip((used, held_out), (_N_TRAINS, _N_HELD_OUT), seeds, strict=True)
    )
    logger.info(
        "%d heads and %d weighted volumes, %d held out",
        len(used.anatomies),
        len(used.textures),
        len(held_out.anatomies) + len(held_out.textures),
    )
    data = {
        "real_subjects": sorted(volume.group for volume in used.textures),
        "anatomical_subjects": sorted(head.group for head in used.anatomies),
        "held_out_subjects": sorted(
            [head.group for head in held_out.anatomies]
            + [volume.group for volume in held_out.textures]
        ),
    }

    def draw(sources: VolumeSources, rng: np.random.Generator) -> Batch:
        limits, shares = options.sigma_range, options.shares[:2]
        return draw_volume_batch(sources, options.batch, options.patch, limits, shares, rng)

    batches = [draw(validated, np.random.default_rng([7, n])) for n in range(_N_BATCHES)]
    inverse = contrast_inverse(shape.contrasts, device)
    score = partial(score_volumes, batches=batches, inverse=inverse)
    return partial(draw, trained), score, data


def _check_sources(
    real: Sequence[object],
    anatomies: Sequence[object],
    held_out: Sequence[object],
    prefixes: tuple[str, ...],
) -> None:
    if not real and not anatomies:
        raise UsageError("--images and --labels: must give slices to train on, got none")
    if not held_out:
        raise UsageError(f"--hold-out: must name subjects that are there, got {list(prefixes)}")


def draw_curve(history: list[dict[str, Any]], path: Path) -> None:
    """Scores of the held-out subjects over the steps: PSNR by noise level, or errors by quantity."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
    keys = [key for key in history[-1] if key.startswith(("psnr_", "error_"))]
    for key in keys:
        kind, _, what = key.partition("_")
        axis.plot(
            [row["step"] for row in history],
            [row[key] for row in history],
            label=f"noise {what}" if kind == "psnr" else what,
        )
    axis.set_xlabel("step")
    psnr = any(key.startswith("psnr_") for key in keys)
    axis.set_ylabel("PSNR of held-out slices [dB]" if psnr else "RMS error of held-out volumes")
    axis.legend()
    figure.savefig(path, dpi=90)
    plt.close(figure)


def _sources(words: list[str]) -> list[dict[str, str]]:
    """NAME=LICENCE pairs for the card."""
    return [dict(zip(("name", "licence"), word.split("=", 1), strict=False)) for word in words]

"""``mri2qmap-tools train``: images and labels to weights, card and validation curve."""

import argparse
import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from mri2qmap_bids.encoded_text import read_text
from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.recon.denoisers.base import ANY_CONTRAST
from mri2qmap_bids.recon.denoisers.registry import load_denoiser, save_denoiser
from mri2qmap_bids.recon.denoisers.unet import ARCHITECTURE, UNet, UNetShape
from mri2qmap_bids.recon.physics.contrasts import DENOISED_CONTRASTS
from mri2qmap_bids.training.data import load_folder, synthesise_slices, tissue_slices
from mri2qmap_bids.training.draw import Sources
from mri2qmap_bids.training.loop import TrainingOptions, card, train
from mri2qmap_bids.training.noise import noise_tables

logger = logging.getLogger(__name__)

_N_VALIDATION = 24
_N_TRAINS = 24


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
        shape = UNetShape(width=arguments.width, n_levels=arguments.levels)
        if arguments.separate:
            shape = replace(shape, contrasts=ANY_CONTRAST)
    contrasts = tuple(DENOISED_CONTRASTS) if shape.separate else shape.contrasts
    options = TrainingOptions(
        n_steps=arguments.steps,
        batch=arguments.batch,
        rate=arguments.rate,
        shares=tuple(arguments.shares),
        seed=arguments.seed,
        device=arguments.device,
    )
    real = load_folder(arguments.images, contrasts) if arguments.images else []
    tissues = tissue_slices(arguments.labels, arguments.slices_per_label, arguments.seed)
    prefixes = tuple(arguments.hold_out)
    test_tissues = [item for item in tissues if item.group.startswith(prefixes)]
    tissues = [item for item in tissues if item not in test_tissues]
    held_out = [item for item in real if item.group.startswith(prefixes)]
    real = [item for item in real if item not in held_out]
    held_out += synthesise_slices(test_tissues, contrasts, arguments.seed)
    if not real and not tissues:
        raise UsageError("--images and --labels: must give slices to train on, got none")
    if not held_out:
        raise UsageError(f"--hold-out: must name subjects that are there, got {list(prefixes)}")
    validation = held_out[:: max(len(held_out) // _N_VALIDATION, 1)]
    logger.info(
        "%d real, %d anatomical, %d held-out slices", len(real), len(tissues), len(validation)
    )
    tables = noise_tables(contrasts, _N_TRAINS, arguments.seed)
    sources = Sources(contrasts, real, tissues, tables)
    output: Path = arguments.output
    checkpoint = output.with_suffix(".checkpoint")
    network, history = train(sources, validation, shape, options, checkpoint, initial)
    data = {
        "real_slices": len(real),
        "real_subjects": sorted({item.group for item in real}),
        "anatomical_slices": len(tissues),
        "anatomical_subjects": sorted({item.group for item in tissues}),
        "held_out_subjects": sorted({item.group for item in held_out}),
        "sources": _sources(arguments.source),
    }
    if arguments.initial:
        data["initial"] = json.loads(read_text(arguments.initial.with_suffix(".json")))
    save_denoiser(network, card(options, shape, history, data), output)
    draw_curve(history, output.with_suffix(".png"))
    return output


def draw_curve(history: list[dict[str, Any]], path: Path) -> None:
    """PSNR of the held-out slices over the steps, one line per noise level."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
    for key in [key for key in history[-1] if key.startswith("psnr_")]:
        axis.plot(
            [row["step"] for row in history],
            [row[key] for row in history],
            label=f"noise {key[5:]}",
        )
    axis.set_xlabel("step")
    axis.set_ylabel("PSNR of held-out slices [dB]")
    axis.legend()
    figure.savefig(path, dpi=90)
    plt.close(figure)


def _sources(words: list[str]) -> list[dict[str, str]]:
    """NAME=LICENCE pairs for the card."""
    return [dict(zip(("name", "licence"), word.split("=", 1), strict=False)) for word in words]

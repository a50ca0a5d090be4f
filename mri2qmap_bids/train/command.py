"""``mri2qmap-tools train``: images and labels to weights, card and validation curve."""

import argparse
import logging
from pathlib import Path
from typing import Any

from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.recon.pnp.denoiser import save_denoiser
from mri2qmap_bids.recon.pnp.network import NetworkShape
from mri2qmap_bids.train.data import load_folder, synthesise_slices
from mri2qmap_bids.train.loop import TrainingOptions, card, train

logger = logging.getLogger(__name__)

_N_VALIDATION = 24


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
    shape = NetworkShape(width=arguments.width)
    options = TrainingOptions(
        n_steps=arguments.steps, batch=arguments.batch, seed=arguments.seed, device=arguments.device
    )
    real = load_folder(arguments.images, shape.contrasts) if arguments.images else []
    synthetic = synthesise_slices(
        arguments.labels, shape.contrasts, arguments.slices_per_label, arguments.seed
    )
    held = tuple(arguments.hold_out)
    held_out = [item for item in (*real, *synthetic) if item.group.startswith(held)] if held else []
    real = [item for item in real if item not in held_out]
    synthetic = [item for item in synthetic if item not in held_out]
    if not real and not synthetic:
        raise UsageError("--images and --labels: must give slices to train on, got none")
    if not held_out:
        raise UsageError(f"--hold-out: must name subjects that are there, got {list(held)}")
    chosen = held_out[:: max(len(held_out) // _N_VALIDATION, 1)]
    logger.info("%d real, %d synthetic, %d held-out slices", len(real), len(synthetic), len(chosen))
    output: Path = arguments.output
    network, history = train(
        real, synthetic, chosen, shape, options, output.with_suffix(".checkpoint")
    )
    data = {
        "real_slices": len(real),
        "real_subjects": sorted({item.group for item in real}),
        "synthetic_slices": len(synthetic),
        "synthetic_subjects": sorted({item.group for item in synthetic}),
        "held_out_subjects": sorted({item.group for item in held_out}),
        "sources": _sources(arguments.source),
    }
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

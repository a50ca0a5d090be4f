"""``mri2qmap-tools train``: images and labels to weights, card and validation curve."""

import argparse
import hashlib
import json
import logging
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mri2qmap_bids.encoded_text import read_text
from mri2qmap_bids.errors import DeviceError, InputError, UsageError
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
# Least and largest whole number of each option; the network's own rules end where these do.
_WHOLE: dict[str, tuple[int, float]] = {
    "steps": (1, math.inf),
    "batch": (1, math.inf),
    "patch": (1, math.inf),
    "validate_every": (1, math.inf),
    "slices_per_label": (1, math.inf),
    "width": (1, 4096),
    "levels": (1, 8),
    "seed": (0, 2**62),
}


def run_training(arguments: argparse.Namespace) -> Path:
    """Train as the command line asks.

    Returns
    -------
    The weights' file.

    Raises
    ------
    UsageError
        If a number is out of range, the output is no .safetensors file, a source has no licence, there is
        nothing to train on or nothing to validate on, the checkpoint is of another training, or training
        diverges.
    InputError
        If a file or folder to train on is not there.
    DeviceError
        If the device is not there.
    """
    _check_numbers(arguments)
    _check_inputs(arguments)
    sources = _sources(arguments.source)
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
    patch = arguments.patch or (64 if shape.n_dims == 2 else 48)
    if patch % shape.multiple:
        raise UsageError(
            f"--patch: must be a multiple of {shape.multiple} for a network of {shape.n_levels} levels "
            f"(--levels), got {patch}"
        )
    options = TrainingOptions(
        n_steps=arguments.steps,
        batch=arguments.batch,
        patch=patch,
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
    inputs = {**data, **_identity(arguments)}
    network, history = train(draw, score, shape, options, checkpoint, initial, inputs)
    data["sources"] = sources
    if arguments.initial:
        data["initial"] = json.loads(read_text(arguments.initial.with_suffix(".json")))
    save_denoiser(network, card(options, shape, history, data), output)
    draw_curve(history, output.with_suffix(".png"))
    # It would only stand in the way of another training to the same file.
    checkpoint.unlink(missing_ok=True)
    return output


def _check_numbers(arguments: argparse.Namespace) -> None:
    """Refuse numbers that would fail in the middle of a training, or after it."""
    for name, (least, most) in _WHOLE.items():
        value = getattr(arguments, name)
        if value is not None and not least <= value <= most:
            limits = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
            raise UsageError(
                f"--{name.replace('_', '-')}: must be a whole number {limits}, got {value}"
            )
    for name in ("seconds", "rate"):
        value = getattr(arguments, name)
        if value is not None and not 0 < value < math.inf:
            raise UsageError(f"--{name}: must be a number above 0, got {value:g}")
    if not all(0 <= share < math.inf for share in arguments.shares):
        raise UsageError(f"--shares: must be numbers of at least 0, got {_shown(arguments.shares)}")


def _check_inputs(arguments: argparse.Namespace) -> None:
    """Refuse another kind of output, and a device, a folder or files that are not there."""
    if arguments.output.suffix != ".safetensors":  # the other files have its name, too
        raise UsageError(f"output: must be a .safetensors file, got {arguments.output}")
    try:
        torch.empty(0, device=arguments.device)
    except (RuntimeError, AssertionError) as error:  # the latter where torch has no CUDA
        raise DeviceError(
            f"--device: must be cpu or a GPU that is there, got {arguments.device}"
        ) from error
    if arguments.images is not None and not arguments.images.is_dir():
        raise InputError(f"--images: must be a folder, got {arguments.images}")
    missing = [path for path in arguments.labels if not path.is_file()]
    if missing:
        raise InputError(f"--labels: must be files, got {missing[0]}")


def _identity(arguments: argparse.Namespace) -> dict[str, Any]:
    """What tells the data and initial weights of a call from those of another."""
    images = sorted(arguments.images.rglob("*.nii*")) if arguments.images else []
    return {
        "hold_out": list(arguments.hold_out),
        "slices_per_label": arguments.slices_per_label,
        # Their order determines what is drawn from each.
        "labels": _state([(path.name, path) for path in arguments.labels]),
        "images": _state([(f"{path.relative_to(arguments.images)}", path) for path in images]),
        "initial": hashlib.sha256(arguments.initial.read_bytes()).hexdigest()
        if arguments.initial
        else None,
    }


def _state(files: Sequence[tuple[str, Path]]) -> str:
    """A hash of names and sizes: of contents it would take minutes."""
    sizes = [(name, path.stat().st_size) for name, path in files]
    return hashlib.sha256(json.dumps(sizes).encode()).hexdigest()[:16]


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
    groups = {item.group for item in real} | {item.group for item in tissues}
    test_tissues = [item for item in tissues if _begins(item.group, prefixes)]
    tissues = [item for item in tissues if item not in test_tissues]
    held_out = [item for item in real if _begins(item.group, prefixes)]
    real = [item for item in real if item not in held_out]
    held_out += synthesise_slices(test_tissues, contrasts, arguments.seed)
    _check_sources(real, tissues, held_out, groups, prefixes)
    validation = held_out[:: max(len(held_out) // _N_SLICES, 1)]
    smallest = min(min(item.images.shape[1:]) for item in validation)
    if smallest < shape.multiple:
        raise UsageError(
            f"--levels: must be so few that held-out slices of {smallest} voxels have {shape.multiple}, "
            f"2 to their power, got {shape.n_levels}"
        )
    logger.info(
        "%d real, %d anatomical, %d held-out slices", len(real), len(tissues), len(validation)
    )
    sources = Sources(contrasts, real, tissues, noise_tables(contrasts, _N_TRAINS, arguments.seed))
    _check_shares(options.shares, (tissues, sources.textures, real), "training")

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
            [head for head in anatomies if _begins(head.group, prefixes) == held],
            [volume for volume in textures if _begins(volume.group, prefixes) == held],
            device,
        )
        for held in (False, True)
    )
    groups = {head.group for head in anatomies} | {volume.group for volume in textures}
    _check_sources(
        used.textures, used.anatomies, [*held_out.anatomies, *held_out.textures], groups, prefixes
    )
    for heads, purpose in ((used, "training"), (held_out, "validation")):
        _check_shares(options.shares, (heads.anatomies, heads.textures), purpose)
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
    groups: Collection[str],
    prefixes: tuple[str, ...],
) -> None:
    if not real and not anatomies:
        raise UsageError("--images and --labels: must give slices to train on, got none")
    absent = [word for word in prefixes if not any(_begins(group, (word,)) for group in groups)]
    if absent or not held_out:
        raise UsageError(
            f"--hold-out: must name subjects that are there, got {absent or list(prefixes)}"
        )


def _begins(group: str, prefixes: tuple[str, ...]) -> bool:
    """Whether the name of a subject begins with a prefix; in it blanks may stand for underscores."""
    words = tuple(prefix.replace("_", " ") for prefix in prefixes)
    return group.replace("_", " ").startswith(words)


def _check_shares(
    shares: tuple[float, ...], kinds: Sequence[Sequence[object]], purpose: str
) -> None:
    """Refuse shares that leave no patch to draw."""
    if not any(share for share, items in zip(shares, kinds, strict=False) if items):
        names = ("ANATOMIES", "TURNED", "IMAGES")
        there = [name for name, items in zip(names, kinds, strict=False) if items]
        raise UsageError(
            f"--shares: must be above 0 for a kind of patches that {purpose} has "
            f"({', '.join(there) or 'none'}), got {_shown(shares)}"
        )


def _shown(numbers: Sequence[float]) -> str:
    return " ".join(f"{number:g}" for number in numbers)


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
    pairs = [[part.strip() for part in word.split("=", 1)] for word in words]
    for word, pair in zip(words, pairs, strict=True):
        if len(pair) < 2 or not all(pair):
            raise UsageError(
                f"--source: must be NAME=LICENCE, or NAME=unknown without a known licence, got {word}"
            )
    return [{"name": name, "licence": licence} for name, licence in pairs]

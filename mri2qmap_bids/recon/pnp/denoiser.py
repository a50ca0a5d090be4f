"""Noisy contrasts and their noise levels to clean ones, by trained weights."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from mri2qmap_bids.errors import WeightsError
from mri2qmap_bids.recon.pnp.network import DenoiserNetwork, NetworkShape

# Brightest voxel and largest noise that a network sees in training.
_LARGEST, _NOISIEST = 4.0, 2.0


def save_denoiser(network: DenoiserNetwork, card: Mapping[str, Any], path: Path) -> None:
    """Write weights as safetensors and, beside them, a JSON card with their checksum.

    They are kept in half precision, which changes a denoised image by less than 1e-3 of its noise.

    Parameters
    ----------
    network
        The trained network.
    card
        What it was trained on and how well it does; kept as it is.
    path
        The weights' file; the card has the same name with ``.json``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: value.detach().cpu().half().contiguous()
        for name, value in network.state_dict().items()
    }
    partial = path.with_suffix(".part")
    save_file(tensors, partial)
    checksum = hashlib.sha256(partial.read_bytes()).hexdigest()
    content = {**card, "network": asdict(network.shape), "sha256": checksum}
    path.with_suffix(".json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    partial.chmod(0o644)  # safetensors makes private files
    partial.replace(path)


def load_denoiser(path: Path, device: torch.device) -> DenoiserNetwork:
    """Read weights written by :func:`save_denoiser`, ready to use.

    Raises
    ------
    WeightsError
        If the file or its card is missing, damaged, or does not fit the network.
    """
    shape, promised = _card(path)
    try:
        checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise _no_weights(path, error) from error
    if checksum != promised:
        raise WeightsError(
            f"{path}: must have the checksum {promised} that its card says, got {checksum}; "
            "the file is damaged or not the card's"
        )
    network = DenoiserNetwork(shape)
    try:
        network.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise WeightsError(f"{path}: must fit the network of its card, got: {reason}") from error
    network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.eval().requires_grad_(False)


def network_shape(path: Path) -> NetworkShape:
    """The network of weights, by their card alone.

    Raises
    ------
    WeightsError
        If the card is missing or damaged.
    """
    return _card(path)[0]


def _card(path: Path) -> tuple[NetworkShape, str | None]:
    """Network and checksum that the card beside a weights' file tells."""
    try:
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        shape = NetworkShape(
            **{**card["network"], "contrasts": tuple(card["network"]["contrasts"])}
        )
        return shape, card.get("sha256")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _no_weights(path, error) from error


def _no_weights(path: Path, error: Exception) -> WeightsError:
    return WeightsError(
        f"{path}: must be denoiser weights (.safetensors) with their card "
        f"{path.with_suffix('.json').name}, got: {type(error).__name__}: {error}"
    )


def denoise(
    network: DenoiserNetwork,
    images: torch.Tensor,
    sigma: torch.Tensor,
    slices_at_once: int = 8,
) -> torch.Tensor:
    """Clean contrasts of a slice or a volume.

    A slice is denoised in all eight ways in which it can be flipped and turned, and the results
    are averaged, so that D(flip w) = flip D(w). A volume is denoised slice by slice in all three
    orientations, and the results are averaged.

    Parameters
    ----------
    network
        From :func:`load_denoiser`.
    images
        Shape (contrast, *space), real; the brightest tissue about 1, as in training.
    sigma
        Noise level of every voxel in the images' unit, shape of ``images``.
    slices_at_once
        Slices that the network sees at a time; more need more memory.

    Returns
    -------
    Shape of ``images``, at least 0.
    """
    # What no training image holds is cut off: a wild voxel must not upset its neighbours.
    images, sigma = images.clamp(-_LARGEST, _LARGEST), sigma.clamp(0, _NOISIEST)
    if images.ndim == 3:
        clean = _in_all_views(network, images[:, None], sigma[:, None])[:, 0]
    elif min(images.shape[1:]) < 2 * network.shape.multiple:
        clean = _slices(network, images, sigma, slices_at_once)
    else:
        clean = torch.zeros_like(images)
        for axis in (1, 2, 3):
            turned, levels = images.movedim(axis, 1), sigma.movedim(axis, 1)
            clean += _slices(network, turned, levels, slices_at_once).movedim(1, axis) / 3
    return clean.clamp_min(0)


def _in_all_views(
    network: DenoiserNetwork, stack: torch.Tensor, sigma: torch.Tensor
) -> torch.Tensor:
    """Mean over the eight symmetries of the square."""
    clean = torch.zeros_like(stack)
    for turns in range(4):
        for flipped in (False, True):
            view, levels = (torch.rot90(part, turns, (2, 3)) for part in (stack, sigma))
            if flipped:
                view, levels = view.flip(3), levels.flip(3)
            view = _slices(network, view, levels, 1)
            view = view.flip(3) if flipped else view
            clean += torch.rot90(view, -turns, (2, 3)) / 8
    return clean


@torch.no_grad()
def _slices(
    network: DenoiserNetwork, stack: torch.Tensor, sigma: torch.Tensor, at_once: int
) -> torch.Tensor:
    """Denoise (contrast, slice, y, x) slice by slice."""
    multiple = network.shape.multiple
    ny, nx = stack.shape[2:]
    padding = (0, -nx % multiple, 0, -ny % multiple)
    clean = torch.empty_like(stack)
    for first in range(0, stack.shape[1], at_once):
        chosen = slice(first, first + at_once)
        part, levels = (
            torch.nn.functional.pad(values[:, chosen].movedim(1, 0), padding)
            for values in (stack, sigma)
        )
        contiguous = part.contiguous(memory_format=torch.channels_last)
        clean[:, chosen] = network(contiguous, levels)[..., :ny, :nx].movedim(0, 1)
    return clean

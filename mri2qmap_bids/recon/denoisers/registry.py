"""Weights files, network architectures, and the weights of the package."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from mri2qmap_bids.atomic import write_atomically, write_json
from mri2qmap_bids.encoded_text import read_text
from mri2qmap_bids.errors import WeightsError
from mri2qmap_bids.recon.denoisers.base import Denoiser, DenoiserShape, dimensions
from mri2qmap_bids.recon.denoisers.unet import (
    ARCHITECTURE,
    UNet,
    UNetShape,
    memory_format,
)

ENTRY_POINTS = "mri2qmap_bids.denoisers"
"""Group of entry points by which other packages add architectures: the tag of their weights' cards, and
an :class:`Architecture`."""


@dataclass(frozen=True)
class Architecture:
    """A network architecture for weights files."""

    shape: Callable[[Mapping[str, Any]], DenoiserShape]
    """From ``network`` of a card: the parameters of the network, which also determine its cost."""
    build: Callable[[Any], torch.nn.Module]
    """A network of that shape, a :class:`Denoiser`, with arbitrary weights."""


def _unet_shape(network: Mapping[str, Any]) -> UNetShape:
    return UNetShape(**{**network, "contrasts": tuple(network["contrasts"])})


_OWN = Architecture(_unet_shape, UNet)


def architecture_named(tag: str) -> Architecture:
    """The architecture whose weights have this tag in their card.

    Raises
    ------
    ValueError
        If there is none, or an entry point is not an :class:`Architecture`.
    """
    if tag == ARCHITECTURE:
        return _OWN
    others = {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}
    if tag not in others:
        names = ", ".join([ARCHITECTURE, *sorted(others)])
        raise ValueError(f"architecture must be one of {names}, got {tag!r}")
    architecture = others[tag].load()
    if not isinstance(architecture, Architecture):
        raise ValueError(
            f"entry point {tag} of {ENTRY_POINTS} must be an Architecture, got {architecture!r}"
        )
    return architecture


def save_denoiser(network: UNet, card: Mapping[str, Any], path: Path) -> None:
    """Write weights as safetensors and, beside them, a JSON card with their checksum.

    They are stored in half precision, which changes a denoised image by less than 1e-3 of its noise.

    Parameters
    ----------
    network
        The trained network.
    card
        Training data and validation results; written unchanged.
    path
        The weights file; the card has the same name with ``.json``.
    """
    tensors = {
        name: value.detach().cpu().half().contiguous()
        for name, value in network.state_dict().items()
    }
    content = save(tensors)
    checksum = hashlib.sha256(content).hexdigest()
    own = {"architecture": ARCHITECTURE, "network": asdict(network.shape), "sha256": checksum}
    write_json(path.with_suffix(".json"), {**card, **own})
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def load_denoiser(path: Path, device: torch.device) -> Denoiser:
    """Read the weights of any registered architecture, ready to use.

    Raises
    ------
    WeightsError
        If the file or its card is missing, damaged, or does not fit the network, or a weight is not finite.
    """
    architecture, shape, expected = _card(path)
    try:
        checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise _no_weights(path, error) from error
    if checksum != expected:
        raise WeightsError(
            f"{path}: must have the checksum {expected} given in its card, got {checksum}; "
            "the file is damaged or belongs to another card"
        )
    # Without memory until the file has proved to have all weights.
    with torch.device("meta"):
        network = architecture.build(shape)
    try:
        weights = {name: values.float() for name, values in load_file(path).items()}
        network.load_state_dict(weights, assign=True)
    except (RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise WeightsError(f"{path}: must fit the network of its card, got: {reason}") from error
    broken = [name for name, values in weights.items() if not bool(torch.isfinite(values).all())]
    if broken:
        raise WeightsError(
            f"{path}: must have finite weights, got NaN or infinite values in {len(broken)} of "
            f"{len(weights)} arrays ({broken[0]})"
        )
    order = memory_format(dimensions(shape))
    network.to(device).to(memory_format=order)  # type: ignore[call-overload]
    network.eval().requires_grad_(False)
    assert isinstance(network, Denoiser)
    return network


def denoiser_shape(path: Path) -> DenoiserShape:
    """The properties that determine the cost of a denoiser, from the card of its weights alone.

    Raises
    ------
    WeightsError
        If the card is missing or damaged.
    """
    return _card(path)[1]


def packaged_weights(name: str) -> Path:
    """Weights that come with the package.

    Parameters
    ----------
    name
        ``joint`` denoises all contrasts of a slice together, ``separate`` one image at a time.
    """
    return Path(str(files("mri2qmap_bids.recon.denoisers") / "weights" / f"{name}.safetensors"))


def _card(path: Path) -> tuple[Architecture, DenoiserShape, str]:
    """Architecture, shape and checksum from the card beside a weights file."""
    try:
        card = json.loads(read_text(path.with_suffix(".json")))
        architecture = architecture_named(card.get("architecture", ARCHITECTURE))
        checksum = card["sha256"]
        if not isinstance(checksum, str):
            raise ValueError(f"sha256 must be a text, got {checksum!r}")
        return architecture, architecture.shape(card["network"]), checksum
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _no_weights(path, error) from error


def _no_weights(path: Path, error: Exception) -> WeightsError:
    return WeightsError(
        f"{path}: must be denoiser weights (.safetensors) with their card "
        f"{path.with_suffix('.json').name}, got: {type(error).__name__}: {error}"
    )

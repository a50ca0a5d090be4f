"""Routine weighted images, synthesised from quantitative maps by their signal equations."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from mri2qmap_bids.recon.arrays import QuantityMap
from mri2qmap_bids.recon.physics.maps import QuantitativeMaps


@dataclass(frozen=True)
class Contrast:
    """The timing of one routine weighted acquisition."""

    kind: Literal["spoiled_gradient_echo", "spin_echo", "inversion_spin_echo"]
    repetition_time: float
    """[s]"""
    echo_time: float
    """[s]"""
    flip_angle: float = torch.pi / 2
    """[rad]; spoiled gradient echo only."""
    inversion_time: float = 0.0
    """[s]; inversion spin echo only."""


ROUTINE_CONTRASTS: dict[str, Contrast] = {
    "T1w": Contrast("spoiled_gradient_echo", 0.018, 0.003, flip_angle=0.4363),
    "T2w": Contrast("spin_echo", 5.0, 0.090),
    "PDw": Contrast("spin_echo", 5.0, 0.015),
    "FLAIR": Contrast("inversion_spin_echo", 9.0, 0.100, inversion_time=2.5),
}


def synthesise(
    contrast: Contrast, m0: QuantityMap, t1: QuantityMap, t2: QuantityMap
) -> QuantityMap:
    """Magnitude of a weighted image, |m0| |s(t1, t2)|.

    With E = exp(-TR/T1):

    - spoiled gradient echo: s = sin(a) (1 - E) / (1 - E cos a) exp(-TE/T2)
    - spin echo: s = (1 - E) exp(-TE/T2)
    - inversion spin echo: s = (1 - 2 exp(-TI/T1) + E) exp(-TE/T2)

    Parameters
    ----------
    contrast
        Timing.
    m0
        Magnitude of the equilibrium signal, any shape.
    t1, t2
        Relaxation times [s], same shape; where they are 0 the image is 0.

    References
    ----------
    Bernstein, King, Zhou, Handbook of MRI Pulse Sequences (2004), chapters 14 and 16.
    """
    recovery = torch.exp(-contrast.repetition_time / t1.clamp_min(1e-6))
    decay = torch.exp(-contrast.echo_time / t2.clamp_min(1e-6))
    if contrast.kind == "spoiled_gradient_echo":
        flip = torch.tensor(contrast.flip_angle)
        longitudinal = torch.sin(flip) * (1 - recovery) / (1 - recovery * torch.cos(flip))
    elif contrast.kind == "spin_echo":
        longitudinal = 1 - recovery
    else:
        inverted = torch.exp(-contrast.inversion_time / t1.clamp_min(1e-6))
        longitudinal = (1 - 2 * inverted + recovery).abs()
    signal = m0 * longitudinal * decay
    return torch.where((t1 > 0) & (t2 > 0), signal, torch.zeros_like(signal))


def synthesise_all(maps: QuantitativeMaps) -> dict[str, NDArray[np.float32]]:
    """All routine contrasts of one scan by BIDS suffix, axes (z, y, x)."""
    m0 = torch.from_numpy(np.abs(maps.m0))
    t1, t2 = torch.from_numpy(maps.t1), torch.from_numpy(maps.t2)
    return {
        suffix: synthesise(contrast, m0, t1, t2).numpy()
        for suffix, contrast in ROUTINE_CONTRASTS.items()
    }

"""The content of a Pulseq file."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Waveform:
    """A gradient along one axis; linear between its points and zero outside."""

    time: Values
    """From the block's start [s], shape (point,)."""
    amplitude: Values
    """[Hz/m], shape (point,)."""


@dataclass(frozen=True, eq=False)
class RFWaveform:
    """A radio-frequency pulse."""

    time: Values
    """From the block's start [s], shape (sample,)."""
    signal: NDArray[np.complex128]
    """Complex envelope in the rotating frame [Hz], without phase offset, shape (sample,)."""
    duration: Values
    """Of each sample [s], shape (sample,)."""
    centre: float
    """From the block's start [s]."""
    phase: float
    """Phase offset [rad]."""
    use: str
    """excitation, refocusing, inversion, saturation, preparation, other, or undefined."""
    detuned: bool = False
    """Whether it is transmitted away from the resonance frequency."""


@dataclass(frozen=True)
class ADC:
    """A readout."""

    n_samples: int
    """Number of samples."""
    dwell: float
    """Time between samples [s]."""
    delay: float
    """From the block's start to the begin of the first sample [s]."""
    phase: float
    """Of the receiver [rad]."""


@dataclass(frozen=True, eq=False)
class Block:
    """Events played at the same time, by their numbers; 0: none."""

    duration: float
    """[s]"""
    rf: int
    gradients: tuple[int, int, int]
    """Along x, y and z."""
    adc: int
    extension: int


@dataclass(frozen=True, eq=False)
class PulseqFile:
    """All events of a file, by their numbers."""

    version: tuple[int, int]
    definitions: Mapping[str, tuple[str, ...]]
    """Values of the keys in [DEFINITIONS]."""
    blocks: tuple[Block, ...]
    rf: Mapping[int, RFWaveform]
    gradients: Mapping[int, Waveform]
    adc: Mapping[int, ADC]
    labels: Mapping[int, tuple[tuple[str, str, int], ...]]
    """(set or inc, label, value) of every list of extensions."""

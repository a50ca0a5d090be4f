"""A Pulseq file (text format, versions 1.3 to 1.5), read from its published specification.

Reference: Layton et al., Pulseq: a rapid and hardware-independent pulse sequence prototyping framework
(2017), doi:10.1002/mrm.26235; specification at https://pulseq.github.io/specification.pdf.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.encoded_text import read_text
from mri2qmap_bids.errors import PulseqError

Values = NDArray[np.float64]

# Sections and the number of columns of their rows in versions 1.3, 1.4 and 1.5.
_COLUMNS: dict[str, tuple[int, int, int]] = {
    "BLOCKS": (8, 8, 8),
    "RF": (7, 8, 12),
    "GRADIENTS": (4, 5, 7),
    "TRAP": (6, 6, 6),
    "ADC": (6, 6, 9),
}
_US, _NS = 1e-6, 1e-9


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
    """What happens at the same time; numbers of events, 0 for none."""

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


def read_pulseq(path: Path) -> PulseqFile:
    """Read a Pulseq file.

    Parameters
    ----------
    path
        Text file, ``.seq``.

    Raises
    ------
    PulseqError
        If the file cannot be read, is of another version, is incomplete, or rotates its gradients by
        an extension.
    """
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise PulseqError(f"{path}: must be a Pulseq text file, got: {error}") from error
    sections = dict(_sections(text))
    if "VERSION" not in sections:
        raise PulseqError(f"{path}: must be a Pulseq text file with a [VERSION], got none")
    try:
        return _interpreted(sections, path)
    except (ValueError, IndexError, KeyError) as error:
        raise PulseqError(f"{path}: must be a complete Pulseq file, got: {error!r}") from error


def _interpreted(sections: Mapping[str, list[list[str]]], path: Path) -> PulseqFile:
    numbers = {words[0]: int(words[1]) for words in sections["VERSION"]}
    version = numbers["major"], numbers["minor"]
    if version not in ((1, 3), (1, 4), (1, 5)):
        raise PulseqError(f"{path}: version must be 1.3, 1.4 or 1.5, got {version[0]}.{version[1]}")
    for name in ("BLOCKS", "RF", "ADC"):
        if not sections.get(name):
            raise PulseqError(f"{path}: must have a section [{name}] with events, got none")
    for name, columns in _COLUMNS.items():
        expected = columns[version[1] - 3]
        for words in sections.get(name, []):
            if len(words) != expected:
                raise PulseqError(
                    f"{path}: rows of [{name}] must have {expected} values in version "
                    f"{version[0]}.{version[1]}, got {len(words)}: {' '.join(words)}"
                )
    definitions = {words[0]: tuple(words[1:]) for words in sections.get("DEFINITIONS", [])}
    raster = _Raster(
        float(definitions.get("BlockDurationRaster", ("1e-5",))[0]),
        float(definitions.get("GradientRasterTime", ("1e-5",))[0]),
        float(definitions.get("RadiofrequencyRasterTime", ("1e-6",))[0]),
    )
    shapes = _shapes(sections.get("SHAPES", []))
    rf = {int(words[0]): _rf(words, version, shapes, raster) for words in sections["RF"]}
    gradients = {
        int(words[0]): _arbitrary(words, version, shapes, raster)
        for words in sections.get("GRADIENTS", [])
    } | {int(words[0]): _trapezoid(words) for words in sections.get("TRAP", [])}
    adc = {int(words[0]): _adc(words, version) for words in sections["ADC"]}
    blocks = tuple(
        _block(words, version, raster, sections, gradients, rf, adc) for words in sections["BLOCKS"]
    )
    return PulseqFile(
        version, definitions, blocks, rf, gradients, adc, _labels(sections, blocks, path)
    )


@dataclass(frozen=True)
class _Raster:
    """Raster times [s]."""

    block: float
    gradient: float
    rf: float


def _sections(text: str) -> Iterator[tuple[str, list[list[str]]]]:
    """Every section's name and the words of its rows; of [SHAPES] and extensions, too."""
    name, rows = "", list[list[str]]()
    for raw_line in text.splitlines():
        line = raw_line.split("#", 1)[0].strip()
        if not line:
            continue
        if line.startswith("[") or line.startswith("extension "):
            if name:
                yield name, rows
            name, rows = line.strip("[]"), []
            if name == "SIGNATURE":
                return
        else:
            rows.append(line.split())
    if name:
        yield name, rows


def _shapes(rows: list[list[str]]) -> dict[int, Values]:
    """Samples of all shapes.

    A compressed shape holds differences between samples; two equal ones are followed by the number of
    further repetitions.
    """
    shapes: dict[int, Values] = {}
    number, length, values = 0, 0, list[float]()
    for words in [*rows, ["shape_id", "0"]]:
        if words[0].lower() == "shape_id":
            if number:
                shapes[number] = _decompressed(np.array(values), length)
            number, values = int(words[1]), []
        elif words[0].lower() in ("num_samples", "num_uncompressed"):
            length = int(words[1])
        else:
            values.append(float(words[0]))
    return shapes


def _decompressed(values: Values, length: int) -> Values:
    if len(values) == length:
        return values
    steps: list[Values] = []
    position = 0
    while position < len(values):
        if position + 2 < len(values) and values[position] == values[position + 1]:
            steps.append(np.full(2 + int(values[position + 2]), values[position]))
            position += 3
        else:
            steps.append(values[position : position + 1])
            position += 1
    samples = np.cumsum(np.concatenate(steps))
    if len(samples) != length:
        raise ValueError(f"a shape of {length} samples has {len(samples)}")
    return samples


_USES = {
    "e": "excitation",
    "r": "refocusing",
    "i": "inversion",
    "s": "saturation",
    "p": "preparation",
    "o": "other",
}


def _rf(
    words: list[str], version: tuple[int, int], shapes: Mapping[int, Values], raster: _Raster
) -> RFWaveform:
    amplitude, magnitude = float(words[1]), shapes[int(words[2])]
    phases = shapes[int(words[3])] if int(words[3]) else np.zeros(len(magnitude))
    time_shape = int(words[4]) if version >= (1, 4) else 0
    if time_shape > 0:
        time = shapes[time_shape] * raster.rf
        # Linear between its points: each has the weight of the trapezoidal rule.
        duration = np.convolve(np.diff(time), [0.5, 0.5]).astype(np.float64)
    else:
        time = np.asarray((np.arange(len(magnitude)) + 0.5) * raster.rf, np.float64)
        duration = np.full(len(magnitude), raster.rf)
    strongest = np.flatnonzero(magnitude >= 0.99999 * magnitude.max())
    centre = 0.5 * float(time[strongest[0]] + time[strongest[-1]])
    use = "undefined"
    if version >= (1, 5):
        centre, delay = float(words[5]) * _US, float(words[6]) * _US
        phase, use = float(words[10]), _USES.get(words[11], "undefined")
        detuned = any(float(words[column]) for column in (7, 9))  # in ppm, in Hz
    else:
        delay, phase, detuned = float(words[-3]) * _US, float(words[-1]), bool(float(words[-2]))
    return RFWaveform(
        time=time + delay,
        signal=amplitude * magnitude * np.exp(2j * np.pi * phases),
        duration=duration,
        centre=centre + delay,
        phase=phase,
        use=use,
        detuned=detuned,
    )


def _arbitrary(
    words: list[str], version: tuple[int, int], shapes: Mapping[int, Values], raster: _Raster
) -> Waveform:
    amplitude, delay = float(words[1]), float(words[-1]) * _US
    edges = (float(words[2]), float(words[3])) if version >= (1, 5) else None
    shape_number = int(words[4] if version >= (1, 5) else words[2])
    time_shape = int(words[-2]) if version >= (1, 4) else 0
    values = amplitude * shapes[shape_number]
    if time_shape > 0:
        return Waveform(shapes[time_shape] * raster.gradient + delay, values)
    step = 1.0 if time_shape == 0 else 0.5
    first = 0.5 * raster.gradient
    time = first + step * raster.gradient * np.arange(len(values))
    if edges is None:
        # Before version 1.5 the values at the edges are not stored.
        edges = 1.5 * values[0] - 0.5 * values[1], 1.5 * values[-1] - 0.5 * values[-2]
    time = np.concatenate([[0.0], time, [time[-1] + first]]).astype(np.float64)
    amplitudes = np.concatenate([[edges[0]], values, [edges[1]]]).astype(np.float64)
    return Waveform(np.add(time, delay), amplitudes)


def _trapezoid(words: list[str]) -> Waveform:
    rise, flat, fall, delay = (float(word) * _US for word in words[2:6])
    time = delay + np.cumsum([0.0, rise, flat, fall])
    return Waveform(time, float(words[1]) * np.array([0.0, 1.0, 1.0, 0.0]))


def _adc(words: list[str], version: tuple[int, int]) -> ADC:
    phase = float(words[7] if version >= (1, 5) else words[5])
    return ADC(int(words[1]), float(words[2]) * _NS, float(words[3]) * _US, phase)


def _block(
    words: list[str],
    version: tuple[int, int],
    raster: _Raster,
    sections: Mapping[str, list[list[str]]],
    gradients: Mapping[int, Waveform],
    rf: Mapping[int, RFWaveform],
    adc: Mapping[int, ADC],
) -> Block:
    numbers = [int(word) for word in words]
    axes = numbers[3], numbers[4], numbers[5]
    for kind, number, events in (
        ("RF", numbers[2], rf),
        *(("gradient", axis, gradients) for axis in axes),
        ("ADC", numbers[6], adc),
    ):
        if number and number not in events:
            raise ValueError(
                f"block {numbers[0]} refers to {kind} event {number}, which is missing"
            )
    if version >= (1, 4):
        duration = numbers[1] * raster.block
    else:
        ends = [float(gradients[axis].time[-1]) for axis in axes if axis]
        ends += [float(rf[numbers[2]].time[-1]) + 0.5 * raster.rf] if numbers[2] else []
        if numbers[6]:
            readout = adc[numbers[6]]
            ends.append(readout.delay + readout.n_samples * readout.dwell)
        delays = {int(row[0]): float(row[1]) * _US for row in sections.get("DELAYS", [])}
        duration = max([*ends, delays[numbers[1]] if numbers[1] else 0.0], default=0.0)
    return Block(duration, numbers[2], axes, numbers[6], numbers[7])


def _labels(
    sections: Mapping[str, list[list[str]]], blocks: tuple[Block, ...], path: Path
) -> dict[int, tuple[tuple[str, str, int], ...]]:
    """What the lists of extensions do to the labels."""
    kinds: dict[int, str] = {}
    values: dict[str, dict[int, list[str]]] = {}
    for name, rows in sections.items():
        if name.startswith("extension "):
            _, kind, kind_number = name.split()
            kinds[int(kind_number)] = kind
            values[kind] = {int(row[0]): row[1:] for row in rows}
    entries = {
        int(row[0]): (int(row[1]), int(row[2]), int(row[3]))
        for row in sections.get("EXTENSIONS", [])
    }
    labels: dict[int, tuple[tuple[str, str, int], ...]] = {}
    for head in {block.extension for block in blocks} - {0}:
        actions, number = list[tuple[str, str, int]](), head
        while number:
            kind_of_entry, reference, number = entries[number]
            kind = kinds.get(kind_of_entry, "")
            if kind == "ROTATIONS":
                raise PulseqError(
                    f"{path}: gradients must be stored as they are played, got the extension ROTATIONS"
                )
            if kind in ("LABELSET", "LABELINC"):
                value, label = values[kind][reference][:2]
                actions.append((kind.removeprefix("LABEL").lower(), label, int(value)))
        labels[head] = tuple(actions)
    return labels

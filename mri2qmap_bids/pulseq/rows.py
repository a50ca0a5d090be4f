"""Rows of a Pulseq file's sections to its blocks and events."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mri2qmap_bids.pulseq.file import ADC, Block, RFWaveform, Values, Waveform

_US, _NS = 1e-6, 1e-9


@dataclass(frozen=True)
class Raster:
    """Raster times [s]."""

    block: float
    gradient: float
    rf: float


def read_shapes(rows: list[list[str]]) -> dict[int, Values]:
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


def rf_of(
    words: list[str], version: tuple[int, int], shapes: Mapping[int, Values], raster: Raster
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


def waveform_of(
    words: list[str], version: tuple[int, int], shapes: Mapping[int, Values], raster: Raster
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


def trapezoid_of(words: list[str]) -> Waveform:
    rise, flat, fall, delay = (float(word) * _US for word in words[2:6])
    time = delay + np.cumsum([0.0, rise, flat, fall])
    return Waveform(time, float(words[1]) * np.array([0.0, 1.0, 1.0, 0.0]))


def adc_of(words: list[str], version: tuple[int, int]) -> ADC:
    if version >= (1, 5) and int(words[8]):
        raise ValueError(
            f"the phase of readout {words[0]} must not be modulated, got the shape {words[8]}"
        )
    phase = float(words[7] if version >= (1, 5) else words[5])
    return ADC(int(words[1]), float(words[2]) * _NS, float(words[3]) * _US, phase)


def block_of(
    words: list[str],
    version: tuple[int, int],
    raster: Raster,
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

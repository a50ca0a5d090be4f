"""Pulses and readouts of a Pulseq file in time, with the k-space trajectory.

k(t) = integral of G from the last excitation's centre to t, with G in Hz/m and k in cycles per metre;
a refocusing pulse changes its sign.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.pulseq.file import ADC, Block, PulseqFile, RFWaveform, Waveform

Values = NDArray[np.float64]

# A pulse above this angle turns magnetisation over rather than excites it.
_LARGEST_EXCITATION = np.deg2rad(150.0)
_UPSIDE_DOWN = 1e-4
# A gradient that varies by less than this part of its amplitude is constant.
_CONSTANT = 0.05
# Samples below this part of the largest are padding beside a pulse.
_PLAYED = 0.01


@dataclass(frozen=True, eq=False)
class Pulse:
    """A radio-frequency pulse."""

    time: float
    """Of its centre, from the beginning of the file [s]."""
    flip_angle: float
    """On resonance, by the Bloch equation without relaxation [rad]."""
    phase: float
    """[rad]"""
    use: str
    """excitation, refocusing, inversion, saturation, preparation or other."""
    moment: Values
    """Integral of the gradients from the beginning of the file to the centre [1/m], shape (3,)."""
    axis: float = 0.0
    """Angle of the axis of rotation on resonance from x towards y [rad]: that of the phase, and half a turn more
    for a pulse of negative amplitude."""
    turn: float = 0.0
    """Rotation about z on resonance that follows the one about that axis, from x towards y [rad]; 0 unless the
    phase changes during the pulse."""
    detuned: bool = False
    """Whether it is transmitted away from the resonance frequency, as slices off the centre are."""
    block: int = 0
    """Number of its block, from 1."""
    varied: str = ""
    """Gradients that vary while it is played, such as ``x, y``."""


@dataclass(frozen=True, eq=False)
class Readout:
    """The samples of one ADC event."""

    time: Values
    """From the beginning of the file [s], shape (sample,)."""
    trajectory: Values
    """k along (x, y, z) [1/m], shape (sample, 3)."""
    phase: float
    """Of the receiver [rad]."""
    excitation: int | None
    """Number of the last excitation among the pulses; None before the first, as in a noise scan."""
    labels: Mapping[str, int]
    """Labels such as LIN and SLC, as they stand at the readout."""
    origin: Values = field(default_factory=lambda: np.zeros(3))
    """Gradient moment from the beginning of the file at which k is zero [1/m], shape (3,)."""
    block: int = 0
    """Number of its block, from 1."""


@dataclass(frozen=True, eq=False)
class Timeline:
    """Pulses and readouts in their order."""

    pulses: tuple[Pulse, ...]
    readouts: tuple[Readout, ...]
    duration: float
    """[s]"""
    moment: Values = field(default_factory=lambda: np.zeros(3))
    """Integral of all gradients [1/m], shape (3,)."""


def timeline_of(file: PulseqFile) -> Timeline:
    """Pulses, readouts and trajectory.

    A pulse without a use (before version 1.5) excites if its flip angle is below 150 degrees, else it
    refocuses if a readout is the next event, else it inverts.

    Parameters
    ----------
    file
        As :func:`read_pulseq` reads it.
    """
    moments = _Moments(file)
    rotations: dict[int, tuple[float, float, float]] = {}
    start, moment = 0.0, np.zeros(3)
    labels: dict[str, int] = {}
    pulses: list[Pulse] = []
    readouts: list[_Samples] = []
    for block_number, block in enumerate(file.blocks, start=1):
        for action, label, value in file.labels.get(block.extension, ()):
            labels[label] = value if action == "set" else labels.get(label, 0) + value
        if block.rf:
            wave = file.rf[block.rf]
            if block.rf not in rotations:
                rotations[block.rf] = rotation_of(wave)
            flip_angle, axis, turn = rotations[block.rf]
            centre = moment + moments.at(block, np.array([wave.centre]))[0]
            pulses.append(
                Pulse(
                    start + wave.centre,
                    flip_angle,
                    wave.phase,
                    wave.use,
                    centre,
                    axis=float(np.mod(wave.phase + axis, 2 * np.pi)),
                    turn=turn,
                    detuned=wave.detuned,
                    block=block_number,
                    varied=_varied(file, block, wave),
                )
            )
        if block.adc:
            readouts.append(
                _Samples(
                    start + moments.sample_times[block.adc],
                    moment + moments.at_samples(block),
                    file.adc[block.adc].phase,
                    dict(labels),
                    len(pulses),
                    block_number,
                )
            )
        moment = moment + moments.of_block(block)
        start += block.duration
    uses = _uses(pulses, [samples.n_pulses for samples in readouts])
    return Timeline(
        tuple(replace(pulse, use=use) for pulse, use in zip(pulses, uses, strict=True)),
        tuple(_trajectories(pulses, uses, readouts)),
        start,
        moment,
    )


@dataclass(frozen=True, eq=False)
class _Samples:
    """A readout before its excitation is known."""

    time: Values
    moment: Values
    phase: float
    labels: dict[str, int]
    n_pulses: int
    """Number of pulses before it."""
    block: int


class _Moments:
    """Gradient moments within blocks; those of a gradient at an ADC event's samples are computed once."""

    def __init__(self, file: PulseqFile) -> None:
        self.file = file
        self.sample_times = {number: _sample_times(adc) for number, adc in file.adc.items()}
        self.whole = {n: float(_integral(g, g.time[-1:])[0]) for n, g in file.gradients.items()}
        self._cache: dict[tuple[int, int], Values] = {}

    def at(self, block: Block, time: Values) -> Values:
        """From the block's start to some times in it [1/m], shape (time, 3)."""
        zero = np.zeros(len(time))
        columns = [_integral(self.file.gradients[n], time) if n else zero for n in block.gradients]
        return np.stack(columns, axis=1)

    def at_samples(self, block: Block) -> Values:
        """From the block's start to the samples of its ADC event [1/m], shape (sample, 3)."""
        time = self.sample_times[block.adc]
        result = np.zeros((len(time), 3))
        for axis, number in enumerate(block.gradients):
            key = number, block.adc
            if number and key not in self._cache:
                self._cache[key] = _integral(self.file.gradients[number], time)
            if number:
                result[:, axis] = self._cache[key]
        return result

    def of_block(self, block: Block) -> Values:
        """Over the whole block [1/m], shape (3,)."""
        return np.array([self.whole[number] if number else 0.0 for number in block.gradients])


def _sample_times(adc: ADC) -> Values:
    return np.asarray(adc.delay + (np.arange(adc.n_samples) + 0.5) * adc.dwell, np.float64)


def _integral(wave: Waveform, time: Values) -> Values:
    """Integral of a piecewise linear waveform from its beginning to the given times."""
    steps = np.diff(wave.time)
    areas = np.concatenate(
        [[0.0], np.cumsum(0.5 * (wave.amplitude[1:] + wave.amplitude[:-1]) * steps)]
    )
    time = np.clip(time, wave.time[0], wave.time[-1])
    point = np.clip(np.searchsorted(wave.time, time, side="right") - 1, 0, len(steps) - 1)
    since = time - wave.time[point]
    slope = np.diff(wave.amplitude)[point] / np.maximum(steps[point], 1e-12)
    integral = areas[point] + wave.amplitude[point] * since + 0.5 * slope * since**2
    return np.asarray(integral, np.float64)


def rotation_of(wave: RFWaveform) -> tuple[float, float, float]:
    """Flip angle, axis and turn on resonance [rad], of the product of all samples' rotations.

    The product is a rotation by the flip angle 2 arcsin |beta| about a transverse axis, then one about z.

    Every sample rotates by 2 pi |B| dt about the axis in the transverse plane at its phase; in
    Cayley-Klein parameters it is [[cos, i e^(-i p) sin], [i e^(i p) sin, cos]]. An adiabatic inversion
    has an angle near pi, which its integral doesn't tell.

    Parameters
    ----------
    wave
        Samples of the pulse.

    References
    ----------
    Pauly et al., Parameter relations for the Shinnar-Le Roux selective excitation pulse design algorithm
    (1991), doi:10.1109/42.75611.
    """
    half = np.pi * np.abs(wave.signal) * wave.duration
    axis = np.exp(1j * np.angle(wave.signal))
    rotations = np.empty((len(half), 2, 2), np.complex128)
    rotations[:, 0, 0] = rotations[:, 1, 1] = np.cos(half)
    rotations[:, 0, 1] = 1j * np.sin(half) * axis.conj()
    rotations[:, 1, 0] = 1j * np.sin(half) * axis
    while len(rotations) > 1:
        if len(rotations) % 2:
            rotations = np.concatenate([rotations, np.eye(2)[None]])
        rotations = rotations[1::2] @ rotations[::2]
    alpha, beta = complex(rotations[0, 0, 0]), complex(-1j * rotations[0, 1, 0])
    # The phase of alpha is minus half the turn; a whole inversion has neither.
    phase = float(np.angle(alpha)) if abs(alpha) > _UPSIDE_DOWN else 0.0
    return 2 * np.arcsin(min(abs(beta), 1.0)).item(), float(np.angle(beta)) + phase, -2 * phase


def _varied(file: PulseqFile, block: Block, wave: RFWaveform) -> str:
    """Axes whose gradients are neither zero nor constant while a pulse is played."""
    played = wave.time[np.abs(wave.signal) > _PLAYED * np.abs(wave.signal).max(initial=0)]
    if not len(played):
        return ""
    first, last = float(played[0]), float(played[-1])
    axes = []
    for axis, number in zip("xyz", block.gradients, strict=True):
        if not number:
            continue
        gradient = file.gradients[number]
        inner = gradient.time[(gradient.time > first) & (gradient.time < last)]
        time = np.concatenate([[first], inner, [last]])
        values = np.interp(time, gradient.time, gradient.amplitude, left=0, right=0)
        if np.ptp(values) > _CONSTANT * np.abs(gradient.amplitude).max():
            axes.append(axis)
    return ", ".join(axes)


def _uses(pulses: list[Pulse], pulses_before_readouts: list[int]) -> list[str]:
    followed_by_readout = set(pulses_before_readouts)
    uses = []
    for number, pulse in enumerate(pulses, start=1):
        if pulse.use != "undefined":
            uses.append(pulse.use)
        elif pulse.flip_angle < _LARGEST_EXCITATION:
            uses.append("excitation")
        else:
            uses.append("refocusing" if number in followed_by_readout else "inversion")
    return uses


def _trajectories(
    pulses: list[Pulse],
    uses: list[str],
    readouts: list[_Samples],
) -> list[Readout]:
    """k of every readout: the moment since the excitation, with its sign changed by refocusing."""
    # (last excitation, o) of k = M(t) - o after each number of pulses.
    origins: list[tuple[int | None, Values]] = [(None, np.zeros(3))]
    for number, (pulse, use) in enumerate(zip(pulses, uses, strict=True)):
        excitation, origin = origins[-1]
        if use == "excitation":
            excitation, origin = number, pulse.moment
        elif use == "refocusing":
            origin = 2 * pulse.moment - origin
        origins.append((excitation, origin))
    trajectories = []
    for samples in readouts:
        excitation, origin = origins[samples.n_pulses]
        trajectories.append(
            Readout(
                samples.time,
                samples.moment - origin,
                samples.phase,
                excitation,
                samples.labels,
                origin,
                samples.block,
            )
        )
    return trajectories

"""Pulseq files of version 1.5 that play events of the package."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mri2qmap_bids.recon.physics.events import Crusher, Delay, Inversion, Readout, Spoiling

_PULSE, _DWELL, _SAMPLES, _GAP, _RAMP = 20e-6, 10e-6, 9, 100e-6, 10e-6
_READ = _SAMPLES * _DWELL + 2 * _RAMP
_AREA = 36.0
MOMENT = 500.0
"""Gradient moment of one cycle of `Spoiling` [1/m]: one over a voxel of 2 mm."""
CRUSHER = 5.37
"""Cycles of a `Crusher`, along y."""


def write_events(path: Path, events) -> Path:
    """A file that plays these events.

    Pulses are hard and last 20 us; readouts are 9 samples along x whose middle is the echo; spoiling is along z.
    What happens between two of them is one block, so that delays of less than 0.5 ms beside a readout, or of less
    than 0.1 ms beside a pulse, are not possible.
    """
    content = _Content()
    for event in events:
        content.play(event)
    content.rest(0.0)
    path.write_text("\n".join(content.lines()) + "\n")
    return path


@dataclass
class _Content:
    blocks: list = field(default_factory=list)
    pulses: dict = field(default_factory=dict)
    gradients: dict = field(default_factory=dict)
    phases: dict = field(default_factory=dict)
    after: float = 0.0
    time: float = 0.0
    moments: np.ndarray = field(default_factory=lambda: np.zeros(3))

    def play(self, event) -> None:
        if isinstance(event, Delay):
            self.time += event.duration
        elif isinstance(event, Spoiling):
            self.moments[2] += MOMENT * event.cycles
        elif isinstance(event, Crusher):
            self.moments[1] += MOMENT * CRUSHER
        elif isinstance(event, Readout):
            self.read(event.phase)
        else:
            inverts = isinstance(event, Inversion)
            angle, phase = (np.pi, 0.0) if inverts else (event.flip_angle, event.phase)
            self.rest(_PULSE / 2)
            number = _numbered(self.pulses, (angle, phase, "i" if inverts else "er"[angle > 3]))
            self.blocks.append((_PULSE, number, 0, 0, 0, 0))
            self.after = _PULSE / 2

    def rest(self, before: float) -> None:
        """What lies between two instants, less the time that these take."""
        left = self.time - self.after - before
        if left > 1e-9:
            span = min(left, _GAP)
            axes = [self.gradient(moment, span) for moment in self.moments]
            self.blocks += [(span, 0, *axes, 0), (left - span, 0, 0, 0, 0, 0)]
        else:
            assert not self.moments.any()
        self.time, self.moments = 0.0, np.zeros(3)

    def read(self, phase: float) -> None:
        self.rest(_READ / 2 + _GAP)
        prewinder = self.gradient(-_AREA / 2 * (1 + 1 / _SAMPLES), _GAP)
        readout = self.gradient(_AREA * (1 + 1 / _SAMPLES), _READ)
        self.blocks += [
            (_GAP, 0, prewinder, 0, 0, 0),
            (_READ, 0, readout, 0, 0, _numbered(self.phases, phase)),
            (_GAP, 0, prewinder, 0, 0, 0),
        ]
        self.after = _READ / 2 + _GAP

    def gradient(self, moment: float, duration: float) -> int:
        return _numbered(self.gradients, (moment, round(duration, 9))) if moment else 0

    def lines(self) -> list[str]:
        rf = [
            f"{n} {angle / (2 * np.pi * _PULSE):.15g} 1 2 0 10 0 0 0 0 {phase:.15g} {use}"
            for (angle, phase, use), n in self.pulses.items()
        ]
        traps = [
            f"{n} {moment / (span - _RAMP):.15g} 10 {1e6 * (span - 2 * _RAMP):.10g} 10 0"
            for (moment, span), n in self.gradients.items()
        ]
        adc = [
            f"{n} {_SAMPLES} {_DWELL * 1e9:g} 10 0 0 0 {p:.15g} 0" for p, n in self.phases.items()
        ]
        rows = [
            " ".join(map(str, (n, round(duration * 1e7), *rest, 0)))
            for n, (duration, *rest) in enumerate(self.blocks, start=1)
        ]
        return [
            *("[VERSION]", "major 1", "minor 5", "revision 0"),
            *("[DEFINITIONS]", "FOV 0.25 0.25 0.002", "BlockDurationRaster 1e-07"),
            *("GradientRasterTime 1e-05", "RadiofrequencyRasterTime 1e-06"),
            *("[BLOCKS]", *rows, "[RF]", *rf, "[TRAP]", *traps, "[ADC]", *adc),
            *("[SHAPES]", "shape_id 1", "num_samples 20", "1", "0", "0", "17"),
            *("shape_id 2", "num_samples 20", "0", "0", "18"),
        ]


def _numbered(table: dict, key) -> int:
    return table.setdefault(key, len(table) + 1)

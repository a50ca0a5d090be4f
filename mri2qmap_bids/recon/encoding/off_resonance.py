"""Off-resonance during the readout: the phase exp(-2 pi i f t) by time segments."""

import math
from dataclasses import dataclass

import torch

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.encoding.nufft import Nufft

# Largest error of the interpolated phase factor, at every frequency of the field and every time.
TOLERANCE = 3e-4
# More segments than these are refused: the field, or the readout, is far beyond what a scan has.
_MOST_SEGMENTS = 64
# Frequencies of the fit within the range of the field, for every period of the phase and at least.
_FREQUENCIES_PER_PERIOD, _FEWEST_FREQUENCIES = 8, 64


@dataclass(frozen=True, eq=False)
class OffResonance:
    """The field of a slice or volume, and when its samples were read."""

    field: torch.Tensor
    """Off-resonance frequency f [Hz], positive where spins precess faster, shape (*space)."""
    times: torch.Tensor
    """Distinct times t of the samples, 0 at the centre of k-space [s], shape (time,)."""
    index: torch.Tensor
    """Which of them each sample has, shape (sample,)."""

    @property
    def limits(self) -> tuple[float, float]:
        """Least and largest frequency [Hz]."""
        return float(self.field.min()), float(self.field.max())


def off_resonance(field: torch.Tensor, time: torch.Tensor) -> OffResonance | None:
    """A field and the samples' times; None if the field is 0 everywhere.

    Parameters
    ----------
    field
        [Hz], shape (*space).
    time
        Of every sample, 0 at the centre of k-space [s], shape (sample,).
    """
    if not bool(field.any()):
        return None
    times, index = torch.unique(time, return_inverse=True)
    return OffResonance(field, times, index)


@dataclass(frozen=True, eq=False)
class Segments:
    """exp(-2 pi i f t) as sum_l b_l(t) exp(-2 pi i f tau_l)."""

    centres: torch.Tensor
    """tau_l [s], shape (segment,)."""
    coefficients: torch.Tensor
    """b_l at the distinct times, complex, shape (segment, time)."""

    def __len__(self) -> int:
        return len(self.centres)


def segments(times: torch.Tensor, low: float, high: float) -> Segments:
    """As few segments as keep the error of the phase factor below the tolerance.

    For every number of segments L, tau_l are equally spaced over the times and b(t) minimises
    sum over frequencies f in [low, high] of |exp(-2 pi i f t) - sum_l b_l(t) exp(-2 pi i f tau_l)|^2.

    Parameters
    ----------
    times
        [s], shape (time,).
    low, high
        Range of frequencies [Hz]. For a range that is symmetric about 0 the coefficients are real.

    Raises
    ------
    ArgumentError
        If the phase turns too often during the readout.

    References
    ----------
    Sutton, Noll and Fessler, Fast, iterative image reconstruction for MRI in the presence of field
    inhomogeneities (2003), doi:10.1109/TMI.2002.808360; Man, Pauly and Macovski, Multifrequency
    interpolation for fast off-resonance correction (1997), doi:10.1002/mrm.1910370523.
    """
    points = times.double().cpu()
    first, last = float(points.min()), float(points.max())
    periods = (high - low) * (last - first)
    n_frequencies = max(_FEWEST_FREQUENCIES, math.ceil(_FREQUENCIES_PER_PERIOD * periods))
    frequencies = torch.linspace(low, high, n_frequencies, dtype=torch.float64)
    exact = _phase_factor(frequencies[:, None] * points)
    for number in range(1 + math.floor(periods), _MOST_SEGMENTS + 1):
        centres = torch.linspace(first, last, number, dtype=torch.float64)
        if number == 1:
            centres = torch.zeros(1, dtype=torch.float64)
        waves = _phase_factor(frequencies[:, None] * centres)
        coefficients = torch.linalg.lstsq(waves, exact, driver="gelsd").solution
        if float((waves @ coefficients - exact).abs().max()) < TOLERANCE:
            if low == -high:
                coefficients = coefficients.real.to(torch.complex128)
            device = times.device
            return Segments(centres.float().to(device), coefficients.to(torch.complex64).to(device))
    raise ArgumentError(
        f"off-resonance: the phase must turn less than about {_MOST_SEGMENTS} times during the readout, got a "
        f"field of {low:.0f} to {high:.0f} Hz and a readout of {1e3 * (last - first):.1f} ms"
    )


def n_segments(span: float, duration: float) -> tuple[int, int]:
    """How many segments A and A^H A need.

    Parameters
    ----------
    span
        Difference between the least and the largest off-resonance frequency [Hz].
    duration
        Of a readout [s].
    """
    times = torch.linspace(0, duration, 128)
    return len(segments(times, 0.0, span)), len(segments(times, -span, span))


class SegmentedNufft:
    """A non-uniform Fourier transform with the phase of off-resonance; the interface of :class:`Nufft`.

    forward: s_j = sum_r x(r) exp(-2 pi i f(r) t_j) exp(-i omega_j . r)
    adjoint: x(r) = sum_j s_j exp(2 pi i f(r) t_j) exp(i omega_j . r)

    Parameters
    ----------
    nufft
        The transform without the phase.
    field
        f and t.
    """

    def __init__(self, nufft: Nufft, field: OffResonance) -> None:
        self._nufft, self._field = nufft, field
        self._segments = segments(field.times, *field.limits)

    @property
    def at_once(self) -> int:
        """How many images are best transformed together."""
        return self._nufft.at_once

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Samples of an image, or of several: (*shape) to (sample,), or (image, *shape) to (image, sample)."""
        several = image.shape[: image.ndim - len(self._nufft.shape)]
        size = (*several, len(self._field.index))
        samples = torch.zeros(size, dtype=torch.complex64, device=image.device)
        for centre, coefficients in self._terms():
            wave = wave_of(self._field.field, centre)
            samples += coefficients[self._field.index] * self._nufft.forward(image * wave)
        return samples

    def adjoint(self, samples: torch.Tensor) -> torch.Tensor:
        """Adjoint of :meth:`forward`: (sample,) to (*shape), or (image, sample) to (image, *shape)."""
        size = (*samples.shape[:-1], *self._nufft.shape)
        image = torch.zeros(size, dtype=torch.complex64, device=samples.device)
        for centre, coefficients in self._terms():
            part = self._nufft.adjoint(coefficients.conj()[self._field.index] * samples)
            image += wave_of(self._field.field, centre).conj() * part
        return image

    def _terms(self) -> "zip[tuple[torch.Tensor, torch.Tensor]]":
        return zip(self._segments.centres, self._segments.coefficients, strict=True)


def wave_of(field: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
    """exp(-2 pi i f t) of every voxel at one time, shape (*space)."""
    return _phase_factor(field * time)


def _phase_factor(turns: torch.Tensor) -> torch.Tensor:
    """exp(-2 pi i turns)."""
    return torch.polar(torch.ones_like(turns), -2 * math.pi * turns)

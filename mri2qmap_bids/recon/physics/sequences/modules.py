"""Pieces that several pulse sequences are made of, as lists of events."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.physics.events import (
    Crusher,
    Delay,
    Event,
    Inversion,
    Readout,
    RFPulse,
    Spoiling,
)

Train = float | int | Sequence[float | int] | NDArray[Any]
"""One value per frame, or one for all frames."""


def per_frame(**trains: Train) -> Iterator[dict[str, Any]]:
    """The values of every frame, from one value per frame or one for all.

    Raises
    ------
    ArgumentError
        If a train has neither one value nor as many as the longest.
    """
    arrays = {name: np.atleast_1d(np.asarray(values, float)) for name, values in trains.items()}
    n_frames = max(map(len, arrays.values()))
    for name, array in arrays.items():
        if array.ndim != 1 or len(array) not in (1, n_frames):
            raise ArgumentError(f"{name} must have 1 or {n_frames} values, got shape {array.shape}")
    for frame in range(n_frames):
        yield {name: float(array[min(frame, len(array) - 1)]) for name, array in arrays.items()}


def rest(name: str, total: float, spent: float) -> Delay:
    """The delay that completes a total time; ``name`` is that of the total.

    Raises
    ------
    ArgumentError
        If more time than that is spent already.
    """
    if total < spent - 1e-9:
        raise ArgumentError(
            f"{name} must be at least the {spent:.6g} s of its events, got {total:g}"
        )
    return Delay(max(0.0, total - spent))


def gradient_echo(
    flip_angle: float,
    repetition_time: float,
    echo_time: float,
    rf_phase: float = 0.0,
    spoiling_cycles: int = 1,
) -> list[Event]:
    """Excitation, readout at the echo time, spoiling, and the rest of the repetition time.

    Parameters
    ----------
    flip_angle, rf_phase
        Of the excitation [rad]; the receiver has the same phase.
    repetition_time, echo_time
        From the excitation [s].
    spoiling_cycles
        Cycles of the gradient after the readout; 0: balanced.
    """
    spoiling = [Spoiling(spoiling_cycles)] if spoiling_cycles else []
    return [
        RFPulse(flip_angle, rf_phase),
        Delay(echo_time),
        Readout(rf_phase),
        *spoiling,
        rest("repetition_time", repetition_time, echo_time),
    ]


def refocusing(interval: float, refocusing_angle: float) -> list[Event]:
    """From one echo (or the excitation) to the next: a refocusing pulse between crushers, in the middle.

    Parameters
    ----------
    interval
        Time from echo to echo [s].
    refocusing_angle
        Of the pulse about the y axis, after an excitation about x (CPMG condition) [rad].
    """
    half = Delay(interval / 2)
    return [half, Spoiling(), RFPulse(refocusing_angle, np.pi / 2), Spoiling(), half]


def inversion(inversion_time: float) -> list[Event]:
    """An adiabatic inversion, and a delay [s]."""
    return [Inversion(), Delay(inversion_time)]


def t2_preparation(time: float) -> list[Event]:
    """90 x - refocusing y - 90 -x: Mz decays by T2 over a time [s]; the transverse rest is spoiled."""
    half = Delay(time / 2)
    return [
        RFPulse(np.pi / 2),
        half,
        RFPulse(np.pi, np.pi / 2),
        half,
        RFPulse(np.pi / 2, np.pi),
        Crusher(),
    ]


def quadratic_phase(increment: float, n_frames: int) -> NDArray[np.float64]:
    """Phases of RF spoiling, phi_n = increment n (n + 1) / 2, within 0 to 2 pi [rad], shape (frame,).

    References
    ----------
    Zur et al., Spoiling of transverse magnetization (1991), doi:10.1002/mrm.1910210210.
    """
    n = np.arange(n_frames)
    return np.asarray(np.mod(increment * (n * (n + 1) / 2), 2 * np.pi), np.float64)

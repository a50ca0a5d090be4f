"""Fingerprints of tissues, by extended phase graphs.

The simulation with its kernels for CPU and GPU is that of torchsim; this module translates the
events of a :class:`PulseSequence` into its operators, and is the only one that depends on torchsim.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torchsim import sequence as torchsim
from torchsim.model import Simulator, SpinPhysics

from mri2qmap_bids.recon.arrays import Fingerprints
from mri2qmap_bids.recon.physics.event_sequence import EventSequence
from mri2qmap_bids.recon.physics.events import (
    Crusher,
    Delay,
    Event,
    Inversion,
    Readout,
    RFPulse,
    Spoiling,
)
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence
from mri2qmap_bids.recon.physics.sequences.registry import events_of

# With fewer than 100 configuration orders, long sequences have errors of per cents where T2 is near T1.
N_STATES = 100
# Largest distance of the signal from the steady state, for the slowest tissue, relative to its maximum.
STEADY_STATE_TOLERANCE = 1e-4
_SLOWEST = 5.0, 2.0
"""T1 and T2 of that tissue [s]."""
# Ten of its T1: the steady state to 5e-5 [s].
_SETTLING_TIME = 50.0
_SHORTEST_SHOT = 1e-3
# Mean dephasing above a multiple of the least that a few stronger gradients make, which need no more states.
_RARE = 0.1


class _FingerprintTrain(Simulator):  # type: ignore[misc]
    """One shot of a pulse sequence as a list of torchsim's operators."""

    model = SpinPhysics(
        properties={"T1": "t1_ms", "T2": "t2_ms", "B1": "b1", "efficiency": "inversion_efficiency"}
    )

    def layout(self, *, events: tuple[Event, ...], position: int) -> list[torchsim.Operator]:
        return [operator for event in events for operator in _operators(event, position)]


def _operators(event: Event, position: int) -> list[torchsim.Operator]:
    """An event at one position across the slice."""
    match event:
        case RFPulse(flip_angle, phase, slice_profile):
            factor = slice_profile[position] if slice_profile else 1.0
            return [torchsim.Excitation(factor * flip_angle, phase)]
        case Inversion():
            # An inversion module spoils the remaining transverse magnetisation.
            return [torchsim.Inversion(), torchsim.Spoil()]
        case Delay(duration):
            return [torchsim.Delay(duration)]
        case Spoiling(cycles):
            return [torchsim.Dephase()] * int(cycles)
        case Crusher():
            return [torchsim.Spoil()]
        case Readout(phase):
            return [torchsim.Readout(phase)]


def simulate(
    sequence: PulseSequence,
    t1: torch.Tensor,
    t2: torch.Tensor,
    b1: torch.Tensor | float = 1.0,
    n_states: int = N_STATES,
    efficiency: torch.Tensor | None = None,
) -> Fingerprints:
    """Signal of each tissue at every echo of the pulse sequence.

    d_t = F0 at the readout of frame t, demodulated by the phase of its receiver,
    for unit equilibrium magnetisation. With ``preparation_time`` the sequence is
    repeated until the signal no longer changes (periodic steady state); without, it
    starts from equilibrium. With a slice profile, the mean over the profile.
    A signal that is real up to one constant phase is returned as real.

    Parameters
    ----------
    sequence
        The pulse sequence.
    t1, t2
        Relaxation times [s], shape (atom,).
    b1
        Transmit field relative to nominal, scalar or shape (atom,).
    n_states
        Number of configuration orders; more where dephasings are on average multiples of the least.
    efficiency
        Inversion efficiency, shape (atom,); None: that of the pulse sequence.

    Returns
    -------
    Fingerprints, shape (atom, frame), float32 or complex64.

    References
    ----------
    Weigel, Extended phase graphs (2015), doi:10.1002/jmri.24619.
    Jiang et al., MR fingerprinting using FISP (2015), doi:10.1002/mrm.25559.
    """
    n_shots = _shots_to_steady_state(sequence, n_states)
    factors = sequence.slice_profile or (1.0,) * _n_positions(sequence)
    signal = sum(
        _play(sequence, t1, t2, b1 * factor, n_states, n_shots, position, efficiency)
        for position, factor in enumerate(factors)
    )
    return _real_if_possible(torch.as_tensor(signal) / len(factors))


def _n_positions(sequence: PulseSequence) -> int:
    return sequence.n_positions if isinstance(sequence, EventSequence) else 1


def _play(
    sequence: PulseSequence,
    t1: Any,
    t2: Any,
    b1: Any,
    n_states: int,
    n_shots: int,
    position: int = 0,
    efficiency: torch.Tensor | None = None,
) -> torch.Tensor:
    """The echoes of the last of ``n_shots`` shots, shape (atom, frame)."""
    events, states = _in_least_cycles(events_of(sequence), n_states)
    if sequence.preparation_time is not None:
        events = (*events, Delay(sequence.preparation_time - sequence.duration))
    train = _FingerprintTrain(events=events, position=position, states=states, repetitions=n_shots)
    b1 = torch.as_tensor(b1, dtype=t1.dtype, device=t1.device)
    signal = train.simulate(
        T1=t1 * 1e3,
        T2=t2 * 1e3,
        B1=b1,
        efficiency=sequence.inversion_efficiency if efficiency is None else efficiency,
    )
    return torch.as_tensor(signal)[..., -sequence.n_frames :]


def _in_least_cycles(events: Sequence[Event], n_states: int) -> tuple[tuple[Event, ...], int]:
    """Events whose dephasings are in units of their greatest common divisor, and the number of states.

    Configuration orders are multiples of that unit. The mean dephasing, in these units, raises the order at each
    gradient: as many times more states keep coherences over as many gradients.
    """
    cycles = [int(event.cycles) for event in events if isinstance(event, Spoiling)]
    if not cycles:  # A balanced sequence: order zero is its whole state.
        return tuple(events), 1
    unit = math.gcd(*cycles)
    reduced = tuple(
        replace(event, cycles=int(event.cycles) // unit) if isinstance(event, Spoiling) else event
        for event in events
    )
    mean = sum(cycles) / (unit * len(cycles))
    return reduced, n_states * math.ceil(mean - _RARE)


def _shots_to_steady_state(sequence: PulseSequence, n_states: int) -> int:
    """Number of shots until the slowest tissue is in the periodic steady state, and one more."""
    if sequence.preparation_time is None:
        return 1
    t1, t2 = (torch.tensor([time]) for time in _SLOWEST)
    most = 2 + math.ceil(_SETTLING_TIME / max(sequence.preparation_time, _SHORTEST_SHOT))
    steady = _play(sequence, t1, t2, 1.0, n_states, most)
    tolerance = STEADY_STATE_TOLERANCE * float(steady.abs().max())

    def is_steady(n_shots: int) -> bool:
        signal = _play(sequence, t1, t2, 1.0, n_states, n_shots)
        return float((signal - steady).abs().max()) < tolerance

    return 2 + bisect_left(range(1, most - 1), True, key=is_steady)


def _real_if_possible(signal: torch.Tensor) -> torch.Tensor:
    """Return a real signal if it is real up to one constant phase for all atoms and frames."""
    if not signal.is_complex():
        return signal
    phase = (signal**2).sum().sqrt()
    rotated = signal * (phase.conj() / phase.abs().clamp_min(1e-30))
    if rotated.imag.abs().max() < 1e-5 * rotated.real.abs().max():
        return rotated.real.contiguous()
    return signal

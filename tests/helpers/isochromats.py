"""Signals of any list of events, from the Bloch equations of many isochromats, one by one."""

import numpy as np
from numpy.typing import NDArray

from helpers.bloch import _relax, _rotation
from mri2qmap_bids.recon.physics.events import Event


def isochromat_signal(
    events: tuple[Event, ...],
    t1: float,
    t2: float,
    efficiency: float = 1.0,
    b1: float = 1.0,
    n_isochromats: int = 256,
    position: int = 0,
) -> NDArray[np.complex128]:
    """Mean transverse magnetisation at every readout, from equilibrium, shape (readout,).

    A gradient of c cycles turns isochromat n by 2 pi c n / N.
    """
    m = np.zeros((3, n_isochromats))
    m[2] = 1.0
    turn = 2j * np.pi * np.arange(n_isochromats) / n_isochromats
    signal = []
    for event in events:
        kind = type(event).__name__
        if kind == "RFPulse":
            factor = event.slice_profile[position] if event.slice_profile else 1.0
            m = _rotation(b1 * factor * event.flip_angle, event.phase) @ m
        elif kind == "Delay":
            m = _relax(m, event.duration, t1, t2)
        elif kind == "Inversion":
            m = np.stack([0 * m[0], 0 * m[1], -efficiency * m[2]])
        elif kind == "Crusher":
            m = np.stack([0 * m[0], 0 * m[1], m[2]])
        elif kind == "Spoiling":
            transverse = (m[0] + 1j * m[1]) * np.exp(event.cycles * turn)
            m = np.stack([transverse.real, transverse.imag, m[2]])
        else:
            assert kind == "Readout"
            signal.append((m[0] + 1j * m[1]).mean() * np.exp(-1j * event.phase))
    return np.array(signal)

"""Fingerprints by brute force: the Bloch equations of many isochromats, one by one."""

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence


def bloch_fingerprint(
    sequence: PulseSequence,
    t1: float,
    t2: float,
    n_isochromats: int = 256,
    n_shots: int = 1,
    b1: float = 1.0,
) -> NDArray[np.complex128]:
    """Mean transverse magnetisation at every echo of the last shot, shape (frame,).

    A spoiling moment turns isochromat n by 2 pi n / N; everything else is rotation and
    exponential relaxation of three numbers per isochromat.
    """
    magnetisation = np.zeros((3, n_isochromats))
    magnetisation[2] = 1.0
    spoil = np.exp(2j * np.pi * np.arange(n_isochromats) / n_isochromats)
    signal = np.zeros(sequence.n_frames, complex)
    for _ in range(n_shots):
        if sequence.inversion_time is not None:
            magnetisation[:2] = 0
            magnetisation[2] *= -sequence.inversion_efficiency
            magnetisation = _relax(magnetisation, sequence.inversion_time, t1, t2)
        for frame in range(sequence.n_frames):
            angle, phase = b1 * sequence.flip_angle[frame], sequence.rf_phase[frame]
            magnetisation = _rotation(angle, phase) @ magnetisation
            magnetisation = _relax(magnetisation, sequence.echo_time[frame], t1, t2)
            transverse = magnetisation[0] + 1j * magnetisation[1]
            signal[frame] = transverse.mean() * np.exp(-1j * phase)
            if sequence.kind == "FISP":
                transverse = transverse * spoil
                magnetisation[0], magnetisation[1] = transverse.real, transverse.imag
            rest = sequence.repetition_time[frame] - sequence.echo_time[frame]
            magnetisation = _relax(magnetisation, rest, t1, t2)
        if sequence.preparation_time is not None:
            rest = sequence.preparation_time - sequence.duration
            magnetisation = _relax(magnetisation, rest, t1, t2)
    return signal


def _relax(magnetisation, time, t1, t2):
    decayed = magnetisation.copy()
    decayed[:2] *= np.exp(-time / t2)
    decayed[2] = 1 + (decayed[2] - 1) * np.exp(-time / t1)
    return decayed


def _rotation(angle, phase):
    """Right-handed rotation by ``angle`` about the transverse axis at ``phase``."""
    x, y = np.cos(phase), np.sin(phase)
    c, s = np.cos(angle), np.sin(angle)
    return np.array(
        [
            [c + x * x * (1 - c), x * y * (1 - c), y * s],
            [x * y * (1 - c), c + y * y * (1 - c), -x * s],
            [-y * s, x * s, c],
        ]
    )

"""The pulse sequence: flip angles and timing of one train of excitations."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

SequenceKind = Literal["FISP", "bSSFP"]


@dataclass(frozen=True, eq=False)
class PulseSequence:
    """One train of T excitations, repeated in every shot.

    Frame t is excited, read at its echo time and ends after its repetition
    time. FISP has one dephasing (spoiling) gradient after each echo; bSSFP has
    none. The receiver phase follows that of the excitation, so the signal
    of frame t is demodulated by ``rf_phase[t]``.
    """

    kind: str
    """Name of its type: FISP (gradient-spoiled SSFP), bSSFP (balanced), or another of the registry."""
    flip_angle: NDArray[np.float64]
    """Nominal flip angle [rad], shape (frame,)."""
    repetition_time: NDArray[np.float64]
    """Time from one excitation to the next [s], shape (frame,)."""
    echo_time: NDArray[np.float64]
    """Time from excitation to echo [s], shape (frame,)."""
    rf_phase: NDArray[np.float64]
    """Phase of each excitation [rad], shape (frame,)."""
    inversion_time: float | None = None
    """Delay from an adiabatic inversion to frame 0 [s]; None: no inversion."""
    inversion_efficiency: float = 1.0
    """Mz after the inversion is -efficiency times Mz before it, 0..1."""
    preparation_time: float | None = None
    """Time from one shot's start (its inversion) to the next [s]; None: one shot from equilibrium."""
    slice_profile: tuple[float, ...] = ()
    """Flip-angle factors at equally spaced positions across the slice; empty: one, exactly 1."""

    def __post_init__(self) -> None:
        for name in ("repetition_time", "echo_time", "rf_phase"):
            shape = np.shape(getattr(self, name))
            if shape != np.shape(self.flip_angle) or len(shape) != 1:
                raise ValueError(
                    f"{name} must be an array with one value per flip angle "
                    f"{np.shape(self.flip_angle)}, got shape {shape}"
                )

    @property
    def n_frames(self) -> int:
        """Number of excitations T in the train."""
        return len(self.flip_angle)

    @property
    def duration(self) -> float:
        """Time from a shot's start to the end of its last repetition [s]."""
        return float(self.repetition_time.sum()) + (self.inversion_time or 0.0)

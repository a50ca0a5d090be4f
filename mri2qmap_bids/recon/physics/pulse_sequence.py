"""The pulse sequence: flip angles and timing of one train of excitations."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

SequenceKind = Literal["FISP", "bSSFP"]


@dataclass(frozen=True, eq=False)
class PulseSequence:
    """One train of T excitations, repeated in every shot.

    Frame t is excited, read at its echo time and ends after its repetition
    time. FISP has one dephasing (spoiling) gradient after each echo; bSSFP has
    none. The receiver phase follows that of the excitation, so the signal
    of frame t is demodulated by ``rf_phase[t]``.
    """

    kind: SequenceKind
    """FISP (gradient-spoiled SSFP) or bSSFP (balanced)."""
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

    @classmethod
    def fisp(
        cls,
        flip_angle_deg: ArrayLike,
        repetition_time: ArrayLike,
        echo_time: ArrayLike,
        inversion_time: float | None = None,
        *,
        inversion_efficiency: float = 1.0,
        preparation_time: float | None = None,
        slice_profile: tuple[float, ...] = (),
    ) -> "PulseSequence":
        """A gradient-spoiled train (FISP).

        Parameters
        ----------
        flip_angle_deg
            Nominal flip angles [degree], shape (frame,).
        repetition_time, echo_time
            [s], shape (frame,), or one for all frames.
        inversion_time, inversion_efficiency, preparation_time, slice_profile
            As the fields of these names.

        Raises
        ------
        ValueError
            If a time has another number of values than there are flip angles.
        """
        flip_angle = np.deg2rad(np.atleast_1d(np.asarray(flip_angle_deg, np.float64)))
        return cls(
            kind="FISP",
            flip_angle=flip_angle,
            repetition_time=_per_frame(repetition_time, len(flip_angle)),
            echo_time=_per_frame(echo_time, len(flip_angle)),
            rf_phase=np.zeros(len(flip_angle)),
            inversion_time=inversion_time,
            inversion_efficiency=inversion_efficiency,
            preparation_time=preparation_time,
            slice_profile=slice_profile,
        )

    @classmethod
    def bssfp(
        cls,
        flip_angle_deg: ArrayLike,
        repetition_time: ArrayLike,
        echo_time: ArrayLike,
        inversion_time: float | None = None,
        **settings: Any,
    ) -> "PulseSequence":
        """A balanced train (bSSFP) whose excitations alternate in phase by 180 degrees.

        The parameters are those of :meth:`fisp`.
        """
        train = cls.fisp(flip_angle_deg, repetition_time, echo_time, inversion_time, **settings)
        phase = np.deg2rad(180.0 * (np.arange(train.n_frames) % 2), dtype=np.float64)
        return replace(train, kind="bSSFP", rf_phase=phase)


def _per_frame(value: ArrayLike, n_frames: int) -> NDArray[np.float64]:
    """One value for all frames, or one each."""
    array = np.asarray(value, np.float64)
    return np.full(n_frames, array) if array.ndim == 0 else array

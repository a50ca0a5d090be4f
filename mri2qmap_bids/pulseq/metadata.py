"""Sidecar of a Pulseq file: its kind of pulse sequence, flip angles, phases and timing."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.errors import PulseqError
from mri2qmap_bids.pulseq.shots import Shot, Shots
from mri2qmap_bids.pulseq.timeline import Timeline

Values = NDArray[np.float64]

# Gradients are balanced if they leave less than this over a voxel [cycle], and spoil above the second.
_BALANCED, _SPOILED = 0.05, 0.5


def metadata_of(
    timeline: Timeline, shots: Shots, voxel_size: tuple[float, float, float], path: Path
) -> dict[str, Any]:
    """BIDS metadata of the first shot (degrees, seconds).

    Balanced gradients between all excitations: bSSFP. A constant gradient moment of at least half a
    cycle over a voxel: FISP, or a spoiled gradient echo if the phase of the pulses is quadratic in their
    number.

    Parameters
    ----------
    timeline, shots
        Of the file.
    voxel_size
        Along (x, y, z) [m].
    path
        The file, for messages.

    Raises
    ------
    PulseqError
        If the sequence is none of these with at most an inversion before it, or has one frame.
    """
    shot = shots.shots[0]
    excitations = [timeline.readouts[frame[0]].excitation for frame in shot.frames]
    pulses = [timeline.pulses[n] for n in excitations if n is not None]
    others = [pulse for pulse in shot.pulses if pulse not in pulses]
    if len(set(excitations)) < len(excitations) or any(p.use != "inversion" for p in others):
        uses = sorted({pulse.use for pulse in others} - {"inversion"})
        raise PulseqError(
            f"{path}: must play an inversion and one excitation for every frame, got pulses for "
            f"{', '.join(uses) or 'several frames'}, too"
        )
    if len(pulses) < 2:
        raise PulseqError(f"{path}: a shot must have at least 2 frames, got {len(pulses)}")
    times = np.array([pulse.time for pulse in pulses])
    phases = np.array([pulse.phase for pulse in pulses])
    repetition = np.diff(times)
    echo = _echo_times(timeline, shot, times)
    metadata: dict[str, Any] = {
        "PulseSequenceType": _kind(np.array([pulse.moment for pulse in pulses]), voxel_size, path),
        "FlipAngle": _rounded(np.rad2deg([pulse.flip_angle for pulse in pulses])),
        "RepetitionTimeExcitation": _rounded(np.append(repetition, repetition[-1:])),
        "EchoTime": _rounded(echo),
    }
    increment = _quadratic_increment(phases)
    if metadata["PulseSequenceType"] == "FISP" and increment:
        metadata["PulseSequenceType"] = "SpoiledGradientEcho"
        metadata["SpoilingRFPhaseIncrement"] = round(float(np.rad2deg(increment)), 4)
    elif np.ptp(phases) > 1e-6:
        metadata["RFPhase"] = _rounded(np.rad2deg(phases))
    if others:
        metadata["InversionTime"] = round(float(times[0] - others[-1].time), 7)
        # Mz behind the pulse is cos(angle) times Mz before it.
        metadata["InversionEfficiency"] = round(float(-np.cos(others[-1].flip_angle)), 4)
    if len(shots.shots) > 1:
        starts = [each.pulses[0].time for each in shots.shots]
        metadata["RepetitionTimePreparation"] = round(float(np.diff(starts).mean()), 7)
    return metadata


def _quadratic_increment(phases: Values) -> float:
    """d of phases with the second difference d (modulo a turn) throughout [rad]; 0: there is none."""
    turns = np.exp(1j * np.diff(phases, 2))
    if len(turns) < 2 or np.abs(turns - turns[0]).max() > 1e-2:
        return 0.0
    increment = float(np.angle(turns.mean()))
    return increment if abs(increment) > 1e-3 else 0.0


def _rounded(values: Values) -> list[float]:
    return [float(value) for value in np.round(values, 7)]


def _echo_times(timeline: Timeline, shot: Shot, excitations: Values) -> Values:
    """Time from every excitation to the sample nearest to the centre of k-space."""
    echoes = []
    for frame in shot.frames:
        parts = [timeline.readouts[number] for number in frame]
        radius = np.concatenate([np.linalg.norm(part.trajectory, axis=1) for part in parts])
        time = np.concatenate([part.time for part in parts])
        echoes.append(time[int(radius.argmin())])
    return np.array(echoes) - excitations


def _kind(moments: Values, voxel_size: tuple[float, float, float], path: Path) -> str:
    """FISP or bSSFP, from the gradient moments at all excitations [1/m], shape (frame, 3)."""
    cycles = np.abs(np.diff(moments, axis=0)) * np.array(voxel_size)
    if cycles.max(initial=0) < _BALANCED:
        return "bSSFP"
    spread = np.ptp(np.diff(moments, axis=0), axis=0) * np.array(voxel_size)
    spoiling = cycles.min(axis=0, initial=np.inf)
    if (spoiling >= _SPOILED).any() and spread[int(spoiling.argmax())] < _BALANCED:
        return "FISP"
    raise PulseqError(
        f"{path}: gradients must be balanced between excitations (bSSFP) or spoil by the same moment of at "
        f"least {_SPOILED:g} cycles over a voxel (FISP), got {spoiling.max():.3g} to "
        f"{cycles.max():.3g} cycles"
    )

"""Sidecar of a Pulseq file: its kind of pulse sequence, flip angles, phases and timing."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.errors import PulseqError
from mri2qmap_bids.pulseq.events import efficiency_of
from mri2qmap_bids.pulseq.shots import Shot, Shots, echo_of
from mri2qmap_bids.pulseq.timeline import Pulse, Readout, Timeline
from mri2qmap_bids.recon.physics.pulse_sequence import default_rf_phase

Values = NDArray[np.float64]

# Gradients are balanced if they leave less than this over a voxel [cycle], and spoil above the second.
_BALANCED, _SPOILED = 0.05, 0.5
# Distance of exp(i phase) below which phases are the same: files have six digits of them.
_SAME_PHASE = 1e-3


def metadata_of(
    timeline: Timeline, shots: Shots, voxel_size: tuple[float, float, float], path: Path
) -> dict[str, Any]:
    """BIDS metadata of the first shot (degrees, seconds).

    Balanced gradients between all excitations: bSSFP. A constant gradient moment of at least half a
    cycle over a voxel: FISP, or a spoiled gradient echo if the phase of the pulses is quadratic in their
    number. ``RFPhase`` is relative to the first pulse, and left out where it is the default.

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
        If the sequence is none of these with at most one inversion before it, has one frame, or its
        receiver does not follow the phase of the pulses.
    """
    shot = shots.shots[0]
    pulses, inversion = _pulses(timeline, shot, path)
    times = np.array([pulse.time for pulse in pulses])
    echoes = [echo_of(timeline, frame) for frame in shot.frames]
    phases = _phases(pulses, [part for part, _ in echoes], path)
    repetition = np.diff(times)
    echo = np.array([part.time[sample] for part, sample in echoes]) - times
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
    elif _differ(phases, default_rf_phase(metadata["PulseSequenceType"], len(pulses))):
        metadata["RFPhase"] = np.mod(_rounded(np.rad2deg(phases)), 360.0).tolist()
    if inversion is not None:
        metadata["InversionTime"] = round(float(times[0] - inversion.time), 7)
        metadata["InversionEfficiency"] = efficiency_of(inversion)
    if len(shots.shots) > 1:
        starts = [each.pulses[0].time for each in shots.shots]
        metadata["RepetitionTimePreparation"] = round(float(np.diff(starts).mean()), 7)
    return metadata


def _pulses(timeline: Timeline, shot: Shot, path: Path) -> tuple[list[Pulse], Pulse | None]:
    """The excitation of every frame, and the inversion before them, if there is one."""
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
    if len(others) > 1 or any(pulse.time > pulses[0].time for pulse in others):
        raise PulseqError(
            f"{path}: must play at most one inversion, before the first excitation (at {pulses[0].time:.6g} s), "
            f"got inversions at {', '.join(f'{pulse.time:.6g}' for pulse in others)} s"
        )
    return pulses, others[0] if others else None


def _phases(pulses: list[Pulse], echoes: list[Readout], path: Path) -> Values:
    """Phases of the pulses relative to the first [rad], if the receiver has them, too.

    One phase more for all pulses, or for all readouts, is only a phase of the image.
    """
    turns = np.array([pulse.turn for pulse in pulses])
    if _differ(turns, np.zeros(len(turns))):
        raise PulseqError(
            f"{path}: excitations must be rotations about an axis in the transverse plane, got pulses that also turn "
            f"by up to {np.rad2deg(np.abs(turns).max()):.3g} deg about z"
        )
    axes = np.array([pulse.axis for pulse in pulses])
    offsets = np.array([part.phase for part in echoes]) - axes
    if _differ(offsets, np.broadcast_to(offsets[0], len(offsets))):
        most = np.abs(np.angle(np.exp(1j * (offsets - offsets[0])))).max()
        raise PulseqError(
            f"{path}: the receiver must follow the phase of the excitations, got phases between them that differ by "
            f"up to {np.rad2deg(most):.3g} deg"
        )
    return np.asarray(axes - axes[0], np.float64)


def _differ(phases: Values, others: Values) -> bool:
    """Whether some phases [rad] are not the same modulo a turn."""
    return bool(np.abs(np.exp(1j * phases) - np.exp(1j * others)).max() > _SAME_PHASE)


def _quadratic_increment(phases: Values) -> float:
    """d of phases with the second difference d (modulo a turn) throughout [rad]; 0: there is none."""
    turns = np.exp(1j * np.diff(phases, 2))
    if len(turns) < 2 or np.abs(turns - turns[0]).max() > 1e-2:
        return 0.0
    increment = float(np.angle(turns.mean()))
    return increment if abs(increment) > 1e-3 else 0.0


def _rounded(values: Values) -> list[float]:
    return [float(value) for value in np.round(values, 7)]


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

"""A run's metadata (sidecar, then ISMRMRD header) to the sequence it describes, checked, in SI."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.errors import SidecarError
from mri2qmap_bids.recon.acquisition.header import ScanHeader
from mri2qmap_bids.recon.acquisition.raw import FRAME_COUNTERS, ReadLayout
from mri2qmap_bids.recon.acquisition.trajectory import TRAJECTORY_UNITS
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence, SequenceKind
from mri2qmap_bids.recon.physics.slice_profile import (
    PULSE_SHAPES,
    TIME_BANDWIDTH_LIMITS,
    RFPulse,
    slice_profile,
)

_KINDS: dict[str, SequenceKind] = {"fisp": "FISP", "bssfp": "bSSFP"}
# No fingerprint waits a second between excitations: such a value is in milliseconds.
_LONGEST_REPETITION = 1.0
_LONGEST_INVERSION = 20.0


def read_sequence(
    metadata: Mapping[str, Any], header: ScanHeader | None, path: Path
) -> PulseSequence:
    """The train that a run's metadata describes.

    Parameters
    ----------
    metadata
        Sidecar with BIDS names and units (degrees, seconds), inheritance applied.
    header
        ISMRMRD header; fills what the sidecar leaves out. None: there is none.
    path
        The run's raw file, for messages.

    Raises
    ------
    SidecarError
        If a key is missing in both, or a value breaks its rule; the text names the file,
        the key, the rule and the value.
    """
    kind = _kind(metadata, path)
    flip_angle = _values(metadata, "FlipAngle", header.flip_angle if header else (), path)
    n_frames = len(flip_angle)
    if n_frames < 2:
        raise _broken(
            path, "FlipAngle", "a list with one value [deg] per frame", metadata.get("FlipAngle")
        )
    times = (header.repetition_time, header.echo_time) if header else ((), ())
    repetition = _train(metadata, "RepetitionTimeExcitation", times[0], n_frames, path)
    echo = _train(metadata, "EchoTime", times[1], n_frames, path)
    _check_timing(path, repetition, echo)
    default_phase = 180.0 * (np.arange(n_frames) % 2) if kind == "bSSFP" else np.zeros(n_frames)
    phase = _train(metadata, "RFPhase", tuple(default_phase), n_frames, path)
    inversion = header.inversion_time if header else ()
    inversion_time = _scalar(metadata, "InversionTime", inversion, path)
    if inversion_time is not None and not 0 <= inversion_time <= _LONGEST_INVERSION:
        raise _broken(path, "InversionTime", f"0 to {_LONGEST_INVERSION:g} s", inversion_time)
    efficiency = _scalar(metadata, "InversionEfficiency", (1.0,), path)
    if efficiency is None or not 0 <= efficiency <= 1:
        raise _broken(path, "InversionEfficiency", "0 to 1", efficiency)
    sequence = PulseSequence(
        kind=kind,
        flip_angle=np.deg2rad(flip_angle),
        repetition_time=repetition,
        echo_time=echo,
        rf_phase=np.deg2rad(phase),
        inversion_time=inversion_time,
        inversion_efficiency=efficiency,
        preparation_time=_scalar(metadata, "RepetitionTimePreparation", (), path),
        slice_profile=_slice_profile(metadata, header, float(np.deg2rad(flip_angle.mean())), path),
    )
    if (
        sequence.preparation_time is not None
        and sequence.preparation_time < sequence.duration - 1e-6
    ):
        raise _broken(
            path,
            "RepetitionTimePreparation",
            f"at least the {sequence.duration:.4g} s that one shot lasts",
            sequence.preparation_time,
        )
    return sequence


def read_layout(metadata: Mapping[str, Any], n_frames: int, path: Path) -> ReadLayout:
    """How the raw file is to be read: frame counter, trajectory units, dimension.

    Raises
    ------
    SidecarError
        If a value is not one of those allowed.
    """
    counter = metadata.get("MRFFrameCounter", "contrast")
    if counter not in FRAME_COUNTERS:
        raise _broken(path, "MRFFrameCounter", f"one of {', '.join(FRAME_COUNTERS)}", counter)
    units = metadata.get("MRFTrajectoryUnits")
    if units is not None and units not in TRAJECTORY_UNITS:
        raise _broken(path, "MRFTrajectoryUnits", f"one of {', '.join(TRAJECTORY_UNITS)}", units)
    dimension = metadata.get("MRAcquisitionType")
    if dimension not in (None, "2D", "3D"):
        raise _broken(path, "MRAcquisitionType", "2D or 3D", dimension)
    return ReadLayout(
        n_frames=n_frames,
        frame_counter=counter,
        trajectory_units=units,
        is_3d=None if dimension is None else dimension == "3D",
    )


def sidecar_name(path: Path) -> str:
    """How messages call the metadata of a raw file."""
    return f"{path.with_suffix('.json')}"


def _kind(metadata: Mapping[str, Any], path: Path) -> SequenceKind:
    value = metadata.get("PulseSequenceType")
    name = str(value).lower().replace("mrf", "").strip("-_ ")
    if name not in _KINDS:
        raise _broken(path, "PulseSequenceType", "FISP or bSSFP", value)
    return _KINDS[name]


def _values(
    metadata: Mapping[str, Any], key: str, fallback: tuple[float, ...], path: Path
) -> NDArray[np.float64]:
    """A numeric key as an array, from the sidecar or else the ISMRMRD header."""
    value = metadata.get(key)
    if value is None:
        if not fallback:
            raise SidecarError(
                f"{sidecar_name(path)}: {key} must be given here (or in the ISMRMRD header), got nothing"
            )
        value = list(fallback)
    entries = value if isinstance(value, list | tuple) else [value]
    if not entries or any(isinstance(v, bool) or not isinstance(v, int | float) for v in entries):
        raise _broken(path, key, "a number or a list of numbers", value)
    array = np.array(entries, np.float64)
    if not np.isfinite(array).all():
        raise _broken(path, key, "finite", value)
    return array


def _train(
    metadata: Mapping[str, Any], key: str, fallback: tuple[float, ...], n_frames: int, path: Path
) -> NDArray[np.float64]:
    """A key with one value per frame, or one for all."""
    array = _values(metadata, key, fallback, path)
    if len(array) not in (1, n_frames):
        raise SidecarError(
            f"{sidecar_name(path)}: {key} must have one value, or as many as FlipAngle ({n_frames}), "
            f"got {len(array)}"
        )
    return np.broadcast_to(array, n_frames).copy()


def _scalar(
    metadata: Mapping[str, Any], key: str, fallback: tuple[float, ...], path: Path
) -> float | None:
    if metadata.get(key) is None and not fallback:
        return None
    array = _values(metadata, key, fallback[:1], path)
    if len(array) != 1:
        raise _broken(path, key, "one number", metadata.get(key))
    return float(array[0])


def _slice_profile(
    metadata: Mapping[str, Any], header: ScanHeader | None, flip_angle: float, path: Path
) -> tuple[float, ...]:
    """Factors of the sidecar, or those of its RF pulse at the mean flip angle [rad]."""
    pulse = _pulse(metadata, path)
    if metadata.get("SliceProfile") is None:
        if pulse is None:
            return ()
        is_3d = header is not None and header.is_3d
        if metadata.get("MRAcquisitionType", "3D" if is_3d else "2D") == "3D":
            raise _broken(path, "RFPulseShape", "absent in 3D, where slices are not averaged", "3D")
        if not flip_angle > 0:
            raise _broken(path, "FlipAngle", "above 0 on average with RFPulseShape", flip_angle)
        return slice_profile(pulse, flip_angle)
    if pulse is not None:
        raise _broken(path, "RFPulseShape", "absent beside SliceProfile", pulse.shape)
    profile = _values(metadata, "SliceProfile", (), path)
    if (profile < 0).any():
        raise _broken(path, "SliceProfile", "factors of at least 0", metadata["SliceProfile"])
    return tuple(profile.tolist())


def _pulse(metadata: Mapping[str, Any], path: Path) -> RFPulse | None:
    shape = metadata.get("RFPulseShape")
    product = _scalar(metadata, "RFTimeBandwidthProduct", (), path)
    if shape is None and product is None:
        return None
    if shape not in PULSE_SHAPES:
        raise _broken(path, "RFPulseShape", f"one of {', '.join(PULSE_SHAPES)}", shape)
    low, high = TIME_BANDWIDTH_LIMITS
    if product is None or not low <= product <= high:
        raise _broken(path, "RFTimeBandwidthProduct", f"{low:g} to {high:g}", product)
    return RFPulse(shape, product)


def _check_timing(path: Path, repetition: NDArray[np.float64], echo: NDArray[np.float64]) -> None:
    if (repetition <= 0).any() or (repetition > _LONGEST_REPETITION).any():
        raise _broken(
            path,
            "RepetitionTimeExcitation",
            f"above 0 and at most {_LONGEST_REPETITION:g} s (is it in milliseconds?)",
            f"{repetition.min():g} to {repetition.max():g}",
        )
    if (echo < 0).any() or (echo >= repetition).any():
        raise _broken(
            path,
            "EchoTime",
            "at least 0 and below RepetitionTimeExcitation, in seconds",
            f"{echo.min():g} to {echo.max():g}",
        )


def _broken(path: Path, key: str, rule: str, value: Any) -> SidecarError:
    shown = repr(value)
    return SidecarError(
        f"{sidecar_name(path)}: {key} must be {rule}, got "
        f"{shown if len(shown) < 80 else shown[:77] + '...'}"
    )

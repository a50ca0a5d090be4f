"""The sidecar of a converted run: keys of the user, keys from the source, and how the file was written."""

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mri2qmap_bids.convert.conversion import Conversion
from mri2qmap_bids.dataset.sequence_keys import made_of_events
from mri2qmap_bids.dataset.sidecar import read_layout, read_sequence, sidecar_name
from mri2qmap_bids.encoded_text import read_text
from mri2qmap_bids.errors import InputError, SidecarError

logger = logging.getLogger(__name__)

# Keys of sidecars and DICOM that tell of a person, a date, a place or a device.
_IDENTIFYING = re.compile(
    "patient|birth|physician|operator|performing|accession|comment|uid|serialnumber|institution|station|"
    "address|^study|^series|procedure|(acquisition|content|creation)(date|time)|date$|datetime|protocolname",
    re.IGNORECASE,
)
_REQUIRED = ("PulseSequenceType", "FlipAngle", "RepetitionTimeExcitation", "EchoTime")


def read_user_sidecar(path: Path) -> dict[str, Any]:
    """A user's sidecar without keys that may identify a person, which are named in a warning.

    Raises
    ------
    InputError
        If there is no such file.
    SidecarError
        If it is no JSON object.
    """
    try:
        content = json.loads(read_text(path))
    except OSError as error:
        raise InputError(f"--sidecar {path}: must be a file, got: {error.strerror}") from error
    except ValueError as error:
        raise SidecarError(
            f"{path}: must be a JSON file, got: {' '.join(str(error).split())}"
        ) from error
    if not isinstance(content, dict):
        raise SidecarError(f"{path}: must be a JSON object, got a {type(content).__name__}")
    identifying = sorted(key for key in content if _IDENTIFYING.search(key))
    if identifying:
        logger.warning(
            "%s: not copied, as they may identify a person: %s", path, ", ".join(identifying)
        )
    return {key: value for key, value in content.items() if key not in identifying}


def n_frames_of(sidecar: Mapping[str, Any]) -> int | None:
    """Number of frames of the train in a sidecar; None: it has none."""
    angles = sidecar.get("FlipAngle")
    return len(angles) if isinstance(angles, list) and len(angles) > 1 else None


def make_sidecar(source: Path, conversion: Conversion, user: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a run's sidecar, checked as far as it is complete.

    Parameters
    ----------
    source
        The source, for messages.
    conversion
        The scan; the user's keys take precedence over its own.
    user
        From :func:`read_user_sidecar`.

    Raises
    ------
    SidecarError
        If the train has another number of frames than the scan, or a value breaks its rule.
    """
    scan = conversion.scan
    content = {
        **conversion.metadata,
        **user,
        "MRAcquisitionType": "3D" if scan.is_3d else "2D",
        "MRFFrameCounter": "contrast",
        "MRFTrajectoryUnits": "cycles/fov",
        "NumberReceiveCoilActiveElements": len(scan.slices[0].kspace),
    }
    complete = {**conversion.train, **content}
    frames = n_frames_of(complete)
    if frames is not None and frames != scan.n_frames:
        raise SidecarError(
            f"{source}: FlipAngle must have one value for each of the {scan.n_frames} frames, got {frames}"
        )
    gaps = [] if made_of_events(complete) else [key for key in _REQUIRED if key not in complete]
    if "FlipAngle" in complete and frames is None and not made_of_events(complete):
        gaps.append("FlipAngle with one value for each frame")
    try:
        read_layout(content, scan.n_frames, source)
        sequence = None if gaps else read_sequence(complete, None, source)
    except SidecarError as error:
        # There is no sidecar beside the source yet.
        text = str(error).replace(sidecar_name(source), f"the sidecar of {source}")
        raise SidecarError(text) from error
    if sequence is not None and sequence.n_frames != scan.n_frames:
        raise SidecarError(
            f"{source}: the pulse sequence must have the {scan.n_frames} frames of the scan, got "
            f"{sequence.n_frames}"
        )
    if gaps:
        logger.warning(
            "%s: the sidecar lacks %s, which a reconstruction needs; add them with --sidecar or in MRF.json",
            source,
            ", ".join(gaps),
        )
    return content

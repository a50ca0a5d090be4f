"""Sidecar keys of derivatives: how they were made."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids import __version__
from mri2qmap_bids.dataset.derivatives import relative_path
from mri2qmap_bids.dataset.outputs import BRAIN_DESC, MASK
from mri2qmap_bids.dataset.tissue import t1_limits
from mri2qmap_bids.recon.acquisition.header import ScanHeader
from mri2qmap_bids.recon.methods.registry import method_named, resolved
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.contrasts import Contrast

# Keys of a raw sidecar that hold for the maps as they stand.
_COPIED = (
    "MagneticFieldStrength",
    "Manufacturer",
    "ManufacturersModelName",
    "PulseSequenceType",
    "MRAcquisitionType",
    "ReceiveCoilName",
    "NumberReceiveCoilActiveElements",
    "DeviceSerialNumber",
    "InstitutionName",
)
# BIDS allows one number here, above 0, and the raw train is read from Sources.
_SCALARS = ("RepetitionTimeExcitation", "InversionTime")
# One number or one for each frame.
_TRAINS = ("FlipAngle", "EchoTime")
# Edge of a voxel above which most voxels at the brain's surface are part fluid [mm].
_THICK = 4.0


def describe_maps(
    metadata: Mapping[str, Any],
    header: ScanHeader,
    options: ReconOptions,
    resolution: NDArray[np.float64] | None = None,
    inversion_efficiency: float | None = None,
) -> dict[str, Any]:
    """Sidecar keys that T1, T2 and M0 maps of one scan share.

    Flip angles and echo times are those of every frame, or one number if all are the same. Other
    trains of varying values, and flip angles of which one is 0, are left to the raw sidecar that
    ``Sources`` names, since BIDS does not take them in a map's sidecar.

    Parameters
    ----------
    metadata
        The raw sidecar, inheritance applied.
    header
        Of the raw file.
    options
        How it was reconstructed.
    resolution
        Width of the point spread along the encoded axes ([z,] y, x) [m]; None: not known.
    inversion_efficiency
        Used for the maps, or the median of its map; written if the options have it estimated.
    """
    method = method_named(options.method)
    options_used = asdict(resolved(options))
    parameters = {key: value for key, value in options_used.items() if value is not None}
    settings = {} if method.settings is None else {"settings": asdict(method.settings)}
    numbers = dict(_numbers(parameters | settings))
    keys: dict[str, Any] = {
        "EstimationAlgorithm": "Dictionary matching in the temporal subspace with refinement "
        "between grid points; dictionary by extended phase graphs",
        "EstimationReference": "Ma et al. 2013, doi:10.1038/nature11971",
        "ReconMethodName": method.title,
        "ReconMethodImplementationVersion": __version__,
        "ReconMethodParameterLabels": list(numbers),
        "ReconMethodParameterValues": list(numbers.values()),
        "ReconMethodParameterUnits": ["none"] * len(numbers),
        "MRFReconstruction": parameters | settings,
    }
    if resolution is not None:
        # In mm, as BIDS has lengths in the headers of images, along x, y[, z].
        keys["EffectiveResolution"] = [round(1e3 * float(v), 3) for v in resolution[::-1]]
    if options.inversion_efficiency != "given" and inversion_efficiency is not None:
        keys["MRFInversionEfficiency"] = inversion_efficiency
    keys |= {key: metadata[key] for key in _COPIED if key in metadata}
    if header.field_strength and "MagneticFieldStrength" not in keys:
        keys["MagneticFieldStrength"] = header.field_strength
    for key in _SCALARS:
        value = np.atleast_1d(metadata.get(key, []))
        if value.size and np.ptp(value) == 0 and value[0] > 0:
            keys[key] = float(value[0])
    for key in _TRAINS:
        value = np.atleast_1d(metadata.get(key, []))
        if value.size and (value > 0).all():
            keys[key] = float(value[0]) if np.ptp(value) == 0 else value.tolist()
    return keys


def describe_tissues(entities: Mapping[str, str], field_strength: float) -> dict[str, Any]:
    """Sidecar keys of the tissue classes and of their probabilities: the limits of T1 [s], and what they are worth.

    Parameters
    ----------
    entities
        BIDS entities of the run.
    field_strength
        B0 that the limits are for [T].
    """
    limits = {
        tissue: [round(edge, 4) if np.isfinite(edge) else None for edge in pair]
        for tissue, pair in t1_limits(field_strength).items()
    }
    files = (
        relative_path(entities, "T1map"),
        relative_path(entities, "T1map", desc="std"),
        relative_path(entities, MASK, desc=BRAIN_DESC),
    )
    return {
        "EstimationAlgorithm": "T1 alone, inside desc-brain_mask: classes by the T1Limits, the same for all runs of "
        "this field strength; probabilities for a normal error of T1 with the standard deviation desc-std_T1map. "
        "No neighbours, no anatomy, no partial volume: a voxel of half fluid, half white matter counts as grey matter",
        "EstimationReference": f"Limits at {field_strength:g} T between literature values of T1: Rooney et al. 2007, "
        "doi:10.1002/mrm.21122",
        "T1Limits": limits,
        "Sources": [f"bids::{path}" for path in files],
    }


def describe_contrast(contrast: Contrast, thickness: float = 0.0) -> dict[str, Any]:
    """Sidecar keys of a synthetic weighted image: its signal equation's timing, and what is wrong with it.

    Parameters
    ----------
    contrast
        Timing.
    thickness
        Longest edge of a voxel [mm].
    """
    keys: dict[str, Any] = {
        "PulseSequenceType": contrast.kind.replace("_", " "),
        "EchoTime": contrast.echo_time,
        "RepetitionTimeExcitation": contrast.repetition_time,
    }
    if contrast.kind == "spoiled_gradient_echo":
        keys["FlipAngle"] = float(np.rad2deg(contrast.flip_angle))
    if contrast.kind == "inversion_spin_echo":
        keys["InversionTime"] = contrast.inversion_time
        caution = flair_caution(thickness)
        if caution is not None:
            keys["Description"] = f"FLAIR image synthesised from the quantitative maps. {caution}"
    return keys


def flair_caution(thickness: float) -> str | None:
    """What is wrong with a synthetic FLAIR image of thick voxels; None: they are not thick.

    Parameters
    ----------
    thickness
        Longest edge of a voxel [mm].
    """
    if thickness <= _THICK:
        return None
    return (
        f"Voxels of {thickness:.2g} mm: those that are part fluid, part tissue have one T1 and one T2 between both, "
        "which inversion does not null, so that rims of fluid are bright here and dark in a FLAIR scan"
    )


def _numbers(parameters: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, int | float]]:
    """Label and value of every number; those of the method's settings by their path, ``settings.start.steps``."""
    for key, value in parameters.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield prefix + key, value

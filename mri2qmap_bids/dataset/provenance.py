"""Sidecar keys of derivatives: how they were made."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids import __version__
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
# BIDS allows one number here, and the raw train is read from Sources.
_SCALARS = ("RepetitionTimeExcitation", "EchoTime", "InversionTime")


def describe_maps(
    metadata: Mapping[str, Any],
    header: ScanHeader,
    options: ReconOptions,
    resolution: NDArray[np.float64] | None = None,
    inversion_efficiency: float | None = None,
) -> dict[str, Any]:
    """Sidecar keys that T1, T2 and M0 maps of one scan share.

    Trains of varying values are left to the raw sidecar that ``Sources`` names, since
    BIDS takes these keys as single numbers in a map's sidecar.

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
        Used for the maps; written if the options have it estimated.
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
    if options.inversion_efficiency == "estimate" and inversion_efficiency is not None:
        keys["MRFInversionEfficiency"] = inversion_efficiency
    keys |= {key: metadata[key] for key in _COPIED if key in metadata}
    if header.field_strength and "MagneticFieldStrength" not in keys:
        keys["MagneticFieldStrength"] = header.field_strength
    for key in _SCALARS:
        value = np.atleast_1d(metadata.get(key, []))
        if value.size and np.ptp(value) == 0:
            keys[key] = float(value[0])
    return keys


def describe_contrast(contrast: Contrast) -> dict[str, Any]:
    """Sidecar keys of a synthetic weighted image: its signal equation's timing."""
    keys: dict[str, Any] = {
        "PulseSequenceType": contrast.kind.replace("_", " "),
        "EchoTime": contrast.echo_time,
        "RepetitionTimeExcitation": contrast.repetition_time,
    }
    if contrast.kind == "spoiled_gradient_echo":
        keys["FlipAngle"] = float(np.rad2deg(contrast.flip_angle))
    if contrast.kind == "inversion_spin_echo":
        keys["InversionTime"] = contrast.inversion_time
    return keys


def _numbers(parameters: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, int | float]]:
    """Label and value of every number; those of the method's settings by their path, ``settings.start.steps``."""
    for key, value in parameters.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield prefix + key, value

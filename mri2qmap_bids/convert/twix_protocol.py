"""Protocol of a Siemens measurement: what a conversion needs of the header of twix raw data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_3D = 4  # sKSpace.ucDimension


@dataclass(frozen=True)
class Protocol:
    """The parts of a twix header that a conversion needs, in SI units; nobody's name, no date."""

    fov: tuple[float, float, float]
    """Along read, phase and slice (of the slab in 3D) [m]."""
    matrix: tuple[int, int, int]
    """Voxels along them."""
    dwell_time: float
    """Time between samples [s]; 0: unknown."""
    is_pulseq: bool
    """Whether the sequence was played by Pulseq."""
    coil_names: Mapping[int, str]
    """Name of each receive channel."""
    metadata: Mapping[str, Any]
    """Keys for the sidecar, in the units of BIDS."""


def protocol_of(header: Mapping[str, Any]) -> Protocol:
    """The protocol in a parsed twix header.

    Parameters
    ----------
    header
        Sections ``MeasYaps`` (the protocol), ``Dicom`` and ``Meas``, as twixtools parses them.

    Raises
    ------
    KeyError, IndexError
        If the protocol has no slice or no matrix.
    """
    protocol, dicom = header["MeasYaps"], header.get("Dicom", {})
    slice_, space = protocol["sSliceArray"]["asSlice"][0], protocol["sKSpace"]
    read, phase, thickness = (
        float(slice_[key]) * 1e-3 for key in ("dReadoutFOV", "dPhaseFOV", "dThickness")
    )
    base = int(space["lBaseResolution"])
    is_3d = int(space.get("ucDimension", 2)) == _3D and int(space.get("lPartitions", 1)) > 1
    dwell = protocol.get("sRXSPEC", {}).get("alDwellTime") or [0]
    is_pulseq = "pulseq" in str(protocol.get("tSequenceFileName", "")).lower()
    return Protocol(
        fov=(read, phase, thickness),
        matrix=(base, round(base * phase / read), int(space["lPartitions"]) if is_3d else 1),
        dwell_time=float(dwell[0]) * 1e-9,
        is_pulseq=is_pulseq,
        coil_names=_coil_names(protocol),
        metadata=_metadata(protocol, dicom),
    )


def _metadata(protocol: Mapping[str, Any], dicom: Mapping[str, Any]) -> dict[str, Any]:
    """What BIDS has names for; a list of these keys alone, so that nothing else comes along.

    The protocol's flip angle and times are not those of a train: they are left out.
    """
    nuclei = protocol.get("sTXSPEC", {}).get("asNucleusInfo") or [{}]
    frequency = nuclei[0].get("lFrequency")
    facts = {
        "Manufacturer": dicom.get("Manufacturer"),
        "ManufacturersModelName": dicom.get("ManufacturersModelName"),
        "SoftwareVersions": dicom.get("SoftwareVersions"),
        "MagneticFieldStrength": dicom.get("flMagneticFieldStrength"),
        "ImagingFrequency": frequency and frequency * 1e-6,
    }
    return {key: value for key, value in facts.items() if value}


def _coil_names(protocol: Mapping[str, Any]) -> dict[int, str]:
    """Names of coil elements by the ADC channel that they are connected to."""
    elements = protocol.get("sCoilSelectMeas", {}).get("aRxCoilSelectData")
    elements = elements or protocol.get("asCoilSelectMeas") or [{}]
    names = {}
    for element in elements[0].get("asList") or ():
        if not isinstance(element, Mapping) or "sCoilElementID" not in element:
            continue
        identity = element["sCoilElementID"]
        channel = element.get("lADCChannelConnected", element.get("lRxChannelConnected"))
        if channel is not None:
            coil, name = str(identity.get("tCoilID", "")), str(identity.get("tElement", ""))
            names[int(channel)] = ":".join(part.strip('"') for part in (coil, name) if part)
    return names

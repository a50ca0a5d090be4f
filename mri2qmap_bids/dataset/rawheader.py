"""The XML header of a raw file to write, from quantities in SI units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ismrmrd

_MM, _MS = 1e3, 1e3


@dataclass(frozen=True)
class EncodingSpace:
    """Voxels, and their extent."""

    matrix: tuple[int, ...]
    """Along (z, y, x)."""
    fov: tuple[float, ...]
    """Along (z, y, x) [m]."""


@dataclass(frozen=True)
class RawHeader:
    """Properties of a scan for its ISMRMRD header; none of a person."""

    encoded: EncodingSpace
    """Of k-space; z is the thickness of a 2D slice."""
    recon: EncodingSpace
    """Of the image."""
    trajectory: str
    """cartesian, radial, spiral or other."""
    n_coils: int
    """Number of receive coils."""
    larmor_frequency: int
    """Of hydrogen [Hz]."""
    counters: Mapping[str, int]
    """Number of values of each counter that is used, by its name in ``encodingLimits``."""
    field_strength: float | None = None
    """[T]"""
    vendor: str | None = None
    """Manufacturer of the scanner."""
    model: str | None = None
    """Model of the scanner."""
    coil_names: Sequence[str] = ()
    """Name of each coil."""
    repetition_time: Sequence[float] = ()
    """[s]"""
    echo_time: Sequence[float] = ()
    """[s]"""
    inversion_time: Sequence[float] = ()
    """[s]"""
    flip_angle_deg: Sequence[float] = ()
    """[degree]"""
    sequence_type: str | None = None
    """Name of the type of the pulse sequence."""
    further: Mapping[str, Any] = field(default_factory=dict)
    """Further elements of the header by name, e.g. ``studyInformation``."""


def xml_header(header: RawHeader) -> Any:
    """The header as ``ismrmrd`` writes it: lengths in mm, times in ms."""
    xsd = ismrmrd.xsd
    return xsd.ismrmrdHeader(
        version=1,
        acquisitionSystemInformation=xsd.acquisitionSystemInformationType(
            systemVendor=header.vendor,
            systemModel=header.model,
            systemFieldStrength_T=header.field_strength,
            receiverChannels=header.n_coils,
            coilLabel=[
                xsd.coilLabelType(coilNumber=number, coilName=name)
                for number, name in enumerate(header.coil_names)
            ],
        ),
        experimentalConditions=xsd.experimentalConditionsType(
            H1resonanceFrequency_Hz=header.larmor_frequency
        ),
        encoding=[
            xsd.encodingType(
                encodedSpace=_space(header.encoded),
                reconSpace=_space(header.recon),
                trajectory=xsd.trajectoryType(header.trajectory),
                encodingLimits=xsd.encodingLimitsType(
                    **{name: _limit(count) for name, count in header.counters.items()}
                ),
            )
        ],
        sequenceParameters=xsd.sequenceParametersType(
            TR=_rounded(header.repetition_time, _MS),
            TE=_rounded(header.echo_time, _MS),
            TI=_rounded(header.inversion_time, _MS),
            flipAngle_deg=_rounded(header.flip_angle_deg, 1.0),
            sequence_type=header.sequence_type,
        ),
        **header.further,
    )


def _space(space: EncodingSpace) -> Any:
    xsd = ismrmrd.xsd
    (nz, ny, nx), (z, y, x) = space.matrix, _rounded(space.fov, _MM)
    return xsd.encodingSpaceType(
        matrixSize=xsd.matrixSizeType(x=nx, y=ny, z=nz),
        fieldOfView_mm=xsd.fieldOfViewMm(x=x, y=y, z=z),
    )


def _limit(count: int) -> Any:
    return ismrmrd.xsd.limitType(minimum=0, maximum=count - 1, center=count // 2)


def _rounded(values: Sequence[float], unit: float) -> list[float]:
    """Values in another unit, without digits that come of the conversion."""
    return [round(float(value) * unit, 6) for value in values]

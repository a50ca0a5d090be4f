"""Small ISMRMRD files written acquisition by acquisition, as strange as a test needs them."""

from pathlib import Path

import ismrmrd
import numpy as np


def header_xml(
    matrix=(8, 8, 1), fov=(160.0, 160.0, 5.0), recon_matrix=None, recon_fov=None, **sequence
):
    """An XML header; sizes along (x, y, z) in voxels and mm."""
    xsd = ismrmrd.xsd

    def space(size, extent):
        return xsd.encodingSpaceType(
            matrixSize=xsd.matrixSizeType(x=size[0], y=size[1], z=size[2]),
            fieldOfView_mm=xsd.fieldOfViewMm(x=extent[0], y=extent[1], z=extent[2]),
        )

    encoding = xsd.encodingType(
        encodedSpace=space(matrix, fov),
        reconSpace=space(recon_matrix or matrix, recon_fov or fov),
        encodingLimits=xsd.encodingLimitsType(),
        trajectory=xsd.trajectoryType("other"),
    )
    header = xsd.ismrmrdHeader(
        experimentalConditions=xsd.experimentalConditionsType(H1resonanceFrequency_Hz=123_000_000),
        encoding=[encoding],
        sequenceParameters=xsd.sequenceParametersType(**sequence) if sequence else None,
    )
    return xsd.ToXML(header)


def acquisition(data, trajectory, *, flags=(), position=(0, 0, 0), directions=None, **fields):
    """One readout; ``fields`` are header fields, or counters with the prefix ``idx_``."""
    data = np.asarray(data, np.complex64)
    trajectory = None if trajectory is None else np.asarray(trajectory, np.float32)
    result = ismrmrd.Acquisition.from_array(data, trajectory)
    for flag in flags:
        result.setFlag(flag)
    result.position[:] = position
    for name, vector in zip(
        ("read_dir", "phase_dir", "slice_dir"),
        np.eye(3) if directions is None else directions,
        strict=True,
    ):
        getattr(result, name)[:] = [float(component) for component in vector]
    for name, value in fields.items():
        if name.startswith("idx_"):
            setattr(result.idx, name[4:], value)
        else:
            setattr(result, name, value)
    return result


def write_file(path: Path, acquisitions, xml=None, group="dataset") -> Path:
    """Write the file."""
    with ismrmrd.Dataset(str(path), group) as dataset:
        dataset.write_xml_header(xml or header_xml())
        for item in acquisitions:
            dataset.append_acquisition(item)
    return path


def simple_readouts(n_frames=3, n_coils=2, n_samples=6, n_dim=2, seed=0, **fields):
    """One random readout a frame, its frame in ``idx.contrast``."""
    rng = np.random.default_rng(seed)
    result = []
    for frame in range(n_frames):
        data = rng.standard_normal((n_coils, n_samples)) + 1j * rng.standard_normal(
            (n_coils, n_samples)
        )
        trajectory = rng.uniform(-0.5, 0.5, (n_samples, n_dim))
        result.append(acquisition(data, trajectory, **({"idx_contrast": frame} | fields)))
    return result

"""Converted scans as runs of a dataset: what is read back is what was written."""

import json
from dataclasses import replace

import ismrmrd
import numpy as np
import pytest
import torch

from mri2qmap_bids import RawScan
from mri2qmap_bids.convert import write as module
from mri2qmap_bids.convert.conversion import LONGEST_READOUT, Conversion
from mri2qmap_bids.convert.write import write_conversion, write_raw_file
from mri2qmap_bids.errors import DatasetError, OutputError, SidecarError
from mri2qmap_bids.recon.acquisition.geometry import affine
from mri2qmap_bids.recon.acquisition.layout import ReadLayout
from mri2qmap_bids.recon.acquisition.raw import read_raw

RNG = np.random.default_rng(0)
N_FRAMES, N_ARMS, N = 3, 4, 12
# A turned grid that is not centred, RAS [m].
TURN = np.linalg.qr(RNG.standard_normal((3, 3)))[0]
WORLD = np.eye(4)
WORLD[:3, :3] = TURN * np.sign(np.linalg.det(TURN)) * (0.015, 0.015, 0.005)
WORLD[:3, 3] = 0.01, -0.02, 0.03
ENTITIES = {"sub": "01", "acq": "x"}
LAYOUT = ReadLayout(N_FRAMES, trajectory_units="cycles/fov")


def normal(*shape):
    return RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)


def conversion(n_slices=1, is_3d=False, n_noise=70, **fields):
    """Random samples at random positions that reach the edge of k-space."""
    n_dim = 3 if is_3d else 2
    positions = RNG.uniform(-8, 8, (N_FRAMES, N_ARMS, N, n_dim))
    positions[0, 0, :2] = [[8] * n_dim, [-8] * n_dim]
    lead = (n_slices,) if n_slices > 1 else ()
    scan = RawScan.from_arrays(
        normal(*lead, 2, N_FRAMES, N_ARMS, N),
        positions,
        N_FRAMES,
        (0.24, 0.24, 0.08 if is_3d else 0.005),
        (16, 16, 16) if is_3d else (16, 16),
        trajectory_units="cycles/fov",
        noise=normal(2, n_noise) if n_noise else None,
        affine=WORLD,
    )
    lengths = tuple(np.full(N_FRAMES * N_ARMS, N) for _ in scan.slices)
    return Conversion(scan=scan, readout_lengths=lengths, **fields)


@pytest.mark.parametrize(
    "fields",
    [{}, {"n_slices": 3}, {"is_3d": True}, {"n_noise": 0}, {"n_noise": LONGEST_READOUT + 9}],
    ids=str,
)
def test_what_is_read_back_was_written(tmp_path, fields):
    scan = conversion(**fields, dwell_time=4e-6)
    write_raw_file(tmp_path / "raw.h5", scan, {})
    read, written = read_raw(tmp_path / "raw.h5", LAYOUT), scan.scan
    assert (read.n_frames, read.is_3d) == (written.n_frames, written.is_3d)
    assert read.encoded_fov == pytest.approx(written.encoded_fov)
    assert read.geometry.matrix == written.geometry.matrix
    np.testing.assert_allclose(affine(read.geometry), affine(written.geometry), atol=1e-6)
    for part, source in zip(read.slices, written.slices, strict=True):
        assert torch.equal(part.kspace, source.kspace)
        assert torch.equal(part.frame, source.frame)
        torch.testing.assert_close(part.trajectory, source.trajectory, rtol=1e-6, atol=1e-5)
    if written.noise is None:
        assert read.noise is None
    else:
        assert torch.equal(read.noise, written.noise)


def test_readouts_keep_their_lengths(tmp_path):
    scan = conversion()
    lengths = np.tile([5, N - 5], N_FRAMES * N_ARMS)
    write_raw_file(tmp_path / "raw.h5", replace(scan, readout_lengths=(lengths,)), {})
    with ismrmrd.File(str(tmp_path / "raw.h5"), "r") as file:
        _, *images = file["dataset"].acquisitions[:]
    assert [a.data.shape[1] for a in images] == lengths.tolist()
    assert torch.equal(
        read_raw(tmp_path / "raw.h5", LAYOUT).slices[0].kspace, scan.scan.slices[0].kspace
    )


def test_the_header_has_field_coils_and_times(tmp_path):
    train = {"FlipAngle": [10, 20, 30], "EchoTime": 0.002, "RepetitionTimeExcitation": 0.012}
    scan = conversion(coil_names=("A", "B"), train=train)
    write_raw_file(tmp_path / "raw.h5", scan, {"MagneticFieldStrength": 1.5})
    with ismrmrd.Dataset(str(tmp_path / "raw.h5"), mode="r") as file:
        header = ismrmrd.xsd.CreateFromDocument(file.read_xml_header())
    system, times = header.acquisitionSystemInformation, header.sequenceParameters
    assert (system.systemFieldStrength_T, system.receiverChannels) == (1.5, 2)
    assert [label.coilName for label in system.coilLabel] == ["A", "B"]
    assert header.experimentalConditions.H1resonanceFrequency_Hz == pytest.approx(63.87e6, rel=1e-3)
    assert (times.flipAngle_deg, times.TE, times.TR, times.TI) == ([10, 20, 30], [2], [12], [])


def test_a_run_is_a_raw_file_a_sidecar_and_a_participant(tmp_path):
    path = write_conversion(tmp_path, ENTITIES, conversion(), {"EchoTime": 0.002})
    assert path == tmp_path / "sub-01" / "anat" / "sub-01_acq-x_MRF.h5"
    assert json.loads(path.with_suffix(".json").read_text()) == {"EchoTime": 0.002}
    assert (tmp_path / "participants.tsv").read_text() == "participant_id\nsub-01\n"


def test_no_raw_file_is_without_its_sidecar(tmp_path, monkeypatch):
    def fail(*_):
        raise OutputError("no space")

    monkeypatch.setattr(module, "write_json", fail)
    with pytest.raises(OutputError, match="no space"):
        write_conversion(tmp_path, ENTITIES, conversion(), {})
    assert not list(tmp_path.rglob("sub-*.*"))
    assert not list(tmp_path.rglob(".tmp*"))


def test_tables_that_cannot_be_read_stay_and_no_run_is_added(tmp_path):
    (tmp_path / "participants.tsv").write_text("name\nx\n")
    with pytest.raises(DatasetError, match="must have a column participant_id"):
        write_conversion(tmp_path, ENTITIES, conversion(), {})
    assert (tmp_path / "participants.tsv").read_text() == "name\nx\n"
    assert not list(tmp_path.rglob("*_MRF.*"))


@pytest.mark.parametrize("key", ["ImagingFrequency", "MagneticFieldStrength"])
@pytest.mark.parametrize("value", [[123.25], "123.25", True, -1, 123.25e6, float("nan")], ids=str)
def test_numbers_of_the_sidecar_are_checked_before_anything_is_written(tmp_path, key, value):
    dataset = tmp_path / "bids"
    with pytest.raises(
        SidecarError, match=rf"--sidecar\): {key} must be a number from 0 to"
    ) as error:
        write_conversion(dataset, ENTITIES, conversion(), {key: value})
    assert str(error.value).endswith(f"got {value!r}")
    assert not dataset.exists()


def test_the_header_has_the_frequency_of_the_sidecar(tmp_path):
    write_raw_file(tmp_path / "raw.h5", conversion(), {"ImagingFrequency": 123.25})
    with ismrmrd.Dataset(str(tmp_path / "raw.h5"), mode="r") as file:
        header = ismrmrd.xsd.CreateFromDocument(file.read_xml_header())
    assert header.experimentalConditions.H1resonanceFrequency_Hz == 123250000

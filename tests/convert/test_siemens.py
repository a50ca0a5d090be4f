"""Twix files to runs: samples, geometry, noise, coils, and no trace of a person."""

import json
import os
from pathlib import Path

import ismrmrd
import numpy as np
import pytest
import torch
from helpers.twix import PERSON, block, header_bytes, write_twix
from scipy.spatial.transform import Rotation

from mri2qmap_bids import tools
from mri2qmap_bids.convert.siemens import head_of
from mri2qmap_bids.recon.acquisition.geometry import affine
from mri2qmap_bids.recon.acquisition.layout import ReadLayout
from mri2qmap_bids.recon.acquisition.raw import read_raw
from mri2qmap_bids.recon.encoding.forward import Encoding, adjoint

twixtools = pytest.importorskip("twixtools")

SCANS = Path(os.environ.get("MRI2QMAP_TWIX_DIR", Path(__file__).parents[3] / "shared/data/raw"))
RUN = "sub-01/anat/sub-01_MRF"
MARKER = np.array([20.0, -40.0, 0.0])  # mm along read and phase encoding
TURN = Rotation.from_euler("xyz", [20, -10, 35], degrees=True)
POSITION = np.array([5.0, -12.0, 30.0])


def convert(source, dataset, *words):
    return tools.main(
        ["convert", "siemens", str(source), str(dataset), "--participant-label", "01", *words]
    )


def lines(n_frames=2, oversampling=2, turn=TURN, sign=+1, **counters):
    """Readouts of one point at MARKER, s(k) = exp(sign 2 pi i k r), with the frame in the counter Rep."""
    x, y, z, w = turn.as_quat()
    n = 8 * oversampling
    kx, made = (np.arange(n) - n // 2) / (160.0 * oversampling), []
    for frame in range(n_frames):
        for line in range(8):
            phase = kx * MARKER[0] + (line - 4) / 160.0 * MARKER[1]
            samples = (frame + 1) * np.exp(sign * 2j * np.pi * phase) * np.array([[1], [2j]])
            made.append(
                block(
                    samples,
                    quaternion=(w, x, y, z),
                    position=POSITION,
                    Lin=line,
                    **{"Rep": frame, **counters},
                )
            )
    return made


def image(scan, frame):
    """The adjoint of one frame, coil by coil, shape (coil, y, x)."""
    part, size = scan.slices[0], scan.geometry.voxel_size[1:]
    selected = part.frame == frame
    omega = (2 * torch.pi * part.trajectory[selected].flip(1) * torch.tensor(size)).float()
    encoding = Encoding(
        omega=omega,
        frame=torch.zeros(len(omega), dtype=torch.long),
        basis=torch.ones(1, 1),
        coils=torch.ones(1, *scan.geometry.matrix[1:], dtype=torch.complex64),
    )
    images = [adjoint(encoding, coil[None])[0].numpy() for coil in part.kspace[:, selected]]
    return np.stack(images) / len(omega)


@pytest.mark.parametrize("oversampling", [1, 2])
@pytest.mark.parametrize("is_pulseq", [False, True])
def test_a_point_is_where_it_was(tmp_path, oversampling, is_pulseq):
    changes = {"tSequenceFileName": '"%CustomerSeq%\\pulseq"'} if is_pulseq else {}
    blocks = lines(oversampling=oversampling, sign=-1 if is_pulseq else +1)
    source = write_twix(tmp_path / "scan.dat", [(header_bytes(**changes), blocks)])
    assert convert(source, tmp_path / "bids", "--frame-counter", "repetition") == 0
    scan = read_raw(tmp_path / "bids" / f"{RUN}.h5", ReadLayout(n_frames=2))
    assert scan.encoded_fov == pytest.approx((0.004, 0.16, 0.16))
    assert len(scan.slices[0].frame) == 2 * 8 * 8
    _, y, x = np.unravel_index(np.abs(image(scan, 0)).argmax(), (2, 8, 8))
    world = affine(scan.geometry) @ (x, y, 0, 1)
    columns = TURN.as_matrix()  # phase, read, slice; LPS
    expected = POSITION + columns[:, 1] * MARKER[0] + columns[:, 0] * MARKER[1]
    assert np.allclose(world[:3] * (-1e3, -1e3, 1e3), expected, atol=1e-3)
    assert np.allclose(np.abs(image(scan, 1)).max((1, 2)), (2, 4), rtol=1e-3)


def test_noise_coil_names_and_times_come_along(tmp_path):
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2, 64)) + 1j * rng.standard_normal((2, 64))
    early = (
        header_bytes(**{"sRXSPEC.alDwellTime[0]": 2500}),
        [block(noise, flags=["NOISEADJSCAN"])],
    )
    source = write_twix(tmp_path / "scan.dat", [early, (header_bytes(), lines())])
    assert convert(source, tmp_path / "bids", "--frame-counter", "repetition") == 0
    scan = read_raw(tmp_path / "bids" / f"{RUN}.h5", ReadLayout(n_frames=2))
    # 2.5 us of the noise scan against 5 us of the scan, twice as long without oversampling.
    assert np.allclose(scan.noise, noise * 0.5, rtol=1e-5)
    sidecar = json.loads((tmp_path / "bids" / f"{RUN}.json").read_text())
    assert sidecar["DwellTime"] == pytest.approx(10e-6)
    assert not {"FlipAngle", "EchoTime"} & set(
        sidecar
    )  # those of a protocol are not those of a train
    assert sidecar["MagneticFieldStrength"] == 2.89362
    with ismrmrd.Dataset(str(tmp_path / "bids" / f"{RUN}.h5"), mode="r") as file:
        header = ismrmrd.xsd.CreateFromDocument(file.read_xml_header())
    names = [label.coilName for label in header.acquisitionSystemInformation.coilLabel]
    assert names == ["Head:H2", "Head:H1"]


def test_noise_keeps_its_level_relative_to_samples_without_oversampling(tmp_path):
    rng = np.random.default_rng(1)

    def white(n):
        return rng.standard_normal((2, n)) + 1j * rng.standard_normal((2, n))

    blocks = [block(white(16), Lin=n % 8, Rep=n // 8) for n in range(8 * 40)]
    blocks += [block(white(4000), flags=["NOISEADJSCAN"])]
    source = write_twix(tmp_path / "scan.dat", [(header_bytes(), blocks)])
    assert convert(source, tmp_path / "bids", "--frame-counter", "repetition") == 0
    scan = read_raw(tmp_path / "bids" / f"{RUN}.h5", ReadLayout(n_frames=40))
    assert float(scan.slices[0].kspace.std() / scan.noise.std()) == pytest.approx(1, rel=0.05)


def test_no_trace_of_a_person_is_left(tmp_path):
    source = write_twix(tmp_path / "Jane^Doe.dat", [(header_bytes(), lines())])
    assert all(word.encode() in source.read_bytes() for word in PERSON)
    assert convert(source, tmp_path / "bids", "--frame-counter", "repetition") == 0
    files = [path for path in (tmp_path / "bids").rglob("*") if path.is_file()]
    assert len(files) == 7
    for path in files:
        assert not any(word.encode() in path.read_bytes() for word in PERSON), path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--frame-counter", "repetition", "--frames", "3"), "as the train, 3, got 2"),
        (
            ("--frame-counter", "order", "--frames", "3"),
            "must be a multiple of the 3 frames, got 16",
        ),
        (("--frame-counter", "order"), "must be given by --frames"),
        (
            ("--matrix", "4", "4"),
            "line numbers of Cartesian readouts must be below the matrix size 4",
        ),
        (("--trajectory", "absent.npy"), "absent.npy: must be a file"),
    ],
)
def test_what_does_not_fit_leaves_nothing_behind(tmp_path, capsys, words, message):
    source = write_twix(tmp_path / "scan.dat", [(header_bytes(), lines())])
    assert convert(source, tmp_path / "bids", *words) > 0
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "bids").exists()


def test_a_truncated_file_leaves_nothing_behind(tmp_path, capsys):
    path = write_twix(tmp_path / "scan.dat", [(header_bytes(), lines())])
    path.write_bytes(path.read_bytes()[:-6000])
    assert convert(path, tmp_path / "bids") == 1
    assert "scan.dat: must be a complete Siemens twix file" in capsys.readouterr().err
    assert not (tmp_path / "bids").exists()


def test_a_trajectory_of_its_own_by_frame_and_arm(tmp_path, capsys):
    positions = np.random.default_rng(0).uniform(-4, 4, (2, 8, 16, 2))
    np.save(tmp_path / "k.npy", positions)
    source = write_twix(tmp_path / "scan.dat", [(header_bytes(), lines())])
    words = ("--trajectory", str(tmp_path / "k.npy"), "--frame-counter", "repetition")
    assert convert(source, tmp_path / "bids", *words, "--trajectory-units", "cycles/fov") == 0
    scan = read_raw(tmp_path / "bids" / f"{RUN}.h5", ReadLayout(n_frames=2))
    assert np.allclose(scan.slices[0].trajectory, -positions.reshape(-1, 2) / 0.16, atol=1e-4)
    assert convert(source, tmp_path / "other", *words, "--trajectory-units", "rad/pixel") == 1
    assert "cycles/fov would fit" in capsys.readouterr().err
    np.save(tmp_path / "k.npy", positions[:, :7])
    assert convert(source, tmp_path / "other", *words) == 1
    assert "k.npy: the trajectory must have the shape" in capsys.readouterr().err


def test_directions_are_the_columns_of_the_rotation():
    made = block(np.ones((1, 4)), quaternion=np.roll(TURN.as_quat(), 1), position=POSITION)
    head = head_of(made.mdh.SliceData)
    columns = np.stack([head["phase_dir"], head["read_dir"], head["slice_dir"]], axis=1)
    assert np.allclose(columns, TURN.as_matrix(), atol=1e-6)
    assert np.allclose(head["position"], POSITION)


@pytest.mark.skipif(not SCANS.is_dir(), reason="the scans are not here")
@pytest.mark.parametrize(
    ("name", "words", "n_frames", "flip"),
    [
        ("2024-02-06-164128", ("--matrix", "128"), 1, False),
        ("2024-02-06-164120", ("--matrix", "128"), 1, False),
        # Its lines are labelled for the scanner's reconstruction, which counts against the direction.
        ("pulseq/01_GRE_example", (), 1, True),
        (
            "pulseq/02_GRE_3echoes",
            (
                "--matrix",
                "256",
                "--frame-counter",
                "order",
                "--frames",
                "3",
                "--line-counter",
                "order",
            ),
            3,
            False,
        ),
    ],
)
def test_scans_equal_their_fourier_transform(tmp_path, name, words, n_frames, flip):
    source = SCANS / f"{name}.dat"
    assert convert(source, tmp_path / "bids", *words) == 0
    scan = read_raw(tmp_path / "bids" / f"{RUN}.h5", ReadLayout(n_frames=n_frames))
    blocks = twixtools.read_twix(str(source), verbose=False, parse_pmu=False)[-1]["mdb"]
    samples = np.stack([part.data for part in blocks if part.is_image_scan()])
    for frame in range(n_frames):
        kspace = np.fft.ifftshift(samples[frame::n_frames].transpose(1, 0, 2), axes=(1, 2))
        known = np.fft.fftshift(np.fft.ifft2(kspace), axes=(1, 2))
        known = np.roll(known[:, ::-1], 1, axis=1) if flip else known
        assert np.linalg.norm(image(scan, frame) - known) < 1e-3 * np.linalg.norm(known)
    # The back of the head and the filled part of a bottle lie below: the phase index counts to posterior.
    assert (affine(scan.geometry)[:3, 1] / scan.geometry.voxel_size[1])[1] < -0.9

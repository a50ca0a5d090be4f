"""ISMRMRD files of other converters to runs: counters, lines without trajectory, oversampling, noise, identity."""

import json

import ismrmrd
import numpy as np
import pytest
from helpers.rawfile import acquisition, header_xml, simple_readouts, write_file

from mri2qmap_bids import tools
from mri2qmap_bids.recon.acquisition.geometry import affine
from mri2qmap_bids.recon.acquisition.layout import ReadLayout
from mri2qmap_bids.recon.acquisition.raw import read_raw
from mri2qmap_bids.recon.acquisition.table import read_table

RUN = "sub-01/anat/sub-01_MRF"
DIRECTIONS = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]])
POSITION = (5.0, -7.0, 11.0)
PRIVATE = (
    "Jane^Doe",
    "PID4711",
    "1.2.840.99",
    "General^Hospital",
    "claustrophobic",
    "2024-05-06",
)


def convert(source, dataset, *words):
    return tools.main(
        ["convert", "ismrmrd", str(source), str(dataset), "--participant-label", "01", *words]
    )


def lines(counter="repetition", first=0, step=1, oversampling=2, reverse=()):
    """Every line of two frames of a random image, as product converters write them."""
    rng = np.random.default_rng(0)
    frames = rng.standard_normal((2, 2, 8, 8)) + 1j * rng.standard_normal((2, 2, 8, 8))
    n = 8 * oversampling
    padded = np.zeros((2, 2, 8, n), complex)
    padded[..., n // 2 - 4 : n // 2 + 4] = frames
    shifted = np.fft.ifftshift(padded, axes=(2, 3))
    kspace = np.fft.fftshift(np.fft.fft2(shifted), axes=(2, 3))
    made = []
    for frame in range(2):
        for line in range(8):
            samples = kspace[frame, :, line]
            turned = line in reverse
            made.append(
                acquisition(
                    samples[:, ::-1] if turned else samples,
                    None,
                    flags=[ismrmrd.ACQ_IS_REVERSE] if turned else [],
                    position=POSITION,
                    directions=DIRECTIONS,
                    center_sample=n // 2,
                    sample_time_us=5.0,
                    idx_kspace_encode_step_1=line,
                    **{f"idx_{counter}": first + step * frame},
                )
            )
    return made, frames


def lines_xml(oversampling=2):
    return header_xml(
        matrix=(8 * oversampling, 8, 1),
        fov=(160.0 * oversampling, 160.0, 5.0),
        recon_matrix=(8, 8, 1),
        recon_fov=(160.0, 160.0, 5.0),
    )


def images(scan):
    """Discrete Fourier transform at the positions, frame by frame, shape (frame, coil, y, x)."""
    part = scan.slices[0]
    size = np.array(scan.geometry.voxel_size[:0:-1])
    y, x = np.mgrid[:8, :8] - 4
    phase = part.trajectory.numpy() * size @ np.stack([x.ravel(), y.ravel()])
    result = []
    for frame in range(scan.n_frames):
        here = part.frame.numpy() == frame
        result.append(part.kspace.numpy()[:, here] @ np.exp(2j * np.pi * phase[here]) / here.sum())
    return np.stack(result).reshape(scan.n_frames, -1, 8, 8)


@pytest.mark.parametrize("counter", ["repetition", "set", "phase", "segment", "contrast"])
def test_any_counter_may_hold_the_frame_from_any_number_on(tmp_path, counter):
    made, known = lines(counter, first=3)
    source = write_file(tmp_path / "foreign.h5", made, lines_xml())
    assert convert(source, tmp_path / "bids", "--frame-counter", counter) == 0
    scan = read_raw(tmp_path / "bids" / f"{RUN}.h5", ReadLayout(n_frames=2))
    assert np.allclose(images(scan), known, atol=1e-4)


@pytest.mark.parametrize("oversampling", [1, 2, 4])
def test_lines_without_oversampling_are_the_image(tmp_path, oversampling):
    made, known = lines(oversampling=oversampling)
    source = write_file(tmp_path / "foreign.h5", made, lines_xml(oversampling))
    assert convert(source, tmp_path / "bids", "--frame-counter", "repetition") == 0
    scan = read_raw(tmp_path / "bids" / f"{RUN}.h5", ReadLayout(n_frames=2))
    assert len(scan.slices[0].frame) == 2 * 64
    assert scan.encoded_fov == pytest.approx((0.005, 0.16, 0.16))
    assert np.allclose(images(scan), known, atol=1e-4)
    world = affine(scan.geometry) @ (4, 4, 0, 1)
    assert np.allclose(world[:3] * (-1e3, -1e3, 1e3), POSITION)
    assert np.allclose(scan.geometry.read_dir, DIRECTIONS[0])


def test_trajectories_counters_and_noise_of_the_file_are_kept(tmp_path):
    made = simple_readouts(n_frames=3, sample_time_us=4.0)
    noise = acquisition(
        np.ones((2, 50)), None, flags=[ismrmrd.ACQ_IS_NOISE_MEASUREMENT], sample_time_us=1.0
    )
    calibration = acquisition(
        np.ones((2, 6)), np.zeros((6, 2)), flags=[ismrmrd.ACQ_IS_PARALLEL_CALIBRATION]
    )
    source = write_file(tmp_path / "foreign.h5", [noise, calibration, *made])
    assert convert(source, tmp_path / "bids") == 0
    scan, known = (
        read_raw(path, ReadLayout(n_frames=3, trajectory_units=units))
        for path, units in (
            (tmp_path / "bids" / f"{RUN}.h5", "cycles/fov"),
            (source, "cycles/pixel"),
        )
    )
    assert np.allclose(scan.slices[0].kspace, known.slices[0].kspace)
    assert np.allclose(scan.slices[0].trajectory, known.slices[0].trajectory, rtol=1e-5)
    assert np.array_equal(scan.slices[0].frame, known.slices[0].frame)
    assert np.allclose(scan.noise, known.noise)


def test_noise_may_lie_in_a_group_of_its_own(tmp_path):
    """As converters of Siemens files write it: the noise scan is a measurement before the image."""
    noise = acquisition(
        np.ones((2, 50)), None, flags=[ismrmrd.ACQ_IS_NOISE_MEASUREMENT], sample_time_us=1.0
    )
    source = write_file(tmp_path / "foreign.h5", [noise], group="dataset_1")
    write_file(source, simple_readouts(n_frames=3, sample_time_us=4.0), group="dataset_2")
    assert convert(source, tmp_path / "bids") == 0
    scan = read_raw(tmp_path / "bids" / f"{RUN}.h5", ReadLayout(3, trajectory_units="cycles/fov"))
    np.testing.assert_allclose(scan.noise, np.full((2, 50), 0.5))


def test_the_centre_of_lines_is_that_of_their_own_encoding(tmp_path):
    made, known = lines()
    xsd = ismrmrd.xsd
    header = xsd.CreateFromDocument(lines_xml())
    header.encoding = [xsd.CreateFromDocument(lines_xml()).encoding[0] for _ in range(2)]
    for encoding, centre in zip(header.encoding, (2, 4), strict=True):
        encoding.encodingLimits.kspace_encoding_step_1 = xsd.limitType(
            minimum=0, maximum=7, center=centre
        )
    for line in made:
        line.encoding_space_ref = 1
    source = write_file(tmp_path / "foreign.h5", made, xsd.ToXML(header))
    assert convert(source, tmp_path / "bids", "--frame-counter", "repetition") == 0
    scan = read_raw(tmp_path / "bids" / f"{RUN}.h5", ReadLayout(n_frames=2))
    assert np.allclose(images(scan), known, atol=1e-4)


def test_partitions_that_the_header_does_not_have_are_refused(tmp_path, capsys):
    source = write_file(tmp_path / "foreign.h5", simple_readouts(n_frames=3, n_dim=3))
    assert convert(source, tmp_path / "bids") == 1
    assert "matrixSize z must be the number of partitions" in capsys.readouterr().err


def test_samples_to_discard_are_gone(tmp_path):
    made = simple_readouts(n_frames=2, n_samples=9, discard_pre=2, discard_post=1)
    source = write_file(tmp_path / "foreign.h5", made)
    assert convert(source, tmp_path / "bids") == 0
    scan = read_raw(tmp_path / "bids" / f"{RUN}.h5", ReadLayout(n_frames=2))
    assert np.allclose(scan.slices[0].kspace[:, :6], made[0].data[:, 2:8])


def test_reversed_lines_are_turned_round(tmp_path):
    made, known = lines(oversampling=1, reverse=(1, 3, 5, 7))
    source = write_file(tmp_path / "foreign.h5", made, lines_xml(1))
    assert convert(source, tmp_path / "bids", "--frame-counter", "repetition") == 0
    scan = read_raw(tmp_path / "bids" / f"{RUN}.h5", ReadLayout(n_frames=2))
    assert np.allclose(images(scan), known, atol=1e-4)


def test_timing_of_the_header_stays_there_for_any_sidecar_to_outweigh(tmp_path):
    xml = header_xml(TR=[12.0], TE=[2.0], TI=[20.0], flipAngle_deg=[10.0, 20.0, 30.0])
    source = write_file(tmp_path / "foreign.h5", simple_readouts(n_frames=3), xml)
    assert convert(source, tmp_path / "bids") == 0
    sidecar = json.loads((tmp_path / "bids" / f"{RUN}.json").read_text())
    assert not {"FlipAngle", "RepetitionTimeExcitation", "EchoTime"} & set(sidecar)
    header, known = (
        read_table(path).headers[0] for path in (tmp_path / "bids" / f"{RUN}.h5", source)
    )
    for name in ("flip_angle", "repetition_time", "echo_time", "inversion_time"):
        assert getattr(header, name) == pytest.approx(getattr(known, name)), name


@pytest.mark.parametrize(("protocol", "turned"), [("gre", True), ("pulseq", False)])
def test_lines_of_siemens_count_against_its_directions(tmp_path, protocol, turned):
    xsd = ismrmrd.xsd
    header = xsd.CreateFromDocument(lines_xml())
    header.acquisitionSystemInformation = xsd.acquisitionSystemInformationType(
        systemVendor="SIEMENS"
    )
    header.measurementInformation = xsd.measurementInformationType(
        patientPosition=xsd.patientPositionType("HFS"), protocolName=protocol
    )
    made, known = lines()
    source = write_file(tmp_path / "foreign.h5", made, xsd.ToXML(header))
    assert convert(source, tmp_path / "bids", "--frame-counter", "repetition") == 0
    scan = read_raw(tmp_path / "bids" / f"{RUN}.h5", ReadLayout(n_frames=2))
    expected = np.roll(known[..., ::-1, ::-1], (1, 1), axis=(2, 3)) if turned else known
    assert np.allclose(images(scan), expected, atol=1e-4)


def test_no_trace_of_a_person_is_left(tmp_path):
    xsd = ismrmrd.xsd
    header = xsd.CreateFromDocument(header_xml())
    name, patient, uid, place, comment, date = PRIVATE
    header.subjectInformation = xsd.subjectInformationType(patientName=name, patientID=patient)
    header.studyInformation = xsd.studyInformationType(
        studyInstanceUID=uid, studyDescription=comment, studyID=patient
    )
    header.acquisitionSystemInformation = xsd.acquisitionSystemInformationType(
        institutionName=place, deviceSerialNumber=patient, stationName=place
    )
    header.measurementInformation = xsd.measurementInformationType(
        patientPosition=xsd.patientPositionType("HFS"),
        protocolName=comment,
        seriesInstanceUIDRoot=uid,
    )
    header.userParameters = xsd.userParametersType(
        userParameterString=[xsd.userParameterStringType(name="scanned", value=date)]
    )
    made = simple_readouts(n_frames=2, acquisition_time_stamp=36061, measurement_uid=815)
    source = write_file(tmp_path / "foreign.h5", made, xsd.ToXML(header))
    words = [word.encode() for word in PRIVATE]
    assert all(word in source.read_bytes() for word in words)
    assert convert(source, tmp_path / "bids") == 0
    for path in (tmp_path / "bids").rglob("*.*"):
        assert path.is_dir() or not any(word in path.read_bytes() for word in words), path
    with ismrmrd.Dataset(str(tmp_path / "bids" / f"{RUN}.h5"), mode="r") as file:
        heads = [file.read_acquisition(number) for number in range(2)]
    assert not any(head.acquisition_time_stamp or head.measurement_uid for head in heads)


@pytest.mark.parametrize(
    ("made", "words", "message"),
    [
        (lines(step=2)[0], ("--frame-counter", "repetition"), "must have no gap between frames"),
        (
            lines()[0],
            ("--frames", "2"),
            "as the train, 2, got 1 (numbers of each counter: repetition 2",
        ),
        (
            lines()[0],
            ("--frame-counter", "repetition", "--matrix", "8", "4"),
            "below the matrix size 4",
        ),
        (
            [*simple_readouts(), *lines(oversampling=1)[0]],
            (),
            "all or no imaging acquisitions must carry a trajectory",
        ),
    ],
)
def test_what_does_not_fit_leaves_nothing_behind(tmp_path, capsys, made, words, message):
    source = write_file(tmp_path / "foreign.h5", made, lines_xml())
    assert convert(source, tmp_path / "bids", *words) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "foreign.h5" in error
    assert not (tmp_path / "bids").exists()

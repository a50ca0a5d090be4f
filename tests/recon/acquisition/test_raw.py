"""ISMRMRD files, ordinary and strange, against what was put into them."""

import ismrmrd
import numpy as np
import pytest
import torch
from helpers.rawfile import acquisition, header_xml, simple_readouts, write_file

from mri2qmap_bids.errors import RawDataError
from mri2qmap_bids.recon.acquisition.counters import FRAME_COUNTERS
from mri2qmap_bids.recon.acquisition.layout import ReadLayout
from mri2qmap_bids.recon.acquisition.lines import image_lines
from mri2qmap_bids.recon.acquisition.raw import read_raw, read_samples
from mri2qmap_bids.recon.acquisition.table import read_table

THREE = ReadLayout(n_frames=3)


def test_samples_positions_and_frames_are_those_in_the_file(tmp_path):
    readouts = simple_readouts()
    scan = read_raw(write_file(tmp_path / "x.h5", readouts), THREE)
    (part,) = scan.slices
    assert np.array_equal(part.kspace.numpy(), np.concatenate([r.data for r in readouts], axis=1))
    assert part.frame.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    # 8 pixels over 0.16 m: one cycle per pixel is 50 cycles per metre.
    stored = np.concatenate([r.traj for r in readouts])
    assert np.allclose(part.trajectory.numpy(), 50 * stored, rtol=1e-6)
    assert scan.noise is None
    assert not scan.is_3d


@pytest.mark.parametrize(
    ("units", "factor", "told"),
    [("cycles/pixel", 1.0, True), ("cycles/fov", 8.0, True), ("rad/pixel", 2 * np.pi, False)],
)
def test_trajectory_units_are_told_by_magnitude_or_by_name(tmp_path, units, factor, told):
    plain = read_raw(write_file(tmp_path / "a.h5", simple_readouts()), THREE)
    scaled = simple_readouts()
    for readout in scaled:
        readout.traj[:] = readout.traj * factor
    path = write_file(tmp_path / "b.h5", scaled)
    named = read_raw(path, ReadLayout(3, trajectory_units=units))
    assert torch.allclose(named.slices[0].trajectory, plain.slices[0].trajectory, rtol=1e-5)
    if told:
        assert torch.allclose(
            read_raw(path, THREE).slices[0].trajectory, plain.slices[0].trajectory
        )


def test_trajectory_in_no_known_unit_is_refused(tmp_path):
    readouts = simple_readouts()
    for readout in readouts:
        readout.traj[:] = 100 * readout.traj
    with pytest.raises(RawDataError, match=r"x\.h5.*MRFTrajectoryUnits"):
        read_raw(write_file(tmp_path / "x.h5", readouts), THREE)


def test_each_axis_is_scaled_by_its_own_field_of_view(tmp_path):
    xml = header_xml(matrix=(8, 16, 4), fov=(160.0, 240.0, 100.0))
    readouts = simple_readouts(n_dim=3)
    scan = read_raw(write_file(tmp_path / "x.h5", readouts, xml), THREE)
    stored = np.concatenate([r.traj for r in readouts])
    expected = stored / np.array([0.160 / 8, 0.240 / 16, 0.100 / 4])
    assert scan.is_3d
    assert np.allclose(scan.slices[0].trajectory.numpy(), expected, rtol=1e-5)
    assert scan.geometry.matrix == (4, 16, 8)
    assert scan.geometry.voxel_size == pytest.approx((0.025, 0.015, 0.02))


@pytest.mark.parametrize("counter", [c for c in FRAME_COUNTERS if c != "order"])
def test_frames_come_from_the_named_counter(tmp_path, counter):
    readouts = simple_readouts(idx_contrast=0)
    for frame, readout in enumerate(readouts):
        setattr(readout.idx, counter, 2 - frame)
    scan = read_raw(write_file(tmp_path / "x.h5", readouts), ReadLayout(3, frame_counter=counter))
    assert scan.slices[0].frame[::6].tolist() == [2, 1, 0]


def test_frames_by_order_repeat_the_train(tmp_path):
    readouts = simple_readouts(6, idx_contrast=0)
    noise = acquisition(np.ones((2, 4)), None, flags=[ismrmrd.ACQ_IS_NOISE_MEASUREMENT])
    path = write_file(tmp_path / "x.h5", [noise, *readouts])
    scan = read_raw(path, ReadLayout(3, frame_counter="order"))
    assert scan.slices[0].frame[::6].tolist() == [0, 1, 2, 0, 1, 2]
    with pytest.raises(RawDataError, match="multiple of the 4 frames"):
        read_raw(path, ReadLayout(4, frame_counter="order"))


@pytest.mark.parametrize("n_frames", [2, 4])
def test_frames_that_disagree_with_the_train_are_refused(tmp_path, n_frames):
    path = write_file(tmp_path / "x.h5", simple_readouts(3))
    with pytest.raises(RawDataError, match=f"got 3 frames from 0 to 2 and {n_frames} flip angles"):
        read_raw(path, ReadLayout(n_frames))


def spiral_out(n_samples=32):
    radius = np.linspace(0, 0.5, n_samples)
    positions = np.stack([radius * np.cos(20 * radius), radius * np.sin(20 * radius)], axis=1)
    return np.exp(-100 * radius**2)[None].repeat(2, 0) * np.exp(3j * radius), positions


@pytest.mark.parametrize("trajectory_reversed", [False, True])
def test_reversed_readouts_meet_their_positions(tmp_path, trajectory_reversed):
    data, positions = spiral_out()
    plain = [acquisition(data, positions, idx_contrast=n) for n in range(3)]
    stored = positions[::-1] if trajectory_reversed else positions
    mixed = [
        plain[0],
        acquisition(data[:, ::-1], stored, flags=[ismrmrd.ACQ_IS_REVERSE], idx_contrast=1),
        plain[2],
    ]
    expected = read_raw(write_file(tmp_path / "a.h5", plain), THREE).slices[0]
    found = read_raw(write_file(tmp_path / "b.h5", mixed), THREE).slices[0]

    def pairs(part):
        return {
            (round(float(x), 3), round(float(y), 3)): complex(s)
            for (x, y), s in zip(part.trajectory[32:64], part.kspace[0, 32:64], strict=True)
        }

    assert pairs(found) == pytest.approx(pairs(expected))


def test_symmetric_reversed_readouts_are_flipped(tmp_path):
    line = np.stack([np.linspace(-0.5, 0.5, 16), np.linspace(-0.5, 0.5, 16)], axis=1)
    data = np.arange(16)[None] + 1j
    readouts = [
        acquisition(data, line, idx_contrast=0),
        acquisition(data[:, ::-1], line, idx_contrast=1, flags=[ismrmrd.ACQ_IS_REVERSE]),
    ]
    samples = read_raw(write_file(tmp_path / "x.h5", readouts), ReadLayout(2)).slices[0]
    assert torch.equal(samples.kspace[:, 16:].flip(1), samples.kspace[:, :16])
    assert torch.equal(samples.trajectory[16:].flip(0), samples.trajectory[:16])


def test_reversed_readouts_are_timed_and_delayed_like_others(tmp_path):
    """A gradient that lags by 0.8 samples shifts the positions in order of time, whichever way a readout goes."""
    n, centre, delay, dwell = 64, 20, 0.8, 5e-6
    steps = np.arange(n) - centre
    line = np.stack([steps / 90, steps / 90], axis=1)
    data = np.exp(-((steps / 10) ** 2))[None] + 0j
    readouts = [
        acquisition(data, line, idx_contrast=0, sample_time_us=5.0),
        acquisition(
            data[:, ::-1], line, idx_contrast=1, sample_time_us=5.0, flags=[ismrmrd.ACQ_IS_REVERSE]
        ),
    ]
    path = write_file(tmp_path / "x.h5", readouts)
    layout = ReadLayout(2, gradient_delay=(delay * dwell, delay * dwell))
    timed = read_samples(image_lines(read_table(path), ReadLayout(2)), timed=True).slices[0]
    late = read_raw(path, layout).slices[0]
    nearest = torch.linalg.vector_norm(timed.trajectory, dim=1) == 0
    assert timed.time[nearest].tolist() == [0, 0]
    assert (timed.time[1:] > timed.time[:-1]).sum() == 2 * (n - 1)
    shift = (late.trajectory - timed.trajectory).view(2, n, 2)[:, 1:-1]
    step = timed.trajectory[1] - timed.trajectory[0]
    torch.testing.assert_close(shift[0], -delay * step.expand(n - 2, 2), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(shift[1], delay * step.expand(n - 2, 2), rtol=1e-3, atol=1e-6)


def test_noise_scan_is_kept_apart_and_scaled_to_the_imaging_bandwidth(tmp_path):
    noise = acquisition(
        np.full((2, 5), 1 + 1j), None, flags=[ismrmrd.ACQ_IS_NOISE_MEASUREMENT], sample_time_us=8.0
    )
    readouts = simple_readouts(sample_time_us=2.0)
    scan = read_raw(write_file(tmp_path / "x.h5", [noise, *readouts]), THREE)
    # A four times shorter dwell time has four times the bandwidth and twice the noise.
    assert torch.allclose(scan.noise, torch.full((2, 5), 2 + 2j))
    assert scan.slices[0].kspace.shape == (2, 18)


def test_slices_are_ordered_along_the_slice_direction(tmp_path):
    heights = {0: 10.0, 1: -2.0, 2: 4.0}
    readouts = [
        readout
        for number, height in heights.items()
        for readout in simple_readouts(seed=number, idx_slice=number, position=(1, 2, height))
    ]
    scan = read_raw(write_file(tmp_path / "x.h5", readouts), THREE)
    expected = [simple_readouts(seed=number)[0].data[0, 0] for number in (1, 2, 0)]
    assert [complex(part.kspace[0, 0]) for part in scan.slices] == pytest.approx(expected)
    assert scan.geometry.matrix == (3, 8, 8)
    assert scan.geometry.voxel_size[0] == pytest.approx(0.006)
    assert np.allclose(scan.geometry.position, [0.001, 0.002, 0.004])


def test_uneven_slices_are_refused(tmp_path):
    readouts = [
        readout
        for number, height in enumerate((0.0, 5.0, 12.0))
        for readout in simple_readouts(idx_slice=number, position=(0, 0, height))
    ]
    with pytest.raises(RawDataError, match="equally spaced"):
        read_raw(write_file(tmp_path / "x.h5", readouts), THREE)


def test_directions_must_be_orthogonal(tmp_path):
    readouts = simple_readouts(directions=[(1, 0, 0), (0.7, 0.7, 0), (0, 0, 1)])
    with pytest.raises(RawDataError, match="orthogonal"):
        read_raw(write_file(tmp_path / "x.h5", readouts), THREE)


@pytest.mark.parametrize(("n_dim", "is_3d"), [(0, False), (2, True)])
def test_missing_trajectory_components_are_refused(tmp_path, n_dim, is_3d):
    readouts = simple_readouts(n_dim=2)
    if n_dim == 0:
        readouts = [acquisition(r.data, None, idx_contrast=n) for n, r in enumerate(readouts)]
    with pytest.raises(RawDataError, match="must carry"):
        read_raw(write_file(tmp_path / "x.h5", readouts), ReadLayout(3, is_3d=is_3d))


def test_files_that_are_not_ismrmrd_are_refused(tmp_path):
    import h5py

    text = tmp_path / "text.h5"
    text.write_text("not HDF5")
    empty = tmp_path / "empty.h5"
    h5py.File(empty, "w").close()
    whole = write_file(tmp_path / "whole.h5", simple_readouts(50))
    truncated = tmp_path / "truncated.h5"
    truncated.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    dangling = tmp_path / "dangling.h5"
    dangling.symlink_to(tmp_path / "nowhere")
    for path, words in (
        (text, "must be a complete ISMRMRD"),
        (empty, "must hold an ISMRMRD group"),
        (truncated, "must be a complete ISMRMRD"),
        (tmp_path / "missing.h5", "no such file"),
        (dangling, "datalad get"),
    ):
        with pytest.raises(RawDataError, match=words) as caught:
            read_raw(path, THREE)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_file_without_imaging_data_is_refused(tmp_path):
    noise = acquisition(np.ones((2, 5)), None, flags=[ismrmrd.ACQ_IS_NOISE_MEASUREMENT])
    with pytest.raises(RawDataError, match="imaging acquisitions, got none"):
        read_raw(write_file(tmp_path / "x.h5", [noise]), THREE)


def test_header_times_are_in_seconds(tmp_path):
    xml = header_xml(TR=[12.0], TE=[2.0], TI=[20.0], flipAngle_deg=[5.0, 10.0])
    (header,) = read_table(write_file(tmp_path / "x.h5", simple_readouts(), xml)).headers
    assert header.repetition_time == pytest.approx((0.012,))
    assert header.echo_time == pytest.approx((0.002,))
    assert header.inversion_time == pytest.approx((0.02,))
    assert header.flip_angle == (5.0, 10.0)
    assert header.encoded_fov == pytest.approx((0.16, 0.16, 0.005))

"""Raw files of the simulator, read as any others are."""

import ismrmrd
import numpy as np
import pytest
import torch

from mri2qmap_bids.recon.acquisition.layout import ReadLayout
from mri2qmap_bids.recon.acquisition.raw import read_raw
from mri2qmap_bids.simulate.acquire import Acquired
from mri2qmap_bids.simulate.grid import make_geometry
from mri2qmap_bids.simulate.rawfile import RawFileOptions, write_raw_file
from mri2qmap_bids.simulate.sequences import make_sequence
from mri2qmap_bids.simulate.trajectory import make_trajectory

N_FRAMES, N_COILS = 3, 2
SEQUENCE = make_sequence("FISP", N_FRAMES)


def case(n_slices=2, is_3d=False):
    """Random samples on a radial trajectory."""
    matrix = (6, 8, 8) if is_3d else (n_slices, 8, 8)
    centre = np.array([0.01, 0.02, 0.03])
    geometry = make_geometry(matrix, (4e-3, 2e-3, 3e-3), centre, (0.1, 0.2, 0.3))
    trajectory = make_trajectory("radial", matrix[::-1] if is_3d else (8, 8), N_FRAMES, 4.0)
    n_arms, n_samples = trajectory.positions.shape[1:3]
    rng = np.random.default_rng(0)
    shape = (1 if is_3d else n_slices, N_FRAMES, n_arms, N_COILS, n_samples)
    kspace = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)
    noise = rng.standard_normal((N_COILS, 50)).astype(np.complex64)
    return Acquired(kspace, trajectory, noise, np.eye(N_COILS)), geometry


def raw_file(path, acquired, geometry, **options):
    write_raw_file(path, acquired, SEQUENCE, geometry, RawFileOptions(**options))
    return path


@pytest.mark.parametrize("units", ["cycles/fov", "cycles/pixel", "rad/pixel"])
@pytest.mark.parametrize("is_3d", [False, True])
def test_samples_positions_noise_and_grid_come_back(tmp_path, units, is_3d):
    acquired, geometry = case(is_3d=is_3d)
    path = raw_file(tmp_path / "x.h5", acquired, geometry, trajectory_units=units)
    scan = read_raw(path, ReadLayout(N_FRAMES, trajectory_units=units))
    assert scan.is_3d == is_3d and scan.geometry.matrix == geometry.matrix
    assert np.allclose(scan.geometry.voxel_size, geometry.voxel_size)
    assert np.allclose(scan.geometry.position, geometry.position, atol=1e-6)
    assert np.allclose(scan.geometry.slice_dir, geometry.slice_dir, atol=1e-6)
    assert torch.allclose(scan.noise, torch.from_numpy(acquired.noise))
    fov = np.array(geometry.matrix[::-1]) * geometry.voxel_size[::-1]
    n_dims = 3 if is_3d else 2
    for part, kspace in zip(scan.slices, acquired.kspace, strict=True):
        # In the file arm by arm, and in each arm frame by frame.
        expected = np.moveaxis(kspace, 2, 0).swapaxes(1, 2).reshape(N_COILS, -1)
        assert np.array_equal(part.kspace.numpy(), expected)
        positions = acquired.trajectory.positions.swapaxes(0, 1).reshape(-1, n_dims)
        assert np.allclose(part.trajectory.numpy(), positions / fov[:n_dims], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("counter", ["repetition", "set", "order"])
def test_frames_are_found_by_their_counter(tmp_path, counter):
    acquired, geometry = case(n_slices=1)
    path = raw_file(tmp_path / "x.h5", acquired, geometry, frame_counter=counter)
    plain = raw_file(tmp_path / "y.h5", acquired, geometry)
    scan = read_raw(path, ReadLayout(N_FRAMES, frame_counter=counter))
    assert torch.equal(scan.slices[0].frame, read_raw(plain, ReadLayout(N_FRAMES)).slices[0].frame)


def test_samples_to_discard_do_not_come_back(tmp_path):
    acquired, geometry = case(n_slices=1)
    path = raw_file(tmp_path / "x.h5", acquired, geometry, discard_pre=3, discard_post=2)
    plain = raw_file(tmp_path / "y.h5", acquired, geometry)
    one, other = (read_raw(p, ReadLayout(N_FRAMES)).slices[0] for p in (path, plain))
    assert torch.equal(one.kspace, other.kspace) and torch.equal(one.trajectory, other.trajectory)


def test_the_last_acquisition_says_so_and_all_are_counted(tmp_path):
    acquired, geometry = case()
    with ismrmrd.File(str(raw_file(tmp_path / "x.h5", acquired, geometry)), "r") as file:
        acquisitions = list(file["dataset"].acquisitions[:])
    flags = [a.is_flag_set(ismrmrd.ACQ_LAST_IN_MEASUREMENT) for a in acquisitions]
    assert flags == [False] * (len(flags) - 1) + [True]
    assert [a.scan_counter for a in acquisitions] == list(range(len(acquisitions)))

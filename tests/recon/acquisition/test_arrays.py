"""Arrays to a scan: shapes, units, frames, geometry; and the same maps as by way of a file."""

import nibabel as nib
import numpy as np
import pytest
import torch
from helpers.trains import train

from mri2qmap_bids import PulseSequence, RawScan, ReconOptions, reconstruct, save_nifti
from mri2qmap_bids.recon.acquisition.geometry import affine
from mri2qmap_bids.recon.acquisition.layout import ReadLayout
from mri2qmap_bids.recon.acquisition.raw import read_raw
from mri2qmap_bids.simulate.rawfile import RawFileOptions, write_raw_file
from mri2qmap_bids.simulate.scan import ScanOptions, simulate_scan

FOV = (0.24, 0.24, 0.005)
COILS, FRAMES, ARMS, SAMPLES = 3, 4, 2, 5
RNG = np.random.default_rng(0)
KSPACE = (
    RNG.standard_normal((COILS, FRAMES, ARMS, SAMPLES, 2)).astype(np.float32).view(np.complex64)
)[..., 0]
TRAJECTORY = RNG.uniform(-8, 8, (FRAMES, ARMS, SAMPLES, 2)).astype(np.float32)
FRAME = np.repeat(np.arange(FRAMES), ARMS * SAMPLES)


def scan_of(kspace=KSPACE, trajectory=TRAJECTORY, frames=FRAMES, **changes):
    settings = {"fov": FOV, "matrix": 16, "trajectory_units": "cycles/fov", **changes}
    return RawScan.from_arrays(kspace, trajectory, frames, **settings)


def assert_same(scan, other):
    for part, same in zip(scan.slices, other.slices, strict=True):
        assert torch.equal(part.kspace, same.kspace)
        assert torch.allclose(part.trajectory, same.trajectory, rtol=1e-5)
        assert torch.equal(part.frame, same.frame)
    assert scan.n_frames == other.n_frames
    assert np.allclose(affine(scan.geometry), affine(other.geometry), atol=1e-9)


def test_every_shape_is_the_same_scan():
    whole = scan_of()
    flat_kspace, flat_positions = KSPACE.reshape(COILS, -1), TRAJECTORY.reshape(-1, 2)
    assert_same(scan_of(frames=None), whole)
    assert_same(scan_of(flat_kspace, flat_positions, FRAME), whole)
    assert_same(scan_of(torch.from_numpy(KSPACE), torch.from_numpy(TRAJECTORY)), whole)
    assert_same(scan_of(flat_kspace, flat_positions, torch.from_numpy(FRAME)), whole)
    assert_same(
        scan_of(KSPACE.reshape(COILS, FRAMES, -1), TRAJECTORY.reshape(FRAMES, -1, 2)), whole
    )
    assert_same(scan_of(trajectory=TRAJECTORY[..., 0] + 1j * TRAJECTORY[..., 1]), whole)


def test_positions_without_the_frames_are_those_of_all_frames():
    repeated = np.repeat(TRAJECTORY[:1], FRAMES, axis=0)
    assert_same(scan_of(trajectory=TRAJECTORY[0]), scan_of(trajectory=repeated))


def test_every_unit_is_the_same_scan():
    fov, pixel = np.array(FOV[:2]), np.array(FOV[:2]) / 16
    metres = TRAJECTORY / fov
    for units, positions in {
        "cycles/m": metres,
        "rad/m": 2 * np.pi * metres,
        "cycles/pixel": metres * pixel,
        "rad/pixel": 2 * np.pi * metres * pixel,
    }.items():
        assert_same(scan_of(trajectory=positions, trajectory_units=units), scan_of())


def test_the_affine_is_that_of_the_maps():
    turn = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
    world = np.eye(4)
    world[:3, :3] = turn * (0.015, 0.015, 0.007)
    world[:3, 3] = 0.01, -0.02, 0.03
    scan = scan_of(affine=world)
    assert np.allclose(affine(scan.geometry), world)
    assert scan.geometry.voxel_size == pytest.approx((0.007, 0.015, 0.015))


def test_slices_and_a_volume():
    pair = scan_of(np.stack([KSPACE, 2 * KSPACE]), matrix=(16, 16, 2))
    assert [float(part.kspace.abs().max()) for part in pair.slices] == pytest.approx(
        [np.abs(KSPACE).max(), 2 * np.abs(KSPACE).max()]
    )
    assert pair.geometry.matrix == (2, 16, 16)
    solid = np.concatenate([TRAJECTORY, TRAJECTORY[..., :1]], axis=-1)
    volume = scan_of(trajectory=solid, fov=0.24, matrix=(16, 16, 16))
    assert volume.is_3d
    assert volume.geometry.voxel_size == pytest.approx((0.015,) * 3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kspace": KSPACE[0, 0, 0]}, "kspace must have the axes"),
        ({"frames": 5}, "frames must be the number of frames in kspace, 4"),
        ({"trajectory": TRAJECTORY[:, :, :3]}, "trajectory must have the shape"),
        ({"trajectory": TRAJECTORY[..., 0]}, "2 or 3 components"),
        ({"trajectory_units": "pixels"}, "trajectory_units must be one of"),
        ({"trajectory_units": "cycles/pixel"}, "cycles/fov would fit"),
        ({"trajectory_units": "rad/m"}, "must cover at least 10 % of k-space (it covers 1 %)"),
        ({"fov": 0.24}, "thickness of a slice"),
        ({"fov": (240, 240, 5)}, "is it in mm"),
        ({"fov": (0.24, 0.24), "affine": np.diag([15.0, 15.0, 5.0, 1.0])}, "is it in mm"),
        ({"affine": np.diag([15.0, 15.0, 5.0, 1.0])}, "is it in mm"),
        ({"affine": np.eye(3)}, "shape (4, 4)"),
        ({"matrix": (16, 16, 3)}, "as many slices as kspace"),
        ({"matrix": 0}, "matrix must be"),
        ({"noise": np.ones((2, 9), complex)}, "3 coils as kspace"),
        ({"noise": np.full((3, 9), np.nan + 0j)}, "noise must be finite"),
        ({"noise": np.ones((3, 9))}, "noise must be complex numbers"),
        ({"kspace": np.abs(KSPACE)}, "kspace must be complex numbers, got float32"),
        (
            {"kspace": KSPACE.astype(np.complex128) * 1e60},
            "kspace in single precision must be finite",
        ),
        ({"matrix": 16.5}, "matrix must be whole numbers, got 16.5"),
        ({"frames": FRAMES + 0.4}, "frames must be whole numbers"),
        ({"affine": np.full((4, 4), np.nan)}, "affine must be finite"),
        ({"kspace": np.full_like(KSPACE, np.nan)}, "kspace must be finite"),
        (
            {"kspace": KSPACE.reshape(COILS, -1), "trajectory": TRAJECTORY.reshape(-1, 2)},
            "the frame of each of the 40 samples",
        ),
        (
            {
                "kspace": KSPACE.reshape(COILS, -1),
                "trajectory": TRAJECTORY.reshape(-1, 2),
                "frames": 2 * FRAME,
            },
            "without a gap",
        ),
    ],
)
def test_what_does_not_fit_is_named(changes, words):
    with pytest.raises(ValueError, match=r".") as caught:
        scan_of(**changes)
    assert words in str(caught.value)


def test_sequences_are_those_of_the_fields():
    frame = train(n_frames=20)
    for kind, build in (("FISP", PulseSequence.fisp), ("bSSFP", PulseSequence.bssfp)):
        known = train(kind, n_frames=20)
        built = build(np.rad2deg(frame.flip_angle), known.repetition_time[0], known.echo_time, 0.02)
        assert built.kind == kind
        assert built.inversion_time == 0.02
        for name in ("flip_angle", "repetition_time", "echo_time", "rf_phase"):
            assert np.allclose(getattr(built, name), getattr(known, name)), name


def test_arrays_give_the_maps_of_the_file(tmp_path):
    sequence = train(n_frames=40)
    options = ScanOptions(sequence, matrix=(24, 24), n_coils=3, acceleration=2.0)
    simulated = simulate_scan(options, 1, 2)
    write_raw_file(
        tmp_path / "scan.h5", simulated.acquired, sequence, simulated.geometry, RawFileOptions()
    )
    file = read_raw(tmp_path / "scan.h5", ReadLayout(n_frames=40))
    geometry, acquired = simulated.geometry, simulated.acquired
    scan = RawScan.from_arrays(
        acquired.kspace[0].transpose(2, 0, 1, 3),
        acquired.trajectory.positions,
        40,
        fov=[n * size for n, size in zip((24, 24, 1), geometry.voxel_size[::-1], strict=True)],
        matrix=24,
        trajectory_units="cycles/fov",
        noise=acquired.noise,
        affine=affine(geometry),
    )
    quick = ReconOptions(method="subspace", device="cpu", grid_step=0.1)
    maps, known = (reconstruct(each, sequence, quick) for each in (scan, file))
    assert np.array_equal(maps.mask, known.mask)
    inside = maps.mask
    # The order of sums differs with the order of samples in the file.
    assert np.abs(maps.t1 / known.t1 - 1)[inside].max() < 0.02
    assert np.median(np.abs(maps.t2 / known.t2 - 1)[inside]) < 1e-3
    files = save_nifti(maps, tmp_path / "maps")
    t1 = nib.load(tmp_path / "maps/T1map.nii.gz")
    assert tmp_path / "maps/T1map.nii.gz" in files
    assert np.allclose(t1.affine[:3], 1e3 * affine(geometry)[:3])
    assert np.allclose(np.asarray(t1.dataobj).T, np.where(inside, maps.t1, 0))

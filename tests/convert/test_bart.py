"""BART's files to runs."""

import numpy as np
import pytest

from mri2qmap_bids import tools
from mri2qmap_bids.convert.bart import read_cfl
from mri2qmap_bids.recon.acquisition.layout import ReadLayout
from mri2qmap_bids.recon.acquisition.raw import read_raw

RNG = np.random.default_rng(0)
COILS, FRAMES, ARMS, SAMPLES = 2, 3, 4, 5
KSPACE = RNG.standard_normal((SAMPLES, ARMS, COILS, FRAMES, 2)) @ [1, 1j]
TRAJECTORY = RNG.uniform(-8, 8, (2, SAMPLES, ARMS, FRAMES))
WORDS = ("--participant-label", "01", "--fov", "240", "240", "5", "--matrix", "16")


def write(path, array):
    path.with_suffix(".hdr").write_text("# Dimensions\n" + " ".join(map(str, array.shape)) + "\n")
    np.asarray(array, np.complex64).ravel(order="F").tofile(path.with_suffix(".cfl"))
    return str(path)


def trio(folder, axis=5):
    """K-space, trajectory and noise with frames along an axis."""
    middle = (1,) * (axis - 4)
    kspace = KSPACE.reshape(1, SAMPLES, ARMS, COILS, *middle, FRAMES)
    solid = np.concatenate([TRAJECTORY, np.zeros_like(TRAJECTORY[:1])])
    trajectory = solid.reshape(3, SAMPLES, ARMS, 1, *middle, FRAMES)
    noise = RNG.standard_normal((1, 50, 1, COILS))
    return [
        write(folder / name, array)
        for name, array in (("ksp", kspace), ("traj", trajectory), ("noise", noise))
    ]


@pytest.mark.parametrize("axis", [5, 10])
def test_what_is_read_back_went_in(tmp_path, axis):
    assert (
        tools.main(["convert", "bart", *trio(tmp_path, axis), str(tmp_path / "bids"), *WORDS]) == 0
    )
    scan = read_raw(tmp_path / "bids/sub-01/anat/sub-01_MRF.h5", ReadLayout(n_frames=FRAMES))
    part = scan.slices[0]
    assert np.allclose(part.kspace, KSPACE.transpose(2, 3, 1, 0).reshape(COILS, -1))
    assert np.allclose(
        part.trajectory, TRAJECTORY.transpose(3, 2, 1, 0).reshape(-1, 2) / 0.24, rtol=1e-5
    )
    assert np.array_equal(part.frame, np.repeat(np.arange(FRAMES), ARMS * SAMPLES))
    assert scan.noise.shape == (COILS, 50)
    assert scan.geometry.voxel_size == pytest.approx((0.005, 0.015, 0.015))


def test_what_does_not_fit_leaves_nothing_behind(tmp_path, capsys):
    names, target = trio(tmp_path), str(tmp_path / "bids")
    assert tools.main(["convert", "bart", *names[:2], target, *WORDS[:2]]) == 64
    assert "--fov must be given" in capsys.readouterr().err
    assert tools.main(["convert", "bart", names[0], target, *WORDS]) == 64
    assert "got 1 files" in capsys.readouterr().err
    assert tools.main(["convert", "bart", names[0], names[2], target, *WORDS]) == 1
    assert "noise: trajectory must have length 1 along BART's axis 3" in capsys.readouterr().err
    numbers = tmp_path / "ksp.cfl"
    numbers.write_bytes(numbers.read_bytes()[:-8])
    assert tools.main(["convert", "bart", *names, target, *WORDS]) == 1
    assert "ksp.cfl: must hold the 120 values" in capsys.readouterr().err
    assert tools.main(["convert", "bart", "absent", names[1], target, *WORDS]) == 66
    assert not (tmp_path / "bids").exists()


@pytest.mark.parametrize("coils", [1, 2 * COILS])
def test_noise_of_other_coils_is_refused(tmp_path, capsys, coils):
    names, target = trio(tmp_path), str(tmp_path / "bids")
    write(tmp_path / "noise", RNG.standard_normal((1, 50, 1, coils)))
    assert tools.main(["convert", "bart", *names, target, *WORDS]) == 1
    rule = f"noise: noise must have the 2 coils of the k-space along BART's axis 3, got {coils}"
    assert rule in capsys.readouterr().err
    assert not (tmp_path / "bids").exists()


def test_numbers_are_in_the_order_of_fortran(tmp_path):
    array = np.arange(6, dtype=np.complex64).reshape(2, 3)
    write(tmp_path / "a", array)
    assert np.array_equal(read_cfl(tmp_path / "a.cfl"), array)

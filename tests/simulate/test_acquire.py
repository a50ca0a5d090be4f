"""The simulated receiver: the sum it computes, its coils and its noise."""

import numpy as np
import pytest

from mri2qmap_bids.recon.physics import epg
from mri2qmap_bids.simulate.acquire import N_STATES, acquire, encode
from mri2qmap_bids.simulate.coils import coil_maps
from mri2qmap_bids.simulate.phantom import make_brain
from mri2qmap_bids.simulate.sequences import make_sequence
from mri2qmap_bids.simulate.trajectory import Trajectory, make_trajectory

N_FRAMES = 5


def _case(shape, n_dims, kind="FISP"):
    """A box of random tissue, three random coils and a trajectory."""
    rng = np.random.default_rng(4)
    t1 = rng.uniform(0.5, 2.0, shape)
    m0 = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    labels = (rng.uniform(size=shape) < 0.6).astype(np.uint8)
    brain = make_brain(t1, t1 * rng.uniform(0.05, 0.4, shape), m0, labels, (1e-3,) * 3)
    maps = rng.normal(size=(3, *shape, 2)).astype(np.float32).view(np.complex64)[..., 0]
    trajectory = make_trajectory("spiral", shape[::-1][:n_dims], N_FRAMES, 3.0)
    return brain, make_sequence(kind, N_FRAMES), trajectory, maps


def _slow_transform(image, positions):
    """Sum over all voxels, one exponential each; components x, y[, z], origin floor(n / 2)."""
    axes = [(np.arange(n) - n // 2) / n for n in image.shape]
    grid = np.meshgrid(*axes, indexing="ij")[::-1]
    phase = sum(np.multiply.outer(positions[:, i], grid[i]) for i in range(image.ndim))
    return (np.exp(-2j * np.pi * phase) * image).sum(axis=tuple(range(1, 1 + image.ndim)))


@pytest.mark.parametrize("kind", ["FISP", "bSSFP"])
@pytest.mark.parametrize(("shape", "n_dims"), [((2, 7, 6), 2), ((5, 6, 7), 3)])
def test_samples_equal_the_slow_sum(shape, n_dims, kind):
    import torch

    brain, sequence, trajectory, maps = _case(shape, n_dims, kind)
    kspace = encode(brain, sequence, trajectory, maps)
    mask = brain.labels > 0
    signals = epg.simulate(
        sequence,
        torch.from_numpy(brain.t1[mask]),
        torch.from_numpy(brain.t2[mask]),
        n_states=N_STATES,
    ).numpy()
    for frame in (0, N_FRAMES - 1):
        image = np.zeros((3, *shape), dtype=complex)
        image[:, mask] = (maps * brain.m0)[:, mask] * signals[:, frame]
        for coil in range(3):
            volumes = image[coil] if n_dims == 2 else image[coil][None]
            for index, volume in enumerate(volumes):
                slow = _slow_transform(volume, trajectory.positions[frame, 0].astype(float))
                fast = kspace[index, frame, 0, coil]
                np.testing.assert_allclose(fast, slow, atol=2e-5 * np.abs(slow).max())


def test_centre_of_kspace_is_the_sum_of_the_image():
    brain, sequence, _, maps = _case((4, 4, 5), 3)
    centre = Trajectory("radial", np.zeros((N_FRAMES, 1, 1, 3), dtype=np.float32), 1)
    ones = np.ones_like(maps[:1])
    kspace = encode(brain, sequence, centre, ones)[0, :, 0, 0, 0]
    import torch

    mask = brain.labels > 0
    signals = epg.simulate(
        sequence, torch.from_numpy(brain.t1[mask]), torch.from_numpy(brain.t2[mask]), n_states=200
    ).numpy()
    np.testing.assert_allclose(kspace, brain.m0[mask] @ signals, rtol=1e-4)


def test_transmit_field_changes_the_signal_as_the_flip_angle_does():
    brain, sequence, trajectory, maps = _case((1, 6, 6), 2)
    weaker = make_sequence("FISP", N_FRAMES, flip_angle=0.8 * sequence.flip_angle)
    field = np.full(brain.t1.shape, 0.8, dtype=np.float32)
    np.testing.assert_allclose(
        encode(brain, sequence, trajectory, maps, field),
        encode(brain, weaker, trajectory, maps),
        atol=1e-4,
    )


def test_noise_scan_has_the_covariance_of_the_noise():
    brain, sequence, trajectory, maps = _case((8, 12, 12), 2)
    clean = encode(brain, sequence, trajectory, maps)
    noisy = acquire(brain, sequence, trajectory, maps, noise=0.5, seed=3)
    level = 0.5 * np.sqrt(np.mean(np.abs(clean) ** 2))
    covariance = noisy.noise_covariance
    scan = noisy.noise @ noisy.noise.conj().T / noisy.noise.shape[1]
    added = np.moveaxis(noisy.kspace - clean, 3, 0).reshape(3, -1)
    added = added @ added.conj().T / added.shape[1]
    assert np.trace(covariance).real / 3 == pytest.approx(level**2, rel=1e-5)
    for measured in (scan, added):
        assert np.abs(measured - covariance).max() < 0.1 * np.abs(covariance).max()
    assert np.abs(covariance[0, 1]) > 0.02 * level**2


def test_seeds_repeat_and_differ():
    case = _case((1, 6, 6), 2)
    first, again, other = (acquire(*case, noise=0.1, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.kspace, again.kspace)
    assert np.abs(first.kspace - other.kspace).max() > 0
    assert acquire(*case, noise=0.0, seed=1).noise is None


def _correlation_of_neighbours(matrix, is_3d, radius):
    """Mean over coils, within the disc of 80 % of the field of view."""
    maps = coil_maps(matrix, is_3d, 8, seed=0, radius=radius)
    y, x = ((np.arange(n) - n / 2) / (n / 2) for n in matrix[1:])
    values = maps[:, :, np.hypot(y[:, None], x) < 0.8].reshape(8, -1)
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    return np.abs((unit.conj() * np.roll(unit, 1, axis=0)).sum(axis=1)).mean()


@pytest.mark.parametrize(("matrix", "is_3d"), [((1, 24, 24), False), ((12, 12, 12), True)])
def test_farther_coils_overlap_more(matrix, is_3d):
    overlaps = [_correlation_of_neighbours(matrix, is_3d, r) for r in (1.05, 1.25, 2.0, 10.0)]
    assert (np.diff(overlaps) > 0).all() and overlaps[-1] > 0.99
    default = coil_maps(matrix, is_3d, 8, seed=0)
    np.testing.assert_array_equal(default, coil_maps(matrix, is_3d, 8, seed=0, radius=1.25))


def test_coils_overlap_as_the_documentation_says():
    overlaps = [_correlation_of_neighbours((1, 96, 96), False, r) for r in (1.05, 1.25, 2.0)]
    np.testing.assert_allclose(overlaps, [0.83, 0.90, 0.97], atol=0.006)


@pytest.mark.parametrize(("matrix", "is_3d"), [((20, 36, 36), True), ((3, 36, 32), False)])
def test_coil_maps_are_smooth_and_cover_the_field_of_view(matrix, is_3d):
    maps = coil_maps(matrix, is_3d, 8, seed=0)
    assert maps.shape == (8, *matrix) and maps.dtype == np.complex64
    np.testing.assert_allclose((np.abs(maps) ** 2).sum(axis=0), 1, rtol=1e-4)
    inside = maps[..., 9:-9, 9:-9]
    assert np.abs(np.diff(inside, axis=-1)).max() < 0.15
    assert np.abs(np.corrcoef(inside.reshape(8, -1)) - np.eye(8)).max() < 0.98
    if not is_3d:
        np.testing.assert_array_equal(maps[:, 0], maps[:, -1])


def test_off_resonance_is_the_slow_sum_with_its_phase():
    """Every voxel's term turns by -2 pi f t; t = 0 at the centre of k-space."""
    import torch

    brain, sequence, trajectory, maps = _case((2, 7, 6), 2)
    field = np.random.default_rng(1).uniform(-100, 150, brain.t1.shape).astype(np.float32)
    kspace = encode(brain, sequence, trajectory, maps, 1.0, field, 1e-4)
    mask = brain.labels > 0
    t1, t2 = (torch.from_numpy(values[mask]) for values in (brain.t1, brain.t2))
    signals = epg.simulate(sequence, t1, t2, n_states=N_STATES).numpy()
    image = np.zeros((3, *mask.shape), dtype=complex)
    image[:, mask] = (maps * brain.m0)[:, mask] * signals[:, 1]
    positions = trajectory.positions[1, 0].astype(float)
    centre = int(np.linalg.norm(positions, axis=1).argmin())
    for number in (0, 1):
        slow = np.array(
            [
                _slow_transform(
                    image[2, number] * np.exp(-2j * np.pi * field[number] * 1e-4 * (j - centre)),
                    position[None],
                )[0]
                for j, position in enumerate(positions)
            ]
        )
        np.testing.assert_allclose(kspace[number, 1, 0, 2], slow, atol=2e-5 * np.abs(slow).max())

"""One simulated scan: known maps in, k-space out, by an encoding path of its own.

Nothing here is shared with the reconstruction but the fingerprints: every frame's
image is formed in full and sent through a non-uniform Fourier transform.
"""

from dataclasses import dataclass

import finufft
import numpy as np
import torch
from numpy.typing import NDArray

from mri2qmap_bids.recon.physics import epg
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence
from mri2qmap_bids.simulate.fields import generator
from mri2qmap_bids.simulate.phantom import DigitalBrain
from mri2qmap_bids.simulate.trajectory import Trajectory

N_STATES = 200
"""Configuration orders: twice those of the reconstruction."""
# In double precision this oversampling reaches the tolerance too, at half the cost of 2.
_TOLERANCE, _OVERSAMPLING = 1e-6, 1.25
_B1_STEP = 0.005
_N_NOISE_SAMPLES = 4096
_NOISE_MIXING = 0.25


@dataclass(frozen=True, eq=False)
class Acquired:
    """What the receiver gave."""

    kspace: NDArray[np.complex64]
    """Samples, shape (slice, frame, arm, coil, sample); one slice in 3D."""
    trajectory: Trajectory
    """Where they lie."""
    noise: NDArray[np.complex64] | None
    """Samples without signal, shape (coil, sample); None: noise-free."""
    noise_covariance: NDArray[np.complex128] | None
    """E[n n^H] of every sample, shape (coil, coil); None: noise-free."""


def acquire(
    brain: DigitalBrain,
    sequence: PulseSequence,
    trajectory: Trajectory,
    coil_maps: NDArray[np.complex64],
    noise: float,
    seed: int,
    b1: NDArray[np.float32] | float = 1.0,
    off_resonance: NDArray[np.float32] | None = None,
    dwell_time: float = 0.0,
) -> Acquired:
    """Scan a digital brain.

    s(k) = sum over r of S(r) m0(r) d_t(r) exp(-2 pi i k . r) + n, where d_t is the
    fingerprint of the voxel in frame t, k is in cycles per field of view, r runs over
    (index - floor(n / 2)) / n, and n is Gaussian, correlated between coils. Off-resonance f multiplies
    each voxel's term by exp(-2 pi i f(r) t), t = 0 at the sample next to the centre of k-space.

    Parameters
    ----------
    brain
        The known maps; in 2D each of its slices is scanned alone.
    sequence
        The train.
    trajectory
        Sample positions; two components mean 2D.
    coil_maps
        Sensitivities, shape (coil, z, y, x).
    noise
        Standard deviation of the complex noise relative to the root mean square
        of all signal samples; 0: none.
    seed
        Of the noise.
    b1
        Transmit field relative to nominal, scalar or shape (z, y, x).
    off_resonance
        Frequency [Hz], shape (z, y, x), of 2D slices; None: none.
    dwell_time
        Time between samples [s], with off-resonance.

    Returns
    -------
    The samples.
    """
    signal = encode(brain, sequence, trajectory, coil_maps, b1, off_resonance, dwell_time)
    if noise == 0.0:
        return Acquired(signal, trajectory, None, None)
    rng = generator(seed, "noise")
    level = noise * float(np.sqrt(np.mean(np.abs(signal) ** 2)))
    factor = level * _noise_factor(len(coil_maps), rng)
    for index in range(len(signal)):
        # One slice at a time bounds the memory; einsum leaves the thread pools alone.
        signal[index] += np.einsum("ij,tajs->tais", factor, _white(signal[index].shape, rng))
    scan = factor @ _white((len(coil_maps), _N_NOISE_SAMPLES), rng)
    return Acquired(signal, trajectory, scan.astype(np.complex64), factor @ factor.conj().T)


def encode(
    brain: DigitalBrain,
    sequence: PulseSequence,
    trajectory: Trajectory,
    coil_maps: NDArray[np.complex64],
    b1: NDArray[np.float32] | float = 1.0,
    off_resonance: NDArray[np.float32] | None = None,
    dwell_time: float = 0.0,
) -> NDArray[np.complex64]:
    """Noise-free samples; see :func:`acquire`.

    Returns
    -------
    Samples, shape (slice, frame, arm, coil, sample).
    """
    atoms, index = fingerprints(brain, sequence, b1)
    if off_resonance is not None:
        return _encode_off_resonance(
            brain, atoms, index, trajectory, coil_maps, off_resonance, dwell_time
        )
    mask = brain.labels > 0
    n_frames, n_arms, n_samples, n_dims = trajectory.positions.shape
    n_coils = len(coil_maps)
    matrix = brain.m0.shape[3 - n_dims :]
    n_slices = 1 if n_dims == 3 else brain.m0.shape[0]
    # One thread: a second pool beside torch's waits for the first and is slower by far.
    plan = finufft.Plan(
        2, matrix, n_coils * n_slices, _TOLERANCE, isign=-1, upsampfac=_OVERSAMPLING, nthreads=1
    )
    weighted = (coil_maps * brain.m0)[:, mask]
    images = np.zeros((n_coils, *brain.m0.shape), dtype=np.complex128)
    kspace = np.empty((n_slices, n_frames, n_arms, n_coils, n_samples), dtype=np.complex64)
    sizes = np.array(matrix[::-1])
    for frame in range(n_frames):
        images[:, mask] = weighted * atoms[frame, index]
        angles = 2.0 * np.pi * trajectory.positions[frame].reshape(-1, n_dims) / sizes
        plan.setpts(*np.ascontiguousarray(angles.T[::-1], dtype=np.float64))
        samples = plan.execute(images.reshape(n_coils * n_slices, *matrix))
        by_slice = samples.reshape(n_coils, n_slices, n_arms, n_samples)
        kspace[:, frame] = by_slice.transpose(1, 2, 0, 3)
    return kspace


def _encode_off_resonance(
    brain: DigitalBrain,
    atoms: NDArray[np.complex64],
    index: NDArray[np.int_],
    trajectory: Trajectory,
    coil_maps: NDArray[np.complex64],
    off_resonance: NDArray[np.float32],
    dwell_time: float,
) -> NDArray[np.complex64]:
    """Samples of 2D slices with off-resonance, whose frequency and time are a third pair of coordinates.

    One transform from any positions to any others (type 3) then gives the sum over voxels itself.
    """
    n_frames, n_arms, n_samples, n_dims = trajectory.positions.shape
    assert n_dims == 2
    n_coils, n_slices = len(coil_maps), len(brain.m0)
    kspace = np.empty((n_slices, n_frames, n_arms, n_coils, n_samples), dtype=np.complex64)
    mask = brain.labels > 0
    centre = int(np.linalg.norm(trajectory.positions[0, 0], axis=-1).argmin())
    times = np.tile((np.arange(n_samples) - centre) * dwell_time, n_arms)
    of_slice = np.nonzero(mask)[0]
    weighted = (coil_maps * brain.m0)[:, mask].astype(np.complex128)
    for number in range(n_slices):
        here = of_slice == number
        if not here.any():
            kspace[number] = 0
            continue
        places = np.nonzero(mask[number])
        shape = mask.shape[1:]
        y, x = ((at - n // 2) / n for at, n in zip(places, shape, strict=True))
        plan = finufft.Plan(3, 3, n_coils, _TOLERANCE, isign=-1, nthreads=1)
        for frame in range(n_frames):
            positions = trajectory.positions[frame].reshape(-1, 2).astype(np.float64)
            kx, ky = np.ascontiguousarray(2 * np.pi * positions.T)
            frequency = 2 * np.pi * off_resonance[mask][here].astype(np.float64)
            plan.setpts(x, y, frequency, kx, ky, times)
            images = np.ascontiguousarray(weighted[:, here] * atoms[frame, index[here]])
            samples = plan.execute(images).reshape(n_coils, n_arms, n_samples)
            kspace[number, frame] = samples.transpose(1, 0, 2)
    return kspace


def fingerprints(
    brain: DigitalBrain, sequence: PulseSequence, b1: NDArray[np.float32] | float = 1.0
) -> tuple[NDArray[np.complex64], NDArray[np.int_]]:
    """Signals of the distinct tissues of a brain, and which voxel has which.

    Parameters
    ----------
    brain
        The known maps.
    sequence
        The train.
    b1
        Transmit field relative to nominal, scalar or shape (z, y, x), rounded to 0.5 %.

    Returns
    -------
    Signals of shape (frame, atom), and indices of the labelled voxels of shape (voxel,).
    """
    mask = brain.labels > 0
    field = np.broadcast_to(np.asarray(b1, dtype=np.float32), brain.t1.shape)[mask]
    if np.ndim(b1) > 0:
        field = np.rint(field / _B1_STEP) * _B1_STEP
    tissues = np.stack([brain.t1[mask], brain.t2[mask], field], axis=1)
    unique, index = np.unique(tissues, axis=0, return_inverse=True)
    t1, t2, b1_atom = (torch.from_numpy(np.ascontiguousarray(column)) for column in unique.T)
    atoms = epg.simulate(sequence, t1, t2, b1_atom, n_states=N_STATES).numpy()
    return np.ascontiguousarray(atoms.T), index.ravel()


def _noise_factor(n_coils: int, rng: np.random.Generator) -> NDArray[np.complex128]:
    """A matrix L whose L L^H has mean diagonal one and coils that leak into one another."""
    factor: NDArray[np.complex128] = np.eye(n_coils) + _NOISE_MIXING * _white((n_coils,) * 2, rng)
    factor *= np.exp(rng.uniform(-0.2, 0.2, size=(n_coils, 1)))
    factor /= np.sqrt((np.abs(factor) ** 2).sum() / n_coils)
    return factor


def _white(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.complex128]:
    """Complex normal numbers with E|n|^2 = 1."""
    pairs = rng.standard_normal((*shape, 2)) * np.sqrt(0.5)
    numbers: NDArray[np.complex128] = pairs.view(np.complex128)[..., 0]
    return numbers

"""Simulated scans and small encodings, as the reconstruction takes them."""

import numpy as np
import torch

from mri2qmap_bids.recon.acquisition.geometry import Geometry
from mri2qmap_bids.recon.acquisition.scan import RawScan, SliceSamples
from mri2qmap_bids.recon.encoding.forward import Encoding
from mri2qmap_bids.simulate.phantom import DigitalBrain


def raw_scan(acquired, geometry):
    """A simulated 2D slice as if it had been read from a file."""
    _, n_frames, n_arms, n_coils, n_samples = acquired.kspace.shape
    fov = tuple(n * size for n, size in zip(geometry.matrix, geometry.voxel_size, strict=True))
    samples = SliceSamples(
        torch.from_numpy(np.moveaxis(acquired.kspace[0], 2, 0).reshape(n_coils, -1).copy()),
        torch.from_numpy(acquired.trajectory.positions.reshape(-1, 2) / np.float32(fov[2])),
        torch.arange(n_frames).repeat_interleave(n_arms * n_samples),
    )
    return RawScan(
        slices=(samples,),
        noise=None if acquired.noise is None else torch.from_numpy(acquired.noise),
        geometry=geometry,
        encoded_fov=fov,
        n_frames=n_frames,
        is_3d=False,
    )


def disc_brain(n, fov, radius):
    """A disc of grey matter with islands of white matter, n x n voxels over a field of view [m]."""
    y, x = np.mgrid[:n, :n] - n // 2
    labels = (np.hypot(x, y) < radius).astype(np.uint8)
    labels[(labels > 0) & ((x // 7 + y // 6) % 2 == 0)] = 2
    labels = labels[None]
    t1 = np.choose(labels, [0, 1.4, 0.85]).astype(np.float32)
    t2 = np.choose(labels, [0, 0.09, 0.06]).astype(np.float32)
    m0 = np.choose(labels, [0, 0.9, 0.7]).astype(np.complex64)
    return DigitalBrain(t1, t2, m0, labels, (5e-3, fov / n, fov / n))


N_FRAMES, N_VOXELS, FOV = 12, 16, 0.22


def grid_arrays():
    """Random samples on the grid of ``grid_geometry``, as NumPy arrays of double precision."""
    axis = np.arange(N_VOXELS) - N_VOXELS // 2
    positions = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2) / FOV
    kspace = np.random.default_rng(0).standard_normal((3, len(positions))) + 1j
    return {
        "kspace": kspace,
        "trajectory": positions,
        "frame": (np.arange(len(positions)) % N_FRAMES).astype(np.int32),
    }


def grid_geometry(**changes):
    """The geometry of one slice of N_VOXELS x N_VOXELS voxels over FOV."""
    fields = {
        "matrix": (1, N_VOXELS, N_VOXELS),
        "voxel_size": (5e-3, FOV / N_VOXELS, FOV / N_VOXELS),
        "position": np.array([0.01, -0.02, 0.03]),
        "read_dir": np.eye(3)[0],
        "phase_dir": np.eye(3)[1],
        "slice_dir": np.eye(3)[2],
    }
    return Geometry(**(fields | changes))


def grid_scan(samples=None, **changes):
    """A scan of such samples."""
    fields = {
        "slices": (SliceSamples(**grid_arrays()) if samples is None else samples,),
        "noise": None,
        "geometry": grid_geometry(),
        "encoded_fov": (5e-3, FOV, FOV),
        "n_frames": N_FRAMES,
        "is_3d": False,
    }
    return RawScan(**(fields | changes))


def random_encoding(
    shape, basis_dtype=torch.float32, n_samples=400, n_frames=20, rank=3, n_coils=2
):
    """An encoding with random positions, frames, basis and coils."""
    torch.manual_seed(0)
    return Encoding(
        omega=(2 * torch.rand(n_samples, len(shape)) - 1) * torch.pi,
        frame=torch.randint(0, n_frames, (n_samples,)),
        basis=torch.linalg.qr(torch.randn(n_frames, rank, dtype=basis_dtype))[0],
        coils=torch.randn(n_coils, *shape, dtype=torch.complex64),
    )

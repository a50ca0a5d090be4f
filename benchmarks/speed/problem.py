"""A subspace problem that every engine gets alike: samples, positions, basis, sensitivities, truth."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import finufft
import numpy as np
import torch
from numpy.typing import NDArray

from mri2qmap_bids.recon.physics.dictionary import TissueGrid, build_dictionary
from mri2qmap_bids.recon.physics.matching import TissueMaps, signal_of
from mri2qmap_bids.simulate.coils import coil_maps
from mri2qmap_bids.simulate.scan import ScanOptions, place_brain
from mri2qmap_bids.simulate.sequences import make_sequence
from mri2qmap_bids.simulate.trajectory import make_trajectory


@dataclass(frozen=True)
class Size:
    """How large a problem is."""

    n_dims: int
    matrix: int
    n_coils: int
    n_frames: int
    n_arms: int
    rank: int = 5


SIZES = {
    "2d": Size(2, 128, 6, 400, 1),
    "3d": Size(3, 64, 4, 200, 8),
}
"""128 x 128, 400 frames of one spiral arm; 64^3, 200 frames of 8 arms."""
NOISE_DB = 30.0


def make_problem(size: Size, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Samples of the average brain, by transforms of high accuracy.

    Returns
    -------
    ``y`` (coil, frame, arm, sample); ``k`` (frame, arm, sample, dim) in cycles per field of view,
    components in the order of the image's axes; ``basis`` (frame, rank); ``coils`` (coil, *space);
    ``truth`` (rank, *space).
    """
    n, dim = size.matrix, size.n_dims
    frames = np.arange(size.n_frames) / size.n_frames
    flips = np.deg2rad(10 + 50 * np.sin(np.pi * 4 * frames) ** 2)
    sequence = make_sequence("FISP", size.n_frames, flips)
    options = ScanOptions(
        sequence=sequence, n_dims=dim, matrix=(n,) * dim, fov=(0.24,) * dim  # type: ignore[arg-type]
    )  # fmt: skip
    geometry, brain = place_brain(options, seed)
    dictionary = build_dictionary(sequence, TissueGrid(), size.rank)
    there = torch.from_numpy(brain.labels > 0)
    t1 = torch.from_numpy(brain.t1).float().where(there, torch.tensor(1.0))
    t2 = torch.from_numpy(brain.t2).float().where(there, torch.tensor(0.1))
    m0 = torch.from_numpy(brain.m0).to(torch.complex64).where(there, torch.tensor(0j))
    maps = TissueMaps(t1.clamp(0.1, 5), t2.clamp(0.01, 2).minimum(t1), m0, t1)
    truth = signal_of(maps, dictionary).numpy()
    coils = coil_maps(geometry.matrix, dim == 3, size.n_coils, seed)
    if dim == 2:
        truth, coils = truth[:, 0], coils[:, 0]
    coils = coils / np.maximum(np.sqrt((np.abs(coils) ** 2).sum(0)), 1e-9)
    arms = None if dim == 2 else size.n_arms
    trajectory = make_trajectory(
        "spiral", (n,) * dim, size.n_frames, 1e9 if dim == 2 else 1.0, arms
    )
    k = np.ascontiguousarray(trajectory.positions[..., ::-1])
    omega = [
        np.ascontiguousarray(k[..., d].ravel() * (2 * np.pi / n)).astype(float) for d in range(dim)
    ]
    transform = finufft.nufft2d2 if dim == 2 else finufft.nufft3d2
    basis = dictionary.basis.numpy()
    y = np.zeros((size.n_coils, *k.shape[:3]), np.complex64)
    for c, coil in enumerate(coils):
        for r, component in enumerate(truth):
            image = np.ascontiguousarray(component * coil).astype(np.complex128)
            course = transform(*omega, image, isign=-1, eps=1e-8).reshape(k.shape[:3])
            y[c] += basis[:, r, None, None] * course
    rng = np.random.default_rng(seed)
    deviation = np.sqrt(np.mean(np.abs(y) ** 2)) * 10 ** (-NOISE_DB / 20) / 2**0.5
    noise = rng.standard_normal((*y.shape, 2)).astype(np.float32)
    y += (deviation * noise.view(np.complex64)[..., 0]).astype(np.complex64)
    return {"y": y, "k": k, "basis": basis, "coils": coils.astype(np.complex64), "truth": truth}


def nrmse(image: NDArray[np.complex64], truth: NDArray[np.complex64]) -> float:
    """Relative error where there is tissue, after the best complex scale."""
    inside = np.abs(truth).sum(0) > 0
    a, b = image[:, inside].ravel(), truth[:, inside].ravel()
    scale = np.vdot(a, b) / np.vdot(a, a)
    return float(np.linalg.norm(scale * a - b) / np.linalg.norm(b))


def load(path: Path) -> dict[str, NDArray[Any]]:
    """A problem that was saved by numpy."""
    with np.load(path) as stored:
        return dict(stored)

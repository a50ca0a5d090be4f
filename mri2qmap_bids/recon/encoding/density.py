"""How densely k-space is sampled."""

import torch

from mri2qmap_bids.recon.arrays import SampleWeights, Trajectory
from mri2qmap_bids.recon.encoding.nufft import Nufft

_ITERATIONS = 10


def density_compensation(omega: Trajectory, shape: tuple[int, ...]) -> SampleWeights:
    """Weights that make the sampling density even.

    Fixed point of w <- w / (C w), where C interpolates at the samples what it
    spread from them with the gridding kernel; scaled so that a fully sampled
    trajectory has A^H W A = 1 for A without 1/n factors, i.e. the weights sum to
    the k-space area per image voxel.

    Parameters
    ----------
    omega
        Positions [rad/voxel], shape (sample, dim), columns in array order.
    shape
        Image shape.

    Returns
    -------
    Weights, shape (sample,), positive.

    References
    ----------
    Pipe and Menon, Sampling density compensation in MRI (1999),
    doi:10.1002/(SICI)1522-2594(199901)41:1<179::AID-MRM25>3.0.CO;2-V.
    """
    grid = tuple(2 * n for n in shape)
    spreading = Nufft(omega, grid, spread_only=True)
    weights = torch.ones(len(omega), device=omega.device)
    for _ in range(_ITERATIONS):
        gridded = spreading.adjoint(weights.to(torch.complex64))
        weights = weights / spreading.forward(gridded).abs().clamp_min(1e-12)
    # The response at the origin of a point at the origin is the sum of the weights: make it 1.
    return weights / weights.sum()

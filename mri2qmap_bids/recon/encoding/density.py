"""Sampling density compensation."""

import torch

from mri2qmap_bids.recon.arrays import SampleWeights, Trajectory
from mri2qmap_bids.recon.encoding.nufft import Nufft
from mri2qmap_bids.recon.encoding.shared_positions import SharedPositions

_ITERATIONS = 10
# Between two widths of the gridding kernel, so that rounding does not decide: five cells.
_TOLERANCE = 3e-4


def density_compensation(
    omega: Trajectory, shape: tuple[int, ...], shared: SharedPositions | None = None
) -> SampleWeights:
    """Density-compensation weights.

    Fixed point of w <- w / (C w), where C spreads the samples onto a grid with the gridding
    kernel and interpolates the result at the samples; scaled so that a fully sampled
    trajectory has A^H W A = 1 for A without 1/n factors, i.e. the weights sum to
    the k-space area per image voxel.

    Parameters
    ----------
    omega
        Positions [rad/voxel], shape (sample, dim), columns in array order.
    shape
        Image shape.
    shared
        Positions that several samples share.

    Returns
    -------
    Weights, shape (sample,), positive.

    References
    ----------
    Pipe and Menon, Sampling density compensation in MRI (1999),
    doi:10.1002/(SICI)1522-2594(199901)41:1<179::AID-MRM25>3.0.CO;2-V.
    """
    grid = tuple(2 * n for n in shape)
    spreading = Nufft(omega, grid, _TOLERANCE, spread_only=True, shared=shared)
    weights = torch.ones(len(omega), device=omega.device)
    for _ in range(_ITERATIONS):
        gridded = spreading.adjoint(weights.to(torch.complex64))
        weights = weights / spreading.forward(gridded).abs().clamp_min(1e-12)
    # The point-spread function at the origin is the sum of the weights; normalise it to 1.
    return weights / weights.sum()

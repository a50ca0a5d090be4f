"""Receive coils: compression and sensitivity estimation."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

from mri2qmap_bids.errors import RawDataError
from mri2qmap_bids.recon.arrays import CoilMaps, KSpace, SampleWeights, Trajectory, VirtualKSpace
from mri2qmap_bids.recon.encoding.nufft import Nufft
from mri2qmap_bids.recon.encoding.off_resonance import OffResonance, SegmentedNufft

# The calibration region is solved for on a grid larger by this factor, as its edge is unreliable.
_MARGIN = 4 / 3
# Conjugate-gradient steps; early stopping keeps undetermined components at zero.
_N_ITERATIONS = 20
# Singular values, relative to the largest, below which a kernel counts as noise.
_NOISE_LEVEL = 0.01
# Energy, relative to the brightest voxel, below which the map of a voxel is taken from its neighbours.
_DARK = 0.03
# Standard deviation [calibration voxel] and weight of the increasingly wide neighbourhoods from which
# maps are extrapolated to voxels without signal; negligible in voxels with signal.
_NEIGHBOURHOODS = ((1.0, 1e-2), (2.0, 1e-2), (4.0, 1e-3), (8.0, 1e-3))


def compress_coils(
    kspace: KSpace, n_virtual: int, whitening: Tensor | None = None
) -> VirtualKSpace:
    """Whiten the coils, rotate them onto their principal components and keep the strongest.

    K' = U^H W K, where U holds the n_virtual leading eigenvectors of W K K^H W^H. Its columns
    are orthonormal, so white noise stays white. No whitened copy of all coils is stored, unless all are kept.

    Parameters
    ----------
    kspace
        Samples, shape (coil, sample).
    n_virtual
        Number of virtual coils to keep; if it is not below the number of coils, they are only
        whitened.
    whitening
        W, shape (coil, coil); None: the samples are white already.

    Returns
    -------
    KSpace
        Samples of the virtual coils, strongest first, shape (n_virtual, sample).

    References
    ----------
    Buehrer et al. 2007, doi:10.1002/mrm.21237; Huang et al. 2008,
    doi:10.1016/j.mri.2007.04.010.
    """
    if n_virtual >= kspace.shape[0]:
        return kspace if whitening is None else whitening @ kspace
    covariance = kspace @ kspace.mH
    if whitening is not None:
        covariance = whitening @ covariance @ whitening.mH
    _, eigenvectors = _eigen(covariance)
    rotation = eigenvectors.flip(1)[:, :n_virtual].mH
    virtual: Tensor = (rotation if whitening is None else rotation @ whitening) @ kspace
    return virtual


def estimate_sensitivities(
    kspace: KSpace,
    omega: Trajectory,
    contrast: SampleWeights | Tensor,
    shape: Sequence[int],
    n_centre: int = 24,
    n_kernel: int = 5,
    field: OffResonance | None = None,
) -> CoilMaps:
    """Coil sensitivities from the centre of k-space of any trajectory, by ESPIRiT.

    The centre of k-space is solved for on a Cartesian grid,
    argmin_x sum_j |conj(w_j) (F x)_j - s_j|^2. P projects its patches of n_kernel^dim
    points onto the signal subspace of the patches, and the sensitivities S(r) are the
    dominant eigenvector of G(r) = n_kernel^-dim sum_{o,o'} P_{o,o'} exp(2 pi i r (o - o')).
    They are computed on the grid of the centre, extrapolated smoothly to regions without
    signal, given a smooth phase, and interpolated to the image grid. They do not depend on the
    contrast or phase of the object.

    Parameters
    ----------
    kspace
        Prewhitened samples, complex64, shape (coil, sample).
    omega
        Positions [rad/voxel], shape (sample, dim), columns in the order of ``shape``.
    contrast
        Weight w of every sample, shape (sample,): the conjugate of the first temporal
        basis function at the sample's frame, so that a signal that changes sign along
        the train does not average out.
    shape
        Image shape; voxel floor(n / 2) is the origin.
    n_centre
        Matrix size of the centre of k-space along every axis.
    n_kernel
        Patch size along every axis.
    field
        Off-resonance of the samples on the image grid; None: none.

    Returns
    -------
    CoilMaps
        complex64, shape (coil, *shape), sum_c |S_c|^2 = 1 in every voxel.

    References
    ----------
    Uecker et al. 2014 (ESPIRiT), doi:10.1002/mrm.24751; Lobos et al. 2023 (G from P
    without image-domain kernels), doi:10.48550/arXiv.2302.13431; Pruessmann et al. 2001
    (conjugate gradients), doi:10.1002/mrm.1241.
    """
    centre = calibration_region(kspace, omega, contrast, shape, n_centre, field)
    grid = tuple(centre.shape[1:])
    eigenvalues, vectors = _eigen(_kernel_covariance(centre, n_kernel))
    maps = vectors[..., -1].movedim(-1, 0)
    energy = (maps.conj() * _image(centre)).sum(0).abs().square()
    trust = energy / (energy + _DARK * energy.max()).clamp(min=torch.finfo(energy.dtype).tiny)
    # Inside the object the largest eigenvalue is 1; the power suppresses values just below 1.
    maps = _extended(maps, trust * eigenvalues[..., -1].clamp(0, 1) ** 16)
    splines = [_interpolation(coarse, n) for coarse, n in zip(grid, shape, strict=True)]
    maps = _along_axes(_with_smooth_phase(maps), splines)
    # A^H A would copy maps in another order of memory at every application.
    return maps.div_(torch.linalg.vector_norm(maps, dim=0)).contiguous()


def calibration_region(
    kspace: KSpace,
    omega: Trajectory,
    contrast: SampleWeights | Tensor,
    shape: Sequence[int],
    n_centre: int,
    field: OffResonance | None = None,
) -> CoilMaps:
    """Centre of k-space on a Cartesian grid, origin at floor(n / 2), shape (coil, *grid)."""
    low = tuple(min(round(n_centre * _MARGIN), n) for n in shape)
    scale = omega.new_tensor([n / coarse for n, coarse in zip(shape, low, strict=True)])
    inside = torch.nonzero(((omega * scale).abs() <= torch.pi).all(dim=1)).squeeze(1)
    if inside.numel() == 0:
        raise RawDataError("coil sensitivities need samples at the centre of k-space, found none")
    omega, weight = omega[inside] * scale, contrast[inside]
    nufft = Nufft(omega, low)
    transform: Nufft | SegmentedNufft = nufft
    if field is not None:
        coarse_field = _sampled(field.field, low)
        part = OffResonance(coarse_field, field.times, field.index[inside])
        transform = SegmentedNufft(nufft, part)
    target = torch.stack([transform.adjoint(samples[inside] * weight) for samples in kspace])
    if field is None:
        # F^H W F is a convolution: multiplication by the spectrum of its kernel replaces both transforms.
        kernel = Nufft(omega, tuple(2 * n for n in low)).adjoint(weight.abs().square())
        normal = partial(_convolved, torch.fft.fftn(torch.fft.ifftshift(kernel)).real)
    else:
        normal = partial(_transformed, transform, weight.abs().square())
    images = _solve(normal, target)
    axes = tuple(range(1, images.ndim))
    centre: Tensor = torch.fft.fftn(torch.fft.ifftshift(images, axes), dim=axes)
    centre = torch.fft.fftshift(centre, axes)
    for axis, coarse in enumerate(low, start=1):
        n = min(n_centre, coarse)
        centre = centre.narrow(axis, coarse // 2 - n // 2, n)
    return centre


def _convolved(spectrum: Tensor, images: CoilMaps) -> CoilMaps:
    """A convolution on the doubled grid."""
    axes = tuple(range(1, images.ndim))
    padded = torch.fft.fftn(images, s=tuple(spectrum.shape), dim=axes)
    convolved: Tensor = torch.fft.ifftn(padded * spectrum, dim=axes)
    return convolved[(slice(None), *(slice(n) for n in images.shape[1:]))]


def _transformed(
    transform: Nufft | SegmentedNufft, weights: SampleWeights, images: CoilMaps
) -> CoilMaps:
    """F^H W F of every coil by the transforms themselves."""
    return torch.stack([transform.adjoint(weights * transform.forward(image)) for image in images])


def _sampled(field: Tensor, low: Sequence[int]) -> Tensor:
    """A field at the voxels of a coarser grid over the same field of view, both with origin floor(n / 2)."""
    for axis, (n, coarse) in enumerate(zip(field.shape, low, strict=True)):
        place = (torch.arange(coarse, device=field.device) - coarse // 2) * (n / coarse) + n // 2
        field = field.index_select(axis, place.round().long().clamp(0, n - 1))
    return field


def _solve(normal: Callable[[CoilMaps], CoilMaps], target: CoilMaps) -> CoilMaps:
    """Conjugate gradients, separately for every coil."""
    axes = tuple(range(1, target.ndim))
    images, residual, direction = torch.zeros_like(target), target, target
    energy = residual.abs().square().sum(axes, keepdim=True)
    # A converged coil is not updated further: steps from rounding errors would diverge.
    enough = 1e-10 * energy
    for _ in range(_N_ITERATIONS):
        applied = normal(direction)
        curvature = (direction.conj() * applied).real.sum(axes, keepdim=True)
        moving = (energy > enough) & (curvature > 0)
        step = torch.where(moving, energy / curvature, 0)
        images, residual = images + step * direction, residual - step * applied
        previous, energy = energy, residual.abs().square().sum(axes, keepdim=True)
        direction = residual + torch.where(moving, energy / previous, 0) * direction
    return images


def _kernel_covariance(centre: CoilMaps, n_kernel: int) -> Tensor:
    """ESPIRiT's G in every voxel of the centre's grid, shape (*grid, coil, coil)."""
    n_coils, *grid = centre.shape
    sizes = [min(n_kernel, (n + 1) // 2) for n in grid]
    n_points = int(np.prod(sizes))
    projection = _signal_projection(centre, sizes).view(n_coils, n_points, n_coils, n_points)
    # G depends on a pair of points only through their distance: sum over pairs of equal distance.
    lags = [2 * n - 1 for n in sizes]
    points = np.stack(np.unravel_index(np.arange(n_points), sizes))
    distance = points[:, :, None] - points[:, None] + np.array(sizes)[:, None, None] - 1
    lag = torch.from_numpy(np.ravel_multi_index(list(distance), lags).ravel()).to(centre.device)
    covariance = centre.new_zeros(n_coils * n_coils, int(np.prod(lags)))
    covariance.index_add_(1, lag, projection.permute(0, 2, 1, 3).reshape(n_coils * n_coils, -1))
    waves = [_waves(n, size) for n, size in zip(grid, sizes, strict=True)]
    covariance = _along_axes(covariance.view(-1, *lags) / n_points, waves)
    return covariance.movedim(0, -1).reshape(*grid, n_coils, n_coils)


def _signal_projection(centre: CoilMaps, sizes: Sequence[int]) -> Tensor:
    """Soft projection onto the patches of the centre, shape (coil point, coil point)."""
    patches = centre
    for axis, size in enumerate(sizes, start=1):
        patches = patches.unfold(axis, size, 1)
    patches = patches.movedim(0, len(sizes)).flatten(0, len(sizes) - 1).flatten(1)
    eigenvalues, vectors = _eigen(patches.mT @ patches.conj())
    tiny = torch.finfo(eigenvalues.dtype).tiny
    strength = eigenvalues.clamp(min=0) / eigenvalues[-1].clamp(min=tiny)
    projection: Tensor = (vectors * (strength / (strength + _NOISE_LEVEL**2))) @ vectors.mH
    return projection


def _extended(maps: CoilMaps, trust: Tensor) -> CoilMaps:
    """Unit maps, extrapolated from reliable neighbours where they are unreliable (``trust`` near 0)."""
    n_coils = maps.shape[0]
    outer = (maps[:, None] * maps[None].conj() * trust).flatten(0, 1)
    total = outer.clone()
    for deviation, share in _NEIGHBOURHOODS:
        total += share * _along_axes(outer, [_blur(n, deviation) for n in maps.shape[1:]])
    covariance = total.movedim(0, -1).reshape(*maps.shape[1:], n_coils, n_coils)
    extended: Tensor = _eigen(covariance)[1][..., -1].movedim(-1, 0)
    return extended


def _with_smooth_phase(maps: CoilMaps) -> CoilMaps:
    """Propagate the phase from the central voxel outwards, axis by axis.

    A phase reference to one coil would give a phase singularity where that coil has no
    sensitivity. Aligning the phase of each voxel's vector with its inner neighbour avoids this.
    """
    for axis in range(1, maps.ndim):
        n = maps.shape[axis]
        inner, outer = maps.narrow(axis, 0, n - 1), maps.narrow(axis, 1, n - 1)
        turn = (inner.conj() * outer).sum(0, keepdim=True).angle().cumsum(axis)
        turn = torch.cat([torch.zeros_like(maps.real[:1].narrow(axis, 0, 1)), turn], axis)
        turn = turn - turn.narrow(axis, n // 2, 1)
        maps = maps * torch.polar(torch.ones_like(turn), -turn)
    middle = maps
    for n in maps.shape[1:]:
        middle = middle.select(1, n // 2)
    strongest = middle[middle.abs().argmax()]
    return maps * (strongest.conj() / strongest.abs())


def _image(centre: CoilMaps) -> CoilMaps:
    axes = tuple(range(1, centre.ndim))
    image: Tensor = torch.fft.ifftn(torch.fft.ifftshift(centre, axes), dim=axes)
    return image.roll([n // 2 for n in image.shape[1:]], axes)


def _waves(n: int, size: int) -> np.ndarray:
    """exp(2 pi i r d) of every voxel r and distance d within a patch, shape (n, 2 size - 1)."""
    voxel, distance = (np.arange(n) - n // 2) / n, np.arange(1 - size, size)
    return np.asarray(np.exp(2j * np.pi * voxel[:, None] * distance))


def _blur(n: int, deviation: float) -> np.ndarray:
    """Gaussian average along one axis, shape (n, n)."""
    voxel = np.arange(n)
    kernel = np.exp(-0.5 * ((voxel[:, None] - voxel) / deviation) ** 2)
    return np.asarray(kernel / kernel.sum(axis=1, keepdims=True))


def _interpolation(coarse: int, n: int) -> np.ndarray:
    """Cubic spline from the coarse to the full axis, both with origin floor(n / 2)."""
    if coarse == n:
        return np.eye(n)
    voxel = (np.arange(coarse) - coarse // 2) * (n / coarse)
    position = np.clip(np.arange(n) - n // 2, voxel[0], voxel[-1])
    return np.asarray(CubicSpline(voxel, np.eye(coarse), bc_type="natural")(position))


def _along_axes(maps: Tensor, matrices: Sequence[np.ndarray]) -> Tensor:
    """Apply one matrix along each spatial axis."""
    for axis, matrix in enumerate(matrices, start=1):
        factor = torch.as_tensor(matrix, dtype=maps.dtype, device=maps.device)
        maps = torch.movedim(torch.tensordot(factor, maps, dims=([1], [axis])), 0, axis)
    return maps


def _eigen(hermitian: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors, weakest first.

    In double precision: single-precision solvers fail for matrices of very low rank, as
    those of noise-free data.
    """
    values, vectors = torch.linalg.eigh(hermitian.to(torch.complex128))
    return values.to(torch.float32), vectors.to(hermitian.dtype)

"""Circulant approximation of A^H A: the sampling density of every frequency and component."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import torch

from mri2qmap_bids.recon.arrays import SampleWeights, SubspaceImage
from mri2qmap_bids.recon.encoding.convolution import interleaved_ramp
from mri2qmap_bids.recon.encoding.forward import Encoding, nufft_of
from mri2qmap_bids.recon.encoding.frequency_matrices import (
    frequency_pairs,
    full_matrices,
    rank_of,
)
from mri2qmap_bids.recon.encoding.toeplitz import (
    SegmentedNormal,
    ToeplitzNormal,
    lag_block,
)

_FREQUENCIES_AT_ONCE = 1 << 18
# Density relative to the level below which a frequency counts as not sampled.
_UNSAMPLED = 0.2
# Part of the samples whose density marks the sparsest part of k-space. Coils leak less into what was not sampled.
_SPARSE = 0.05


@dataclass(frozen=True, eq=False)
class Circulant:
    """Matrices C(g), rank x rank and Hermitian, one for every frequency g of the image's grid."""

    upper: torch.Tensor
    """Elements i <= j, column after column, shape (pair, *space); real for a real basis."""

    @property
    def rank(self) -> int:
        """Number of components."""
        return rank_of(self.upper)

    @property
    def diagonal(self) -> torch.Tensor:
        """C_ii(g), shape (rank, *space)."""
        diagonal = [i == j for i, j in frequency_pairs(self.rank)]
        values: torch.Tensor = self.upper[diagonal].real
        return values

    @cached_property
    def level(self) -> float:
        """Sampling density away from the centre of k-space: the median of C_11 over the frequencies that were sampled.

        Those are the frequencies with at least half of the density that a twentieth of the samples do not reach. A
        trajectory leaves a fifth of a 2D grid out, half of a 3D one, and more if it ends before the edges.
        """
        density = self.upper[0].real.flatten()
        density, _ = density[:: density.numel() // 1_000_000 + 1].clamp_min(0).sort()
        n_samples = density.double().cumsum(0)
        sparse = density[(n_samples < _SPARSE * n_samples[-1]).sum().clamp_max(len(density) - 1)]
        return float(density[density >= sparse / 2].median())


def circulant_of(
    encoding: Encoding,
    operator: ToeplitzNormal | SegmentedNormal | None = None,
    weights: SampleWeights | None = None,
) -> Circulant:
    """The circulant operator nearest to A^H W A (in the Frobenius norm).

    Its matrices are the diagonal blocks of A^H W A in the Fourier basis. With p_ij(n) the kernels
    of :func:`~mri2qmap_bids.recon.encoding.toeplitz.toeplitz_normal`,

        C_ij(g) = N^-1 sum over lags n of p_ij(n) w(n) exp(-2 pi i g n / N),
        w(n) = sum over coils and voxels of conj(S_c(r + n)) S_c(r),

    N the number of voxels. It is Hermitian and positive like A^H A itself. Off-resonance is left out.

    Parameters
    ----------
    encoding
        A.
    operator
        The kernels; None: they are computed one after the other and not stored.
    weights
        Diagonal of W, shape (sample,), used if ``operator`` is None; None is the identity.

    References
    ----------
    Chan, An optimal circulant preconditioner for Toeplitz systems (1988), doi:10.1137/0909051.
    """
    overlap = _coil_overlap(encoding)
    parities = list(product((0, 1), repeat=len(encoding.shape)))
    rank = encoding.basis.shape[1]
    real = not encoding.basis.is_complex()
    upper = torch.empty(
        (len(frequency_pairs(rank)), *encoding.shape),
        dtype=torch.float32 if real else torch.complex64,
        device=encoding.omega.device,
    )
    nufft = nufft_of(encoding)
    for pair, (i, j) in enumerate(frequency_pairs(rank)):
        total = torch.zeros(encoding.shape, dtype=torch.complex64, device=upper.device)
        if operator is not None:
            lags = _lag_blocks(operator.grids(pair, upper.device), encoding.shape)
        else:
            courses = (encoding.basis[:, i].conj() * encoding.basis[:, j])[encoding.frame]
            courses = courses if weights is None else courses * weights
            lags = {block: lag_block(nufft, courses, block) for block in parities}
        for block in parities:
            total += lags[block] * overlap[block]
        spectrum = torch.fft.fftn(total)
        upper[pair] = spectrum.real if real else spectrum
    return Circulant(upper)


def filtered(image: SubspaceImage, response: torch.Tensor) -> SubspaceImage:
    """F^H diag(response) F of an image, with the unitary Fourier transform F.

    Parameters
    ----------
    image
        Shape (rank, *space).
    response
        Of every component and frequency, broadcast to the image's shape.
    """
    axes = tuple(range(1, image.ndim))
    spectrum = torch.fft.fftn(image, dim=axes).mul_(response)
    result: torch.Tensor = torch.fft.ifftn(spectrum, dim=axes)
    return result


def inverse(circulant: Circulant, penalty: torch.Tensor) -> Circulant:
    """(C(g) + diag penalty(g))^-1 for every frequency, on the penalty's device.

    Parameters
    ----------
    circulant
        C.
    penalty
        Of every component and frequency, positive, broadcast to (rank, *space).
    """
    upper, device = circulant.upper, penalty.device
    pairs = frequency_pairs(circulant.rank)
    rows, columns = (torch.tensor(index, device=device) for index in zip(*pairs, strict=True))
    result = torch.empty_like(upper.flatten(1), device=device)
    for batch, matrices in _penalised(circulant, penalty):
        solved = torch.linalg.inv(matrices)[:, rows, columns].T
        result[:, batch] = solved.to(upper.dtype)
    return Circulant(result.view_as(upper))


def first_of_inverse(circulant: Circulant, penalty: torch.Tensor) -> torch.Tensor:
    """The first element of :func:`inverse` at every frequency, shape (*space), without the others.

    Parameters
    ----------
    circulant, penalty
        As of :func:`inverse`.
    """
    upper = circulant.upper
    result = torch.empty(upper[0].numel(), device=penalty.device)
    for batch, matrices in _penalised(circulant, penalty):
        first = torch.zeros_like(matrices[..., :1])
        first[:, 0] = 1
        result[batch] = torch.linalg.solve(matrices, first)[:, 0, 0].real.to(result.dtype)
    return result.view(upper.shape[1:])


def _penalised(circulant: Circulant, penalty: torch.Tensor) -> Iterator[tuple[slice, torch.Tensor]]:
    """C(g) + diag penalty(g) in double precision on the penalty's device, by batches of frequencies."""
    rank, upper, device = circulant.rank, circulant.upper, penalty.device
    flat = upper.flatten(1)
    added = penalty.expand(rank, *upper.shape[1:]).flatten(1)
    # Rounding errors can make the smallest eigenvalues slightly negative.
    floor = 1e-6 * float(circulant.diagonal.amax())
    double = torch.complex128 if upper.is_complex() else torch.float64
    for start in range(0, flat.shape[1], _FREQUENCIES_AT_ONCE):
        batch = slice(start, start + _FREQUENCIES_AT_ONCE)
        matrices = full_matrices(flat[:, batch].to(device, double))
        matrices += torch.diag_embed(added[:, batch].T.double() + floor).to(double)
        yield batch, matrices


def support_penalty(circulant: Circulant) -> torch.Tensor:
    """Tikhonov term of frequencies that were not sampled: max(0, 20 % of the level - C_ii(g)).

    Outside the sampled region, e.g. in the corners around a spiral's disc, only the coil
    sensitivities contain information on the image, with more than twice the noise of the other
    frequencies. The term sets those frequencies to zero, as a density-compensated adjoint does,
    and does not change the others.

    Parameters
    ----------
    circulant
        C.

    Returns
    -------
    Of every component and frequency, shape (rank, *space), at least 0.
    """
    return (_UNSAMPLED * circulant.level - circulant.diagonal).clamp_min(0)


def _coil_overlap(encoding: Encoding) -> dict[tuple[int, ...], torch.Tensor]:
    """w(n) / N of the lags in each block [0, N) or [-N, 0) along every axis."""
    shape = encoding.shape
    n_voxels = encoding.coils[0].numel()
    grids = {}
    for parity in product((0, 1), repeat=len(shape)):
        ramp = interleaved_ramp(shape, parity, encoding.coils.device)
        power = torch.zeros(shape, device=encoding.coils.device)
        for coil in encoding.coils:
            power += torch.fft.fftn(coil * ramp).abs().square()
        grids[parity] = power.to(torch.complex64)
    blocks = _lag_blocks(grids, shape)
    # sum_r conj(S(r)) S(r + n) is the inverse transform of |FFT S|^2; lag n needs its conjugate.
    return {block: values.conj() / n_voxels for block, values in blocks.items()}


def _lag_blocks(
    grids: dict[tuple[int, ...], torch.Tensor], shape: tuple[int, ...]
) -> dict[tuple[int, ...], torch.Tensor]:
    """Lags [0, N) and [-N, 0), by blocks, of a spectrum on a doubled grid stored as interleaved grids.

    Parameters
    ----------
    grids
        Spectrum by interleaved grid, each of size N or more.
    shape
        N along every axis.
    """
    grid = tuple(next(iter(grids.values())).shape)
    parts = {}
    for parity, spectrum in grids.items():
        ramp = interleaved_ramp(grid, parity, spectrum.device)
        parts[parity] = torch.fft.ifftn(spectrum) * ramp.conj() / 2 ** len(grid)
    blocks = {}
    for block in grids:
        # The first N lags of a block that begins at 0, the last N of one that ends at -1.
        lags = tuple(
            slice(size - n, None) if b else slice(n)
            for b, n, size in zip(block, shape, grid, strict=True)
        )
        total = torch.zeros(shape, dtype=torch.complex64, device=parts[block].device)
        for parity, part in parts.items():
            sign = (-1) ** sum(p * b for p, b in zip(parity, block, strict=True))
            total.add_(part[lags], alpha=sign)
        blocks[block] = total
    return blocks

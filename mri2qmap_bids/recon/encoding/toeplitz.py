"""The normal operator A^H W A as convolutions, without touching a sample again."""

from dataclasses import dataclass
from itertools import product

import torch

from mri2qmap_bids.recon.arrays import CoilMaps, SampleWeights, SubspaceImage
from mri2qmap_bids.recon.encoding.forward import Encoding
from mri2qmap_bids.recon.encoding.plan import Nufft


@dataclass(frozen=True, eq=False)
class ToeplitzNormal:
    """Spectra of the r x r convolution kernels of A^H W A on the doubled grid.

    The doubled grid's frequencies f = 2 g + q are kept as 2^dim interleaved grids
    q of the image's own size, so that applying the operator needs no padding.
    """

    spectra: torch.Tensor
    """Kernels of the pairs i <= j, shape (2^dim, pair, *space); real for a real basis."""
    coils: CoilMaps
    """Sensitivities S, shape (coil, *space)."""
    rank: int
    """Dimension r of the subspace."""


def toeplitz_normal(encoding: Encoding, weights: SampleWeights | None = None) -> ToeplitzNormal:
    """Compute the kernels: spectrum of p_ij(n) = sum_s w_s conj(Phi_i) Phi_j exp(i omega_s n).

    K_ji = conj(K_ij), and each K_ij is real when the basis is.

    Parameters
    ----------
    encoding
        The operator A.
    weights
        Diagonal of W, shape (sample,); None is the identity.

    References
    ----------
    Fessler et al., Toeplitz-based iterative image reconstruction (2005),
    doi:10.1109/TSP.2005.853152.
    """
    rank = encoding.basis.shape[1]
    shape = encoding.shape
    doubled = tuple(2 * n for n in shape)
    nufft = Nufft(encoding.omega, doubled)
    real = not encoding.basis.is_complex()
    spectra = torch.empty(
        (2 ** len(shape), rank * (rank + 1) // 2, *shape),
        dtype=torch.float32 if real else torch.complex64,
        device=encoding.omega.device,
    )
    for pair, (i, j) in enumerate(_pairs(rank)):
        courses = encoding.basis[:, i].conj() * encoding.basis[:, j]
        samples = courses[encoding.frame]
        if weights is not None:
            samples = samples * weights
        kernel = torch.fft.fftn(torch.fft.ifftshift(nufft.adjoint(samples)))
        for q, parity in enumerate(product((0, 1), repeat=len(shape))):
            interleaved = kernel[tuple(slice(p, None, 2) for p in parity)]
            spectra[q, pair] = interleaved.real if real else interleaved
    return ToeplitzNormal(spectra=spectra, coils=encoding.coils, rank=rank)


def apply(operator: ToeplitzNormal, image: SubspaceImage) -> SubspaceImage:
    """A^H W A x = sum_c S_c^H T S_c x.

    With ramp_q(n) = exp(-i pi q n / N), T x = 2^-dim sum_q conj(ramp_q)
    IFFT(K_q FFT(ramp_q x)), identical to the zero-padded convolution.

    Parameters
    ----------
    operator
        The kernels and sensitivities.
    image
        Subspace image x, shape (rank, *space).
    """
    shape = image.shape[1:]
    axes = tuple(range(1, image.ndim))
    result = torch.zeros_like(image)
    ramps = [_ramp(shape, parity, image.device) for parity in product((0, 1), repeat=len(shape))]
    for coil in operator.coils:
        seen = image * coil
        convolved = torch.zeros_like(image)
        for ramp, spectra in zip(ramps, operator.spectra, strict=True):
            filtered = _mix(spectra, torch.fft.fftn(seen * ramp, dim=axes))
            convolved += torch.fft.ifftn(filtered, dim=axes) * ramp.conj()
        result += convolved * coil.conj()
    return result.div_(2 ** len(shape))


def _mix(spectra: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """Multiply by the Hermitian r x r matrix of every frequency, its upper triangle given."""
    mixed = torch.zeros_like(image)
    for pair, (i, j) in enumerate(_pairs(len(image))):
        mixed[i].addcmul_(spectra[pair], image[j])
        if i != j:
            mixed[j].addcmul_(spectra[pair].conj(), image[i])
    return mixed


def _pairs(rank: int) -> list[tuple[int, int]]:
    return [(i, j) for j in range(rank) for i in range(j + 1)]


def _ramp(shape: tuple[int, ...], parity: tuple[int, ...], device: torch.device) -> torch.Tensor:
    """exp(-i pi q n / N) over the grid, shape (*space)."""
    phase = torch.zeros(shape, device=device)
    for axis, (n, p) in enumerate(zip(shape, parity, strict=True)):
        view = [1] * len(shape)
        view[axis] = n
        phase = phase - torch.pi * p * torch.arange(n, device=device).reshape(view) / n
    return torch.polar(torch.ones_like(phase), phase)

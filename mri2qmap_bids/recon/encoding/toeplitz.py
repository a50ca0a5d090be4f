"""The normal operator A^H W A as convolutions (Toeplitz embedding)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal

import torch
from scipy.fft import next_fast_len

from mri2qmap_bids.recon.arrays import CoilMaps, SampleWeights, SubspaceImage
from mri2qmap_bids.recon.encoding.convolution import coil_convolutions, interleaved_ramp
from mri2qmap_bids.recon.encoding.convolution_blocks import empty_by_columns
from mri2qmap_bids.recon.encoding.forward import Encoding, nufft_of
from mri2qmap_bids.recon.encoding.frequency_matrices import frequency_pairs, widened
from mri2qmap_bids.recon.encoding.nufft import Nufft
from mri2qmap_bids.recon.encoding.off_resonance import segments, wave_of

Storage = Literal["single", "half", "host"]
"""Storage of the kernels: on the device in single or half precision, or in the host's memory."""

# Largest value stored in half precision: far from its limit of 65504.
_HALF_RANGE = 1024.0


@dataclass(frozen=True, eq=False)
class ToeplitzNormal:
    """Spectra of the r x r convolution kernels of A^H W A on a doubled grid.

    The frequencies f = 2 g + q of the doubled grid are stored as 2^dim interleaved grids q of
    half its size. This is the image's size, or a little more where the Fourier transform is fast
    (74 = 2 x 37 takes five times as long as 75 = 3 x 5 x 5).
    """

    spectra: torch.Tensor
    """Kernels of the pairs i <= j, shape (2^dim, pair, *grid); real for a real basis."""
    scales: tuple[float, ...]
    """Factor by which the stored values of each pair are multiplied."""
    coils: CoilMaps
    """Sensitivities S, zero outside the image, shape (coil, *grid)."""
    coils_at_once: int = 1
    """Coils processed together."""

    @property
    def grid(self) -> tuple[int, ...]:
        """Size of each interleaved grid."""
        return tuple(self.coils.shape[1:])

    def grids(self, pair: int, device: torch.device) -> dict[tuple[int, ...], torch.Tensor]:
        """A pair's spectrum by interleaved grid q, complex64 on a device."""
        parities = product((0, 1), repeat=self.coils.ndim - 1)
        return {
            parity: widened(self.spectra[q, pair].to(device), self.coils.ndim).to(torch.complex64)
            * self.scales[pair]
            for q, parity in enumerate(parities)
        }


def toeplitz_normal(
    encoding: Encoding,
    weights: SampleWeights | None = None,
    storage: Storage = "single",
    by_blocks: bool = False,
    coils_at_once: int = 1,
) -> ToeplitzNormal:
    """Compute the kernels: spectrum of p_ij(n) = sum_s w_s conj(Phi_i) Phi_j exp(i omega_s n).

    K_ji = conj(K_ij), and each K_ij is real when the basis is.

    Parameters
    ----------
    encoding
        The operator A.
    weights
        Diagonal of W, shape (sample,); None is the identity.
    storage
        Storage of the kernels. Half precision changes a solution by about 1e-3; the host's
        memory costs a transfer of all kernels each time the operator is applied.
    by_blocks
        Transform to 2^dim blocks of the doubled grid one after the other, in a 2^dim-th of the
        memory and 2^dim times the time.
    coils_at_once
        Coils that :func:`apply` processes together.

    References
    ----------
    Fessler et al., Toeplitz-based iterative image reconstruction (2005),
    doi:10.1109/TSP.2005.853152.
    """
    shape = fast_grid(encoding.shape)
    real = not encoding.basis.is_complex()
    kernels = _Blocks(encoding, shape) if by_blocks else _Whole(encoding, shape)
    pairs = frequency_pairs(encoding.basis.shape[1])
    number_type = _kept_type(storage, real)
    # A complex number in half precision is stored as two real ones.
    parts = (2,) if storage == "half" and not real else ()
    n_grids = 2 ** len(shape)
    if encoding.omega.is_cuda:
        spectra = torch.empty(
            (n_grids, len(pairs), *shape, *parts),
            dtype=number_type,
            device="cpu" if storage == "host" else encoding.omega.device,
            pin_memory=storage == "host",
        )
    else:
        spectra = empty_by_columns(n_grids, len(pairs), shape, parts, number_type)
    scales = []
    for pair, grids in enumerate(_spectra_of_pairs(kernels, encoding, weights)):
        scale = 1.0
        if storage == "half":
            scale = max(*(float(part.abs().max()) for part in grids), 1e-30) / _HALF_RANGE
        for q, part in enumerate(grids):
            scaled = part / scale if storage == "half" else part
            spectra[q, pair] = torch.view_as_real(scaled) if parts else scaled
        scales.append(scale)
    return ToeplitzNormal(spectra, tuple(scales), _padded(encoding.coils, shape), coils_at_once)


def apply(operator: ToeplitzNormal, image: SubspaceImage) -> SubspaceImage:
    """A^H W A x = sum_c S_c^H T S_c x.

    With ramp_q(n) = exp(-i pi q n / N) on grids of N, T x = 2^-dim sum_q conj(ramp_q)
    IFFT(K_q FFT(ramp_q x)), identical to the zero-padded convolution.

    Parameters
    ----------
    operator
        The kernels and sensitivities.
    image
        Subspace image x, shape (rank, *space).
    """
    grid = operator.grid
    parities = product((0, 1), repeat=len(grid))
    total = coil_convolutions(
        _padded(image, grid).contiguous(),
        operator.coils,
        # Grids outermost, so that kernels in the host's memory are fetched once.
        zip(parities, operator.spectra, strict=True),
        operator.scales,
        operator.coils_at_once,
    )
    return total[_part(image.shape[1:])].div_(2 ** len(grid)).contiguous()


def fast_grid(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The next size along every axis that is a product of 2, 3, 5, 7 and 11."""
    return tuple(int(next_fast_len(n)) for n in shape)


def _padded(images: torch.Tensor, grid: tuple[int, ...]) -> torch.Tensor:
    """Images on a grid that is as large or larger, with zeros beyond them."""
    if images.shape[1:] == grid:
        return images
    padded = images.new_zeros((len(images), *grid))
    padded[_part(images.shape[1:])] = images
    return padded


def _part(shape: tuple[int, ...]) -> tuple[Any, ...]:
    """The image's voxels in an array on the larger grid."""
    return (..., *(slice(n) for n in shape))


@dataclass(frozen=True, eq=False)
class SegmentedNormal:
    """A^H W A with off-resonance: sum_l D_l^H N_l D_l, D_l = exp(-2 pi i f tau_l)."""

    terms: tuple[ToeplitzNormal, ...]
    """N_l, with the samples weighted by the segment's coefficients."""
    field: torch.Tensor
    """f [Hz], shape (*space)."""
    centres: torch.Tensor
    """tau_l [s], shape (segment,)."""

    def grids(self, pair: int, device: torch.device) -> dict[tuple[int, ...], torch.Tensor]:
        """A pair's spectrum, that of A^H W A without off-resonance."""
        total, *others = (term.grids(pair, device) for term in self.terms)
        for grids in others:
            for parity, values in grids.items():
                total[parity] += values
        return total


def segmented_normal(
    encoding: Encoding,
    weights: SampleWeights | None = None,
    storage: Storage = "single",
    by_blocks: bool = False,
    coils_at_once: int = 1,
) -> SegmentedNormal:
    """A^H W A of an encoding with off-resonance, one set of kernels for each time segment.

    Between two voxels the phase of a sample is exp(-2 pi i (f(r) - f(r')) t) = sum_l c_l(t)
    exp(-2 pi i f(r) tau_l) exp(2 pi i f(r') tau_l), with c_l real and fitted to all differences of
    frequency; so L segments need L sets of kernels and not L^2.

    Parameters
    ----------
    encoding
        The operator A, with a field.
    weights, storage, by_blocks, coils_at_once
        As of :func:`toeplitz_normal`.

    References
    ----------
    Fessler et al., Toeplitz-based iterative image reconstruction for MRI with correction for magnetic
    field inhomogeneity (2005), doi:10.1109/TSP.2005.853152.
    """
    field = encoding.field
    assert field is not None
    low, high = field.limits
    parts = segments(field.times, low - high, high - low)
    without = replace(encoding, field=None)
    terms: list[ToeplitzNormal] = []
    for coefficients in parts.coefficients.real:
        own = coefficients[field.index]
        own = own if weights is None else own * weights
        term = toeplitz_normal(without, own, storage, by_blocks, coils_at_once)
        # One array of sensitivities serves all segments.
        terms.append(replace(term, coils=terms[0].coils) if terms else term)
    return SegmentedNormal(tuple(terms), field.field, parts.centres)


def apply_segmented(operator: SegmentedNormal, image: SubspaceImage) -> SubspaceImage:
    """A^H W A x; see :class:`SegmentedNormal`."""
    result = torch.zeros_like(image)
    for term, centre in zip(operator.terms, operator.centres, strict=True):
        wave = wave_of(operator.field, centre)
        result += wave.conj() * apply(term, image * wave)
    return result


def _spectra_of_pairs(
    kernels: "_Whole | _Blocks", encoding: Encoding, weights: SampleWeights | None
) -> Iterator[list[torch.Tensor]]:
    """The interleaved grids of the spectrum of each pair, in storage order."""
    basis = encoding.basis

    def samples(i: int, j: int) -> torch.Tensor:
        course = (basis[:, i].conj() * basis[:, j])[encoding.frame]
        return course if weights is None else course * weights

    pairs = frequency_pairs(basis.shape[1])
    if basis.is_complex():
        yield from (kernels.spectra(samples(*pair)) for pair in pairs)
        return
    # Spectra of real samples are real, apart from the lag -N, which no two voxels have: two spectra are
    # the real and the imaginary part of one.
    for k in range(0, len(pairs), 2):
        two = [samples(*pair) for pair in pairs[k : k + 2]]
        grids = kernels.spectra(torch.complex(*two) if len(two) == 2 else two[0])
        yield [part.real for part in grids]
        if len(two) == 2:
            yield [part.imag for part in grids]


class _Whole:
    """Spectra by one transform to the doubled grid."""

    def __init__(self, encoding: Encoding, shape: tuple[int, ...]) -> None:
        self.nufft = nufft_of(encoding, tuple(2 * n for n in shape))
        self.parities = list(product((0, 1), repeat=len(shape)))

    def spectra(self, samples: torch.Tensor) -> list[torch.Tensor]:
        """The interleaved grids of the kernel's spectrum."""
        kernel = torch.fft.fftn(torch.fft.ifftshift(self.nufft.adjoint(samples)))
        return [kernel[tuple(slice(p, None, 2) for p in parity)] for parity in self.parities]


class _Blocks:
    """Spectra by a transform to each of the 2^dim blocks [0, N) and [-N, 0) of the doubled grid.

    K_q(g) = FFT_N of sum over blocks of p(n) ramp_q(n), with all blocks superimposed.
    """

    def __init__(self, encoding: Encoding, shape: tuple[int, ...]) -> None:
        self.nufft = nufft_of(encoding, shape)
        self.shape = shape
        self.parities = list(product((0, 1), repeat=len(shape)))

    def spectra(self, samples: torch.Tensor) -> list[torch.Tensor]:
        """The interleaved grids of the kernel's spectrum."""
        device = samples.device
        folded = [
            torch.zeros(self.shape, dtype=torch.complex64, device=device) for _ in self.parities
        ]
        for block in self.parities:
            part = lag_block(self.nufft, samples, block)
            for total, parity in zip(folded, self.parities, strict=True):
                # ramp_q(n - N) = (-1)^q ramp_q(n)
                sign = (-1) ** sum(p * b for p, b in zip(parity, block, strict=True))
                total.add_(part, alpha=sign)
        for total, parity in zip(folded, self.parities, strict=True):
            total.mul_(interleaved_ramp(self.shape, parity, device))
        return [torch.fft.fftn(total) for total in folded]


def lag_block(nufft: Nufft, samples: torch.Tensor, block: tuple[int, ...]) -> torch.Tensor:
    """p(n) = sum_s samples_s exp(i omega_s n) of the lags n in one block, shape (*space).

    Parameters
    ----------
    nufft
        Transform to the image's own grid.
    samples
        Shape (sample,).
    block
        Along every axis 0 for the lags [0, N), 1 for [-N, 0).
    """
    omega = nufft.omega
    # From the block's first lag to the middle of the transform's grid, where n = 0 is.
    middle = [float(n // 2 - n * b) for n, b in zip(nufft.shape, block, strict=True)]
    phase = omega @ torch.tensor(middle, device=omega.device, dtype=omega.dtype)
    return nufft.adjoint(samples * torch.polar(torch.ones_like(phase), phase))


def _kept_type(storage: Storage, real: bool) -> torch.dtype:
    if storage == "half":
        return torch.float16
    return torch.float32 if real else torch.complex64

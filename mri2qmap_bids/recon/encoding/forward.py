"""The encoding A = F S Phi: from subspace images to the k-space of every coil and frame."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch

from mri2qmap_bids.recon.arrays import (
    Basis,
    CoilMaps,
    FrameIndex,
    KSpace,
    SampleWeights,
    SubspaceImage,
    Trajectory,
    VirtualKSpace,
)
from mri2qmap_bids.recon.encoding.nufft import Nufft
from mri2qmap_bids.recon.encoding.off_resonance import OffResonance, SegmentedNufft
from mri2qmap_bids.recon.encoding.shared_positions import SharedPositions


@dataclass(frozen=True, eq=False)
class Encoding:
    """Trajectory, temporal basis and coil sensitivities of A = F S Phi, on one device."""

    omega: Trajectory
    """Positions [rad/voxel], shape (sample, dim), columns in array order (z, y, x)."""
    frame: FrameIndex
    """Frame of every sample, shape (sample,)."""
    basis: Basis
    """Temporal basis Phi, shape (frame, rank)."""
    coils: CoilMaps
    """Sensitivities S, shape (coil, *space)."""
    field: OffResonance | None = None
    """Off-resonance during the readout; None: none."""
    shared: SharedPositions | None = None
    """Positions that several samples share; None: few or none."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Image shape."""
        return tuple(self.coils.shape[1:])


def strongest_coil(encoding: Encoding, kspace: VirtualKSpace) -> tuple[Encoding, torch.Tensor]:
    """The encoding of the coil with the most signal alone, and its samples, shape (sample,).

    Parameters
    ----------
    encoding
        Of all coils.
    kspace
        Samples of all coils, shape (coil, sample).
    """
    energies = torch.stack([torch.linalg.vector_norm(samples) for samples in kspace])
    coil = int(energies.argmax())
    return replace(encoding, coils=encoding.coils[coil : coil + 1]), kspace[coil]


def rows_of(encoding: Encoding, index: torch.Tensor) -> Encoding:
    """The encoding of some of the samples: rows of A.

    Parameters
    ----------
    encoding
        The operator A.
    index
        Which samples, shape (chosen,).
    """
    field, shared = encoding.field, encoding.shared
    if shared is not None:
        # Positions of samples that were not chosen would be transformed, too.
        few = len(shared.omega) <= len(index)
        shared = replace(shared, index=shared.index[index]) if few else None
    return replace(
        encoding,
        omega=encoding.omega[index],
        frame=encoding.frame[index],
        field=None if field is None else replace(field, index=field.index[index]),
        shared=shared,
    )


def nufft_of(encoding: Encoding, shape: tuple[int, ...] | None = None) -> Nufft:
    """The non-uniform Fourier transform of an image, or of one with another shape, without off-resonance."""
    return Nufft(encoding.omega, shape or encoding.shape, shared=encoding.shared)


def transform_of(encoding: Encoding) -> Nufft | SegmentedNufft:
    """F: the non-uniform Fourier transform, with the phase of off-resonance where there is a field."""
    nufft = nufft_of(encoding)
    return nufft if encoding.field is None else SegmentedNufft(nufft, encoding.field)


def forward(encoding: Encoding, image: SubspaceImage) -> KSpace:
    """K-space of every coil, y_c(j) = sum_r Phi(t_j, r) sum_p S_c(p) x_r(p) exp(-i omega_j p).

    With a field f every voxel's term has the factor exp(-2 pi i f(p) tau_j), tau_j the time of the sample.

    Parameters
    ----------
    encoding
        The operator A.
    image
        Subspace image x, shape (rank, *space).

    Returns
    -------
    K-space, shape (coil, sample).
    """
    return torch.stack(list(forward_by_coil(encoding, image)))


def forward_by_coil(encoding: Encoding, image: SubspaceImage) -> Iterator[torch.Tensor]:
    """:func:`forward`, one coil's samples after the other, to save memory."""
    nufft = transform_of(encoding)
    for coil in encoding.coils:
        yield _forward_coil(encoding, nufft, image, coil)


def adjoint(
    encoding: Encoding, kspace: Iterable[torch.Tensor], weights: SampleWeights | None = None
) -> SubspaceImage:
    """A^H W y.

    Parameters
    ----------
    encoding
        The operator A.
    kspace
        y, shape (coil, sample), or one coil's samples after the other.
    weights
        Diagonal of W, shape (sample,); None is the identity.

    Returns
    -------
    Subspace image, shape (rank, *space).
    """
    nufft = transform_of(encoding)
    image = torch.zeros(
        (encoding.basis.shape[1], *encoding.shape),
        dtype=torch.complex64,
        device=encoding.omega.device,
    )
    for samples, coil in zip(kspace, encoding.coils, strict=True):
        _add_adjoint_coil(encoding, nufft, samples, weights, coil, image)
    return image


def normal(
    encoding: Encoding, image: SubspaceImage, weights: SampleWeights | None = None
) -> SubspaceImage:
    """A^H W A x by explicit transforms, one coil at a time.

    Parameters
    ----------
    encoding
        The operator A.
    image
        Subspace image x, shape (rank, *space).
    weights
        Diagonal of W, shape (sample,); None is the identity.
    """
    nufft = transform_of(encoding)
    result = torch.zeros_like(image)
    for coil in encoding.coils:
        samples = _forward_coil(encoding, nufft, image, coil)
        _add_adjoint_coil(encoding, nufft, samples, weights, coil, result)
    return result


def _forward_coil(
    encoding: Encoding, nufft: Nufft | SegmentedNufft, image: SubspaceImage, coil: torch.Tensor
) -> torch.Tensor:
    samples = torch.zeros(len(encoding.omega), dtype=torch.complex64, device=image.device)
    for components, courses in _together(encoding, nufft, image):
        samples += (courses * nufft.forward(components * coil)).sum(0)
    return samples


def _add_adjoint_coil(
    encoding: Encoding,
    nufft: Nufft | SegmentedNufft,
    samples: torch.Tensor,
    weights: SampleWeights | None,
    coil: torch.Tensor,
    image: SubspaceImage,
) -> None:
    if weights is not None:
        samples = samples * weights
    for components, courses in _together(encoding, nufft, image):
        components.add_(coil.conj() * nufft.adjoint(courses.conj() * samples))


def _together(
    encoding: Encoding, nufft: Nufft | SegmentedNufft, image: SubspaceImage
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Views of the components that are transformed together, and their basis functions at the samples."""
    n_parts = math.ceil(len(image) / nufft.at_once)
    parts = zip(image.chunk(n_parts), encoding.basis.T.chunk(n_parts), strict=True)
    for components, courses in parts:
        yield components, courses[:, encoding.frame]

"""The inverse problem y = A x + n of one slice or volume."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import torch

from mri2qmap_bids.recon.acquisition.noise import whitening_matrix
from mri2qmap_bids.recon.acquisition.scan import RawScan
from mri2qmap_bids.recon.arrays import (
    NoiseDeviation,
    SampleWeights,
    SubspaceImage,
    VirtualKSpace,
)
from mri2qmap_bids.recon.encoding import toeplitz
from mri2qmap_bids.recon.encoding.circulant import (
    Circulant,
    circulant_of,
    filtered,
    support_penalty,
)
from mri2qmap_bids.recon.encoding.coils import compress_coils, estimate_sensitivities
from mri2qmap_bids.recon.encoding.forward import Encoding, adjoint, normal
from mri2qmap_bids.recon.encoding.off_resonance import off_resonance
from mri2qmap_bids.recon.encoding.preconditioner import preconditioner
from mri2qmap_bids.recon.encoding.shared_positions import shared_positions
from mri2qmap_bids.recon.grid import encoded_support, widened
from mri2qmap_bids.recon.planning.plan import Plan
from mri2qmap_bids.recon.shared_data import SharedData

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class InverseProblem:
    """y = A x + n of one slice or volume, with the operators that a solver needs."""

    encoding: Encoding
    """A."""
    kspace: VirtualKSpace
    """y, within the k-space extent of the grid."""
    plan: Plan = Plan()
    """How A^H A is applied, and in which batch sizes."""
    weights: SampleWeights | None = None
    """Diagonal of W, shape (sample,); None is the identity."""
    unsampled: torch.Tensor | None = None
    """Penalty of frequencies that were not sampled, relative to the level, shape (rank, *space); None:
    computed from these samples and weights."""

    @cached_property
    def projection(self) -> SubspaceImage:
        """A^H W y."""
        return adjoint(self.encoding, self.kspace, self.weights)

    @cached_property
    def _operator(self) -> toeplitz.ToeplitzNormal | toeplitz.SegmentedNormal | None:
        plan = self.plan
        if plan.normal == "transforms":
            return None
        operator = (
            toeplitz.toeplitz_normal if self.encoding.field is None else toeplitz.segmented_normal
        )
        return operator(
            self.encoding, self.weights, plan.storage, plan.by_blocks, plan.coils_at_once
        )

    @cached_property
    def circulant(self) -> Circulant:
        """Circulant approximation of A^H W A, in the host's memory."""
        circulant = circulant_of(self.encoding, self._operator, self.weights)
        # It is read once in each of a few solves; GPU memory is reserved for what every step needs.
        return Circulant(circulant.upper.cpu())

    @cached_property
    def support(self) -> torch.Tensor:
        """Penalty of frequencies that were not sampled, shape (rank, *space)."""
        if self.unsampled is not None:
            return self.circulant.level * self.unsampled
        return support_penalty(self.circulant).to(self.encoding.omega.device)

    @cached_property
    def normal(self) -> Callable[[SubspaceImage], SubspaceImage]:
        """A^H W A + F^H support F as a function of an image, which returns a new array."""
        return self._filtered_normal(self.support)

    def prepared(self) -> "InverseProblem":
        """The same problem, once what ``normal`` needs is computed."""
        self._filtered_normal(self.support)
        return self

    def normal_with(
        self, penalty: torch.Tensor | float
    ) -> Callable[[SubspaceImage], SubspaceImage]:
        """``normal`` + F^H penalty F as a function of an image, which returns a new array."""
        return self._filtered_normal(self.support + penalty)

    def _filtered_normal(self, total: torch.Tensor) -> Callable[[SubspaceImage], SubspaceImage]:
        """A^H W A + F^H total F."""
        operator = self._operator
        product: Callable[[SubspaceImage], SubspaceImage]
        if operator is None:
            product = partial(normal, self.encoding, weights=self.weights)
        elif isinstance(operator, toeplitz.SegmentedNormal):
            product = partial(toeplitz.apply_segmented, operator)
        else:
            product = partial(toeplitz.apply, operator)
        return lambda image: product(image).add_(filtered(image, total))

    def preconditioner(
        self, penalty: torch.Tensor | float = 0.0
    ) -> Callable[[SubspaceImage], SubspaceImage]:
        """Approximate inverse of ``normal`` + F^H penalty F, as a function of an image."""
        return preconditioner(
            self.circulant, self.encoding.coils, self.support + penalty, self.plan.coils_at_once
        )


def inverse_problem(
    shared: SharedData, index: int, plan: Plan | None = None, b0: torch.Tensor | None = None
) -> InverseProblem:
    """Whiten and compress the coils, estimate their sensitivities and set up the encoding.

    Parameters
    ----------
    shared
        What all slices share.
    index
        Number of the slice; 0 for a volume.
    plan
        Batch sizes; None takes small ones.
    b0
        Off-resonance [Hz] on the grid of the maps; None: none. Beyond it the values of its edge go on.
    """
    samples, dictionary, geometry = shared.scan.slices[index], shared.dictionary, shared.geometry
    device = dictionary.atoms.device
    n_dim = samples.trajectory.shape[1]
    voxel_size = geometry.voxel_size[-n_dim:]
    support = encoded_support(
        geometry.matrix[-n_dim:], voxel_size, shared.scan.encoded_fov[-n_dim:]
    )
    omega = 2 * torch.pi * samples.trajectory.flip(1) * torch.tensor(voxel_size)
    # A sample outside the k-space extent of the grid would alias.
    inside = (omega.abs() <= torch.pi * 1.0001).all(dim=1)
    frame, raw, time = samples.frame, samples.kspace, samples.time
    if not inside.all():
        omega, frame, raw = omega[inside], frame[inside], raw[:, inside]
        time = None if time is None else time[inside]
    # On the host, so that only the virtual coils need GPU memory.
    kspace = compress_coils(raw, shared.options.n_virtual_coils, shared.whitening).to(device)
    omega, frame = omega.to(device), frame.to(device)
    contrast = dictionary.basis[:, 0].conj()[frame]
    field = None
    if b0 is not None and time is not None:
        field = off_resonance(widened(b0, support), time.to(device))
    coils = estimate_sensitivities(kspace, omega, contrast, support, field=field)
    encoding = Encoding(omega, frame, dictionary.basis, coils, field, shared_positions(omega))
    return InverseProblem(encoding, kspace, plan or Plan())


def whitening_of(scan: RawScan) -> torch.Tensor | None:
    """Whitening matrix of the coils (noise of variance 1); None without a usable noise scan."""
    if scan.noise is None:
        logger.warning("No noise scan in the file: coils are not prewhitened")
        return None
    try:
        return whitening_matrix(scan.noise)
    except ValueError as error:
        logger.warning("Coils are not prewhitened: %s", error)
        return None


def noise_like(
    problem: InverseProblem, noise: float, generator: torch.Generator
) -> Iterator[torch.Tensor]:
    """Synthetic noise, coil by coil, to be reconstructed like the data (replica).

    References
    ----------
    Robson et al., Comprehensive quantification of signal-to-noise ratio and g-factor (2008),
    doi:10.1002/mrm.21728.
    """
    for samples in problem.kspace:
        white = noise * complex_noise((len(samples),), generator).to(samples.device)
        yield white if problem.weights is None else white / problem.weights.sqrt()


def deviation_of(error: SubspaceImage) -> NoiseDeviation:
    """Standard deviation of the real and the imaginary part of every component of an error image."""
    return torch.view_as_real(error).flatten(1).square().mean(1).sqrt()


def complex_noise(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Complex Gaussian random numbers of variance 1, the same on every device."""
    parts = torch.randn((*shape, 2), generator=generator) / 2**0.5
    return torch.view_as_complex(parts)

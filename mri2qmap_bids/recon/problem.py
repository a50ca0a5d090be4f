"""The inverse problem y = A x + n of one slice or volume, and its solution without a learned prior."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import torch

from mri2qmap_bids.recon.acquisition.geometry import Geometry
from mri2qmap_bids.recon.acquisition.raw import RawScan, SliceSamples
from mri2qmap_bids.recon.arrays import (
    NoiseDeviation,
    SampleWeights,
    SubspaceImage,
    VirtualKSpace,
)
from mri2qmap_bids.recon.cost import Plan
from mri2qmap_bids.recon.encoding import toeplitz
from mri2qmap_bids.recon.encoding.circulant import (
    Circulant,
    circulant_of,
    filtered,
    inverse,
    support_penalty,
)
from mri2qmap_bids.recon.encoding.coils import compress_coils, estimate_sensitivities
from mri2qmap_bids.recon.encoding.density import density_compensation
from mri2qmap_bids.recon.encoding.forward import Encoding, adjoint, normal
from mri2qmap_bids.recon.encoding.preconditioner import preconditioner
from mri2qmap_bids.recon.encoding.resolution import empty_shells
from mri2qmap_bids.recon.encoding.variance import residual_variance, sample_weights
from mri2qmap_bids.recon.options import (
    DENSITY_STEPS,
    LEAST_SQUARES_STEPS,
    REPLICA_STEPS,
    ReconMethod,
    ReconOptions,
)
from mri2qmap_bids.recon.physics.dictionary import Dictionary
from mri2qmap_bids.recon.pnp.least_squares import (
    Iterate,
    component_lengths,
    conjugate_gradient,
)
from mri2qmap_bids.recon.pnp.low_rank import LocallyLowRank
from mri2qmap_bids.recon.pnp.smoothness import energies, power_law, smoothness_penalty
from mri2qmap_bids.recon.pnp.splitting import Regulariser, SplitTerm, alternating_directions
from mri2qmap_bids.recon.pnp.total_variation import (
    TotalVariation,
    differences_spectrum,
    mean_difference,
)
from mri2qmap_bids.recon.record import Record

logger = logging.getLogger(__name__)

# Distance to the minimiser, in every component, at which conjugate gradients end: relative to the
# uncertainty of that component, or to the length of the whole image, whichever is longer.
_OF_UNCERTAINTY, _OF_IMAGE = 0.03, 3e-4
# A bound on steps is reported where the image is still so far from the minimiser.
_FAR = 1e-2
# Rounds of fitting the image's energy and solving with the smoothness that follows from it.
_ROUNDS = 2
# Least squares begin anew, with less smoothness, where their image leaves less than this part of the
# noise that was believed: without noise, a density-compensated image errs more than the data do.
_LESS_NOISE, _NOISE_ROUNDS = 0.7, 6
# Penalty of alternating directions, as so many mean differences of the start (lrtv) and as a part of
# the level of A^H A (llr): chosen for the fewest steps on development scans.
_MEAN_DIFFERENCES = 6.0
_LEVELS = 0.3
# Of alternating directions: a low rank splits the image itself, whose changes are smaller.
_SPLIT_TOLERANCE = {"lrtv": 3e-3, "llr": 1e-3}
# Total variation weighs a component by (largest mean difference / its own) to this power: 0 treats
# all alike, 1 is the most likely weight if differences are exponentially distributed.
_DIFFERENCE_POWER = 0.25


@dataclass(frozen=True, eq=False)
class InverseProblem:
    """y = A x + n of one slice or volume, with all that a solver needs of it."""

    encoding: Encoding
    """A."""
    kspace: VirtualKSpace
    """y, inside the band of the grid."""
    plan: Plan = Plan()
    """How A^H A is applied, and how much is done at once."""
    weights: SampleWeights | None = None
    """Diagonal of W, shape (sample,); None is the identity."""
    unsampled: torch.Tensor | None = None
    """Penalty of frequencies that were not sampled, relative to the level, shape (rank, *space); None:
    as these samples and weights say."""

    @cached_property
    def projection(self) -> SubspaceImage:
        """A^H W y."""
        return adjoint(self.encoding, self.kspace, self.weights)

    @cached_property
    def _operator(self) -> toeplitz.ToeplitzNormal | None:
        plan = self.plan
        if plan.normal == "transforms":
            return None
        return toeplitz.toeplitz_normal(
            self.encoding, self.weights, plan.storage, plan.by_blocks, plan.coils_at_once
        )

    @cached_property
    def circulant(self) -> Circulant:
        """What A^H W A does to every frequency, in the host's memory."""
        circulant = circulant_of(self.encoding, self._operator, self.weights)
        # A few solves read it once each; a GPU's memory is for what every step needs.
        return Circulant(circulant.upper.cpu())

    @cached_property
    def support(self) -> torch.Tensor:
        """Penalty of frequencies that were not sampled, shape (rank, *space)."""
        if self.unsampled is not None:
            return self.circulant.level * self.unsampled
        return support_penalty(self.circulant).to(self.encoding.omega.device)

    @cached_property
    def normal(self) -> Callable[[SubspaceImage], SubspaceImage]:
        """A^H W A + F^H support F as a function of an image."""
        operator, support = self._operator, self.support
        product = (
            partial(normal, self.encoding, weights=self.weights)
            if operator is None
            else partial(toeplitz.apply, operator)
        )
        return lambda image: product(image) + filtered(image, support)

    def preconditioner(
        self, penalty: torch.Tensor | float = 0.0
    ) -> Callable[[SubspaceImage], SubspaceImage]:
        """About the inverse of ``normal`` + F^H penalty F, as a function of an image."""
        return preconditioner(
            self.circulant, self.encoding.coils, self.support + penalty, self.plan.coils_at_once
        )


def inverse_problem(
    samples: SliceSamples,
    scan: RawScan,
    geometry: Geometry,
    dictionary: Dictionary,
    options: ReconOptions,
    whitening: torch.Tensor | None = None,
    plan: Plan | None = None,
) -> InverseProblem:
    """Whiten and compress the coils, estimate their sensitivities and set up the encoding.

    Parameters
    ----------
    samples
        Samples of one slice or volume of the scan.
    scan
        The scan they are of.
    geometry
        The grid to reconstruct.
    dictionary
        Fingerprints and subspace, on the device to compute on.
    options
        How a scan is reconstructed.
    whitening
        From :func:`whitening_of`; None: the samples are white already.
    plan
        How much to do at once; None takes small steps.
    """
    device = dictionary.atoms.device
    n_dim = samples.trajectory.shape[1]
    voxel_size = geometry.voxel_size[-n_dim:]
    support = encoded_support(geometry.matrix[-n_dim:], voxel_size, scan.encoded_fov[-n_dim:])
    omega = 2 * torch.pi * samples.trajectory.flip(1) * torch.tensor(voxel_size)
    # Beyond the grid's own band a sample would alias onto it.
    inside = (omega.abs() <= torch.pi * 1.0001).all(dim=1)
    frame, raw = samples.frame, samples.kspace
    if not inside.all():
        omega, frame, raw = omega[inside], frame[inside], raw[:, inside]
    for message in empty_shells(omega, support, voxel_size):
        logger.warning(message)
    # On the host, so that no more than the virtual coils need fit a GPU.
    kspace = compress_coils(raw, options.n_virtual_coils, whitening).to(device)
    omega, frame = omega.to(device), frame.to(device)
    contrast = dictionary.basis[:, 0].conj()[frame]
    coils = estimate_sensitivities(kspace, omega, contrast, support)
    encoding = Encoding(omega=omega, frame=frame, basis=dictionary.basis, coils=coils)
    return InverseProblem(encoding, kspace, plan or Plan())


def encoded_support(
    matrix: tuple[int, ...], voxel_size: tuple[float, ...], encoded_fov: tuple[float, ...]
) -> tuple[int, ...]:
    """Grid that covers all the encoding sees, at the target's voxel size."""
    return tuple(
        max(n, int(np.ceil(fov / size - 0.01)))
        for n, size, fov in zip(matrix, voxel_size, encoded_fov, strict=True)
    )


@dataclass(frozen=True, eq=False)
class Start:
    """An image without a learned prior, with the problem as its noise turned out to be."""

    problem: InverseProblem
    """With the samples weighted by the variance of what the model leaves of them."""
    image: SubspaceImage
    """x."""
    deviation: NoiseDeviation
    """Standard deviation of the error in the real and the imaginary part of every component of the
    least-squares image, at the frequencies that were sampled, shape (rank,)."""
    noise: float
    """Standard deviation of a sample's complex noise."""
    correction: SubspaceImage
    """About what is missing from ``image`` to the minimiser, shape (rank, *space)."""
    smoothness: torch.Tensor
    """Penalty of the least-squares image's smoothness term, shape (rank, *space)."""
    converged: bool = True
    """Whether the solver met its criterion."""

    @property
    def response(self) -> torch.Tensor:
        """Transfer function of the first component of the least-squares image, shape (*space)."""
        circulant, penalty = self.problem.circulant, self.problem.support + self.smoothness
        solved = inverse(circulant, penalty)
        # (C + L)^-1 C = 1 - (C + L)^-1 L
        return (1 - solved.diagonal[0] * penalty[0]).clamp(0, 1)


def start_of(
    problem: InverseProblem,
    method: ReconMethod,
    options: ReconOptions,
    record: Record | None = None,
) -> Start:
    """Solve y = A x without a learned prior.

    1. Least squares with density-compensated samples, which converge in a few steps on any
    trajectory; 2. the variance of what they leave in every shell of k-space: noise, and more
    where the model errs; 3. generalised least squares, every sample weighted by its inverse
    variance, with a Tikhonov term towards smooth images whose strength follows from the noise and
    from the image's energy (:func:`smoothness_penalty`); 4. for lrtv and llr instead of that term
    their regulariser, from that image on.

    Parameters
    ----------
    problem
        From :func:`inverse_problem`; its weights are replaced.
    method
        subspace, lrtv or llr.
    options
        Steps, weight and seed.
    record
        Takes notes of time and steps.
    """
    record = record or Record()
    options = replace(options, method=method)
    with record.stage("encoding"):
        first, problem = _density_compensated(problem)
    with record.stage("noise"):
        variance = residual_variance(problem.encoding, problem.kspace, first)
    for _ in range(_NOISE_ROUNDS):
        with record.stage("noise"):
            weights = sample_weights(problem.encoding.omega, variance)
        with record.stage("encoding"):
            problem = replace(problem, weights=weights)
            assert callable(problem.normal)
        smooth = _least_squares(problem, first, variance.noise, options, record)
        with record.stage("noise"):
            again = residual_variance(problem.encoding, problem.kspace, smooth.image)
        if again.noise > _LESS_NOISE * variance.noise:
            break
        # What was taken for noise was an image that had not converged.
        first, variance = smooth.image, again
    if method not in ("lrtv", "llr"):
        return smooth
    with record.stage(method):
        return _regularised(smooth, options, record)


def _density_compensated(problem: InverseProblem) -> tuple[SubspaceImage, InverseProblem]:
    """A few steps of least squares with the samples weighted by the area that each stands for.

    Returns the image, and the problem with the frequencies that were not sampled: where the
    density is evened out they stand out, while a low weight of the samples' variance looks
    like none at all.
    """
    encoding = problem.encoding
    density = density_compensation(encoding.omega, encoding.shape)
    density = density / density[:: len(density) // 1_000_000 + 1].median()
    weighted = replace(problem, weights=density)
    approximate = weighted.preconditioner()
    solution = conjugate_gradient(
        weighted.normal,
        weighted.projection,
        DENSITY_STEPS,
        tolerance=_FAR / 2,
        preconditioner=approximate,
    )
    unsampled = weighted.support / weighted.circulant.level
    return solution.image, replace(problem, unsampled=unsampled)


def _least_squares(
    problem: InverseProblem,
    first: SubspaceImage,
    noise: float,
    options: ReconOptions,
    record: Record,
) -> Start:
    """Generalised least squares with the smoothness term, and a sample of its error.

    The error is that of an image drawn at random with the power that the term assumes, seen
    through A with noise drawn at random and solved for in the same way: a draw from the posterior
    about the image, with its noise and its bias.

    References
    ----------
    Papandreou and Yuille, Perturb-and-MAP random fields (2011), doi:10.1109/ICCV.2011.6126242.
    """
    scale = options.weight if options.method == "subspace" else 1.0
    law = power_law(problem.encoding.shape, first.device)
    level = problem.circulant.level
    noisy = noise**2 * inverse(problem.circulant, problem.support + 0.01 * level).diagonal
    energy = energies(first, law, noisy)
    generator = torch.Generator().manual_seed(options.random_seed)
    with record.stage("noise"):
        replica = adjoint(problem.encoding, noise_like(problem, noise, generator), problem.weights)
        white = _white(tuple(first.shape), generator).to(first.device)
    image, error = first, torch.zeros_like(first)
    most = options.iterations if options.method == "subspace" else LEAST_SQUARES_STEPS
    watch = record.watch("subspace")
    for number in range(_ROUNDS):
        smoothness = smoothness_penalty(energy, law, noise, scale)
        approximate = problem.preconditioner(smoothness)

        def product(x: SubspaceImage, penalty: torch.Tensor = smoothness) -> SubspaceImage:
            return problem.normal(x) + filtered(x, penalty)

        with record.stage("noise"):
            drawn = filtered(white, smoothness.sqrt() * noise)
            error = conjugate_gradient(
                product, replica - drawn, REPLICA_STEPS, error, 0.05, approximate
            ).image
        last = number == _ROUNDS - 1
        limit = (_OF_UNCERTAINTY * component_lengths(error)).clamp_min(
            _OF_IMAGE * float(component_lengths(image).norm())
        )
        with record.stage("least squares"):
            solution = conjugate_gradient(
                product,
                problem.projection,
                most if last else max(1, most // 2),
                image,
                limit,
                approximate,
                watch,
            )
        image = solution.image
        if not last:
            # The expected energy given the data: of the image and of its error (EM).
            energy = energies(image, law) + energies(error, law)
    _report(solution, most)
    return Start(
        problem=problem,
        image=image,
        deviation=deviation_of(error),
        noise=noise,
        correction=solution.correction,
        smoothness=smoothness,
        converged=solution.converged,
    )


def _report(solution: Iterate, most: int) -> None:
    """Say that a bound was hit, if the image is still far from the minimiser."""
    whole = float(component_lengths(solution.image).norm())
    distance = float(component_lengths(solution.correction).norm()) / max(whole, 1e-30)
    logger.info(
        "Least squares: %d steps in the last round, distance %.2g of the image",
        solution.n_steps,
        distance,
    )
    if not solution.converged and distance > _FAR:
        logger.warning(
            "Least squares have not converged: %d steps, the bound, left a distance of about %.1f %% "
            "of the image to the minimiser",
            most,
            100 * distance,
        )


def _regularised(start: Start, options: ReconOptions, record: Record) -> Start:
    """Minimise 1/2 |A x - y|_W^2 + weight noise R(x), with R that of the method lrtv or llr.

    ``noise`` is the standard deviation of the noise in A^H y away from the centre of k-space.
    Relative to it, one weight holds for data of any unit, noise, size and number of samples.
    """
    if options.weight == 0:
        return start
    problem = start.problem
    level = problem.circulant.level
    weight = options.weight * start.noise * level**0.5
    regulariser: Regulariser
    if options.method == "lrtv":
        regulariser = TotalVariation()
        steps = mean_difference(start.image)
        steps = steps.clamp_min(1e-6 * float(steps.max()))
        weights = weight * (steps.max() / steps) ** _DIFFERENCE_POWER
        penalty = weights / (_MEAN_DIFFERENCES * steps)
        spectrum = differences_spectrum(problem.encoding.shape, start.image.device)
    else:
        regulariser = LocallyLowRank()
        weights = torch.full_like(start.deviation, weight)
        penalty = torch.full_like(start.deviation, _LEVELS * level)
        spectrum = torch.ones((), device=start.image.device)
    shaped = penalty.view(-1, *[1] * (start.image.ndim - 1)) * spectrum
    solution = alternating_directions(
        problem.normal,
        problem.projection,
        SplitTerm(regulariser, weights, penalty),
        problem.preconditioner(shaped),
        start.image,
        options.iterations,
        tolerance=_SPLIT_TOLERANCE[options.method],
        watch=record.watch(options.method),
    )
    logger.info(
        "%s: %d steps%s",
        options.method,
        solution.n_steps,
        "" if solution.converged else ", the bound; the criterion is not met",
    )
    return replace(
        start,
        image=solution.image,
        correction=solution.correction,
        converged=solution.converged,
    )


def noise_like(
    problem: InverseProblem, noise: float, generator: torch.Generator
) -> Iterator[torch.Tensor]:
    """Noise alone, coil by coil, to go the way of the data and tell how noisy the image is.

    References
    ----------
    Robson et al., Comprehensive quantification of signal-to-noise ratio and g-factor (2008),
    doi:10.1002/mrm.21728.
    """
    for samples in problem.kspace:
        white = noise * _white((len(samples),), generator).to(samples.device)
        yield white if problem.weights is None else white / problem.weights.sqrt()


def deviation_of(error: SubspaceImage) -> NoiseDeviation:
    """Of the real and the imaginary part of every component of an image of errors."""
    return torch.view_as_real(error).flatten(1).square().mean(1).sqrt()


def _white(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Complex Gaussian numbers of variance 1, the same on every device."""
    parts = torch.randn((*shape, 2), generator=generator) / 2**0.5
    return torch.view_as_complex(parts)

"""Least squares with a smoothness term: the image that every method but gridding begins with."""

import logging
from dataclasses import dataclass, replace

import torch

from mri2qmap_bids.recon.arrays import NoiseDeviation, SubspaceImage
from mri2qmap_bids.recon.encoding.circulant import filtered, inverse
from mri2qmap_bids.recon.encoding.density import density_compensation
from mri2qmap_bids.recon.encoding.forward import adjoint
from mri2qmap_bids.recon.encoding.variance import residual_variance, sample_weights
from mri2qmap_bids.recon.priors.smoothness import energies, power_law, smoothness_penalty
from mri2qmap_bids.recon.problem import (
    InverseProblem,
    complex_noise,
    deviation_of,
    noise_like,
)
from mri2qmap_bids.recon.record import Record
from mri2qmap_bids.recon.solvers.conjugate_gradient import (
    Iterate,
    component_lengths,
    conjugate_gradient,
)

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


@dataclass(frozen=True)
class LeastSquaresSettings:
    """How least squares are solved; all steps are bounds."""

    density_steps: int = 6
    """Conjugate-gradient steps of the density-compensated image that they begin with."""
    steps: int = 24
    """Conjugate-gradient steps of the image itself."""
    replica_steps: int = 8
    """Conjugate-gradient steps of the sample of the image's error."""
    weight: float = 1.0
    """Of the smoothness term, relative to what noise and image suggest."""

    @property
    def n_normal(self) -> int:
        """Applications of A^H A, at most: two rounds, each with its first residual."""
        return self.density_steps + self.steps + self.steps // 2 + 2 * self.replica_steps + 4


@dataclass(frozen=True, eq=False)
class PenalisedImage:
    """A minimiser of |A x - y|_W^2 + penalty, with the problem as its noise turned out to be."""

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


def least_squares(
    problem: InverseProblem,
    settings: LeastSquaresSettings,
    random_seed: int = 0,
    record: Record | None = None,
) -> PenalisedImage:
    """Solve y = A x with a smoothness term.

    1. Least squares with density-compensated samples, which converge in a few steps on any
    trajectory; 2. the variance of what they leave in every shell of k-space: noise, and more
    where the model errs; 3. generalised least squares, every sample weighted by its inverse
    variance, with a Tikhonov term towards smooth images whose strength follows from the noise and
    from the image's energy (:func:`smoothness_penalty`).

    Parameters
    ----------
    problem
        From :func:`inverse_problem`; its weights are replaced.
    settings
        Steps and weight.
    random_seed
        Of the sample of the image's error.
    record
        Takes notes of time and steps.
    """
    record = record or Record()
    with record.stage("encoding"):
        first, problem = _density_compensated(problem, settings.density_steps)
    with record.stage("noise"):
        variance = residual_variance(problem.encoding, problem.kspace, first)
    for _ in range(_NOISE_ROUNDS):
        with record.stage("noise"):
            weights = sample_weights(problem.encoding.omega, variance)
        with record.stage("encoding"):
            problem = replace(problem, weights=weights)
            assert callable(problem.normal)
        smooth = _weighted(problem, first, variance.noise, settings, random_seed, record)
        with record.stage("noise"):
            again = residual_variance(problem.encoding, problem.kspace, smooth.image)
        if again.noise > _LESS_NOISE * variance.noise:
            break
        # What was taken for noise was an image that had not converged.
        first, variance = smooth.image, again
    return smooth


def _density_compensated(
    problem: InverseProblem, n_steps: int
) -> tuple[SubspaceImage, InverseProblem]:
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
        n_steps,
        tolerance=_FAR / 2,
        preconditioner=approximate,
    )
    unsampled = weighted.support / weighted.circulant.level
    return solution.image, replace(problem, unsampled=unsampled)


def _weighted(
    problem: InverseProblem,
    first: SubspaceImage,
    noise: float,
    settings: LeastSquaresSettings,
    random_seed: int,
    record: Record,
) -> PenalisedImage:
    """Generalised least squares with the smoothness term, and a sample of its error.

    The error is that of an image drawn at random with the power that the term assumes, seen
    through A with noise drawn at random and solved for in the same way: a draw from the posterior
    about the image, with its noise and its bias.

    References
    ----------
    Papandreou and Yuille, Perturb-and-MAP random fields (2011), doi:10.1109/ICCV.2011.6126242.
    """
    law = power_law(problem.encoding.shape, first.device)
    level = problem.circulant.level
    noisy = noise**2 * inverse(problem.circulant, problem.support + 0.01 * level).diagonal
    energy = energies(first, law, noisy)
    generator = torch.Generator().manual_seed(random_seed)
    with record.stage("noise"):
        replica = adjoint(problem.encoding, noise_like(problem, noise, generator), problem.weights)
        white = complex_noise(tuple(first.shape), generator).to(first.device)
    image, error = first, torch.zeros_like(first)
    most, watch = settings.steps, record.watch("subspace")
    for number in range(_ROUNDS):
        smoothness = smoothness_penalty(energy, law, noise, settings.weight)
        approximate = problem.preconditioner(smoothness)

        def product(x: SubspaceImage, penalty: torch.Tensor = smoothness) -> SubspaceImage:
            return problem.normal(x) + filtered(x, penalty)

        with record.stage("noise"):
            drawn = filtered(white, smoothness.sqrt() * noise)
            error = conjugate_gradient(
                product, replica - drawn, settings.replica_steps, error, 0.05, approximate
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
    return PenalisedImage(
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

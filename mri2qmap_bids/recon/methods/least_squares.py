"""Least squares with a smoothness term: the initial image of every method except gridding."""

import logging
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from mri2qmap_bids.recon.arrays import NoiseDeviation, SubspaceImage
from mri2qmap_bids.recon.encoding.circulant import filtered, first_of_inverse, inverse
from mri2qmap_bids.recon.encoding.density import density_compensation
from mri2qmap_bids.recon.encoding.forward import adjoint
from mri2qmap_bids.recon.encoding.variance import residual_variance, sample_weights
from mri2qmap_bids.recon.planning.work import StageWork
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

# Distance to the minimiser, in every component, at which conjugate gradients stop: relative to the
# uncertainty of that component, or to the norm of the whole image, whichever gives the larger limit.
_OF_UNCERTAINTY, _OF_IMAGE = 0.03, 3e-4
# The image of the first round, of which only the energy is used, may be so many times as far away.
_FIRST_ROUND = 5.0
# A warning is logged if the maximum number of steps is reached at a larger relative distance.
_FAR = 1e-2
# Steps that most trajectories need; a two-turn spiral in little noise needs 60.
_TYPICAL_STEPS = 24
# Steps whose progress is compared in the last round.
_WINDOW = 4
# Rounds of fitting the image's energy and solving with the resulting smoothness term.
_ROUNDS = 2
# Least squares are repeated, with less smoothness, if the residual noise is below this fraction of the
# estimate: in data with little noise, the density-compensated image has a larger error than the data.
_LESS_NOISE, _NOISE_ROUNDS = 0.7, 6


@dataclass(frozen=True)
class LeastSquaresSettings:
    """Parameters of the least-squares solver; numbers of steps are maxima."""

    density_steps: int = 6
    """Conjugate-gradient steps of the initial density-compensated image."""
    steps: int = 60
    """Conjugate-gradient steps of the image itself."""
    replica_steps: int = 8
    """Conjugate-gradient steps of the sample of the image's error."""
    weight: float = 1.0
    """Weight of the smoothness term, relative to the value that follows from noise and image."""

    @property
    def work(self) -> tuple[StageWork, ...]:
        """Applications of A^H A in every stage, in as many steps as most trajectories need."""
        steps = min(self.steps, _TYPICAL_STEPS)
        return (
            # The data, weighted by density, then by variance.
            StageWork("encoding", self.density_steps, n_transforms=2),
            # The replica, and the predictions of two images.
            StageWork("noise", _ROUNDS * (self.replica_steps + 1), n_transforms=3),
            StageWork("least squares", steps + steps // 2 + _ROUNDS),
        )


@dataclass(frozen=True, eq=False)
class PenalisedImage:
    """A minimiser of |A x - y|_W^2 + penalty, and the problem with the estimated sample weights."""

    problem: InverseProblem
    """With the samples weighted by their inverse residual variance."""
    image: SubspaceImage
    """x."""
    deviation: NoiseDeviation
    """Standard deviation of the error in the real and the imaginary part of every component of the
    least-squares image, at the frequencies that were sampled, shape (rank,)."""
    noise: float
    """Standard deviation of a sample's complex noise."""
    correction: SubspaceImage
    """Estimated difference between ``image`` and the minimiser, shape (rank, *space)."""
    smoothness: torch.Tensor
    """Penalty of the least-squares image's smoothness term, shape (rank, *space)."""
    replica: SubspaceImage
    """A^H W of the synthetic noise of which ``deviation`` is a result, in the host's memory, shape (rank, *space)."""
    converged: bool = True
    """Whether the solver met its criterion."""

    @cached_property
    def response(self) -> torch.Tensor:
        """Transfer function of the first component of the least-squares image, shape (*space)."""
        circulant, penalty = self.problem.circulant, self.problem.support + self.smoothness
        # (C + L)^-1 C = 1 - (C + L)^-1 L
        return (1 - first_of_inverse(circulant, penalty) * penalty[0]).clamp(0, 1)


def least_squares(
    problem: InverseProblem,
    settings: LeastSquaresSettings,
    random_seed: int = 0,
    record: Record | None = None,
) -> PenalisedImage:
    """Solve y = A x with a smoothness term.

    1. Least squares with density-compensated samples, which converge in a few steps on any
    trajectory; 2. the residual variance in every shell of k-space, which contains noise and model
    error; 3. generalised least squares, every sample weighted by its inverse
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
        Records time and steps.
    """
    record = record or Record()
    with record.stage("encoding"):
        first, problem = _density_compensated(problem, settings.density_steps)
    with record.stage("noise"):
        variance = residual_variance(problem.encoding, problem.kspace, first)
    n_rounds = 0
    while True:
        with record.stage("noise"):
            weights = sample_weights(problem.encoding.omega, variance)
        with record.stage("encoding"):
            problem = replace(problem, weights=weights).prepared()
        smooth = _weighted(problem, first, variance.noise, settings, random_seed, record)
        with record.stage("noise"):
            again = residual_variance(problem.encoding, problem.kspace, smooth.image)
        n_rounds += 1
        if n_rounds == _NOISE_ROUNDS or again.noise > _LESS_NOISE * variance.noise:
            return smooth
        # Part of the estimated noise was error of an image that had not converged.
        first, variance = smooth.image, again
        # Without the kernels of this round, which would stay in memory beside the next one's.
        del smooth
        problem = replace(problem)


def _density_compensated(
    problem: InverseProblem, n_steps: int
) -> tuple[SubspaceImage, InverseProblem]:
    """A few steps of density-compensated least squares.

    Returns the image, and the problem with the penalty of the frequencies that were not sampled.
    These are determined with the density-compensation weights: with inverse-variance weights, a
    sampled frequency of low weight could not be distinguished from one that was not sampled.
    """
    encoding = problem.encoding
    density = density_compensation(encoding.omega, encoding.shape, encoding.shared)
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
    """Generalised least squares with the smoothness term, and a posterior sample of its error.

    A is applied to a random image with the power spectrum assumed by the term, random noise is
    added, and the image is solved for in the same way. The error of the result is a sample from
    the posterior distribution about the image; it contains noise and bias.

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
        product = problem.normal_with(smoothness)
        with record.stage("noise"):
            penalty_noise = filtered(white, smoothness.sqrt() * noise)
            error = conjugate_gradient(
                product, replica - penalty_noise, settings.replica_steps, error, 0.05, approximate
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
                limit if last else _FIRST_ROUND * limit,
                approximate,
                watch,
                _WINDOW if last else 0,
            )
        image = solution.image
        if not last:
            # Expected energy given the data, of the image and of its error (expectation-maximisation).
            energy = energies(image, law) + energies(error, law)
    _report(solution, most)
    return PenalisedImage(
        problem=problem,
        image=image,
        deviation=deviation_of(error),
        noise=noise,
        correction=solution.correction,
        smoothness=smoothness,
        replica=replica.cpu(),  # few methods use it
        converged=solution.converged,
    )


def _report(solution: Iterate, most: int) -> None:
    """Warn if the maximum number of steps was reached and the image is far from the minimiser."""
    whole = float(component_lengths(solution.image).norm())
    distance = float(component_lengths(solution.correction).norm()) / max(whole, 1e-30)
    logger.info(
        "Least squares: %d steps in the last round, relative distance to the minimiser about %.2g",
        solution.n_steps,
        distance,
    )
    if not solution.converged and distance > _FAR:
        logger.warning(
            "Least squares have not converged: %d steps, the maximum, were taken, and the distance to the "
            "minimiser is about %.1f %% of the image",
            most,
            100 * distance,
        )

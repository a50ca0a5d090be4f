"""lrtv: least squares in the temporal subspace with joint total variation."""

from dataclasses import dataclass

import torch

from mri2qmap_bids.recon.arrays import NoiseDeviation, SubspaceImage
from mri2qmap_bids.recon.methods.base import Curve
from mri2qmap_bids.recon.methods.least_squares import LeastSquaresSettings, PenalisedImage
from mri2qmap_bids.recon.methods.regularised import (
    Regularisation,
    Splitting,
    regularised_method,
)
from mri2qmap_bids.recon.planning.size import ProblemSize
from mri2qmap_bids.recon.planning.work import SplitCost
from mri2qmap_bids.recon.priors.total_variation import (
    TotalVariation,
    differences_spectrum,
    edge_weights,
    mean_difference,
    mean_joint_difference,
)
from mri2qmap_bids.recon.solvers.alternating_directions import SplitTerm

_COPIES = 6  # arrays of the differences of one component, each with an image for every axis
_TINY = 1e-30


@dataclass(frozen=True)
class LrtvSettings:
    """Weights of total variation, and parameters of the splitting."""

    start: LeastSquaresSettings = LeastSquaresSettings()
    """Settings of the least-squares image."""
    tolerance: float = 3e-3
    """Tolerance of ADMM."""
    first_tolerance: float = 0.0
    """Tolerance of ADMM in a first round, whose image determines how much every voxel weighs in the second
    (:func:`edge_weights`); 0: one round, in which all voxels weigh the same."""
    edges_known: float = 0.2
    """Mean of the least-squares image's transfer function below which there is one round all the same: a first image
    that lacks most of k-space is too blurred to show edges (2D development scans have 0.32 to 0.78, a 3 mm volume
    0.07)."""
    strength: float = 12.0
    """kappa of :func:`component_weights` (chosen on eleven development scans)."""
    mean_differences: float = 1.4
    """ADMM penalty, set so that the threshold of the proximal map is this many mean differences of the
    initial image (chosen for the fewest steps on development scans)."""
    difference_power: float = 0.5
    """A component is weighted by (largest mean difference / its own) to this power: 0 weights all
    equally, 1 makes the mean difference of all components the same."""


def component_weights(
    image: SubspaceImage, deviation: NoiseDeviation, level: float, settings: LrtvSettings
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight of total variation in every component, and the ADMM penalty that suits it; each of shape (rank,).

    Weak components have the larger weights, (D_max / D_i)^p times

        lambda = kappa L s^2 / d,

    in 1/2 |A x - y|_W^2 + lambda TV(x), with D_i a component's mean difference between neighbours, d the mean
    joint difference, L the level of A^H W A, s the deviation of the noisiest component and kappa and p of the
    settings. As in the maximum-a-posteriori estimate for differences with an exponential distribution, lambda is a
    variance over the size of the differences: images of much texture or little noise are smoothed less. The penalty
    is proportional to the square of the weight.

    Parameters
    ----------
    image, deviation
        The least-squares image and its deviation.
    level
        L.
    settings
        Strength kappa, power p and threshold of the proximal map.

    References
    ----------
    Chang, Yu and Vetterli, Adaptive wavelet thresholding for image denoising and compression (2000),
    doi:10.1109/83.862633. Oliveira, Bioucas-Dias and Figueiredo, Adaptive total variation image deblurring (2009),
    doi:10.1016/j.sigpro.2009.03.018.
    """
    steps = mean_difference(image)
    steps = steps.clamp_min(1e-6 * float(steps.max()))
    relative = (steps.max() / steps) ** settings.difference_power
    mean = max(mean_joint_difference(image, relative), _TINY)
    strength = settings.strength * level * float(deviation.max()) ** 2 / mean
    return strength * relative, strength / (settings.mean_differences * mean) * relative**2


def _splitting(start: PenalisedImage, weight: float, settings: LrtvSettings) -> Splitting:
    """Total variation with :func:`component_weights`."""
    level = start.problem.circulant.level
    weights, penalty = component_weights(start.image, start.deviation, level, settings)
    spectrum = differences_spectrum(start.problem.encoding.shape, start.image.device)
    return SplitTerm(TotalVariation(), weight * weights, weight * penalty), spectrum


def with_edge_weights(term: SplitTerm, image: SubspaceImage) -> SplitTerm:
    """Total variation that spares the edges of an image (:func:`edge_weights`).

    Twice as strong: a voxel whose difference is the mean then weighs the same as before.

    Parameters
    ----------
    term
        Total variation, all voxels weighing the same.
    image
        Its minimiser, shape (rank, *space).
    """
    voxels = edge_weights(image, term.weight / term.weight.min())
    return SplitTerm(TotalVariation(voxels), 2 * term.weight, 2 * term.penalty)


def _tolerances(settings: LrtvSettings, response: float) -> tuple[float, ...]:
    """One round; two if edges are to be spared and are known: if enough of k-space is."""
    first = settings.first_tolerance
    two = first > 0 and response >= settings.edges_known
    return (first, settings.tolerance) if two else (settings.tolerance,)


def _scale(settings: LrtvSettings) -> str:
    """In words, the weight of :func:`component_weights`."""
    return (
        f"{settings.strength:g} times the sampling density times the variance of that image's error over its mean "
        "difference between neighbours [@chang2000]"
    )


def _cost(size: ProblemSize) -> SplitCost:
    """Split variables are kept between steps; components are processed one by one."""
    dim = len(size.shape)
    return SplitCost(
        # And, real numbers: weights, factors of this and the last step, the lengths of all components together.
        resident=dim * size.image + 2 * size.component,
        scratch=dim * _COPIES * size.component + size.image,
        moved=5 * _COPIES * dim * size.image,
    )


LRTV_REGULARISATION = Regularisation(
    name="lrtv",
    penalty="total variation [@rudin1992] of all subspace images jointly [@bresson2008]",
    scale=_scale,
    settings=LrtvSettings(),
    splitting=_splitting,
    tolerances=_tolerances,
    again=with_edge_weights,
    cost=_cost,
)
LRTV = regularised_method(
    LRTV_REGULARISATION,
    title="Least squares in the temporal subspace with joint total variation, by the alternating direction "
    "method of multipliers",
    curve=Curve("total variation: step", "step"),
    iterations=40,
    weight=1.0,
)

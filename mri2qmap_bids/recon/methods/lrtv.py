"""lrtv: least squares in the temporal subspace with total variation."""

from dataclasses import dataclass

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
    mean_difference,
)
from mri2qmap_bids.recon.solvers.alternating_directions import SplitTerm

_COPIES = 6  # arrays of the differences of one component, each with an image for every axis


@dataclass(frozen=True)
class LrtvSettings:
    """Weights of total variation, and parameters of the splitting."""

    start: LeastSquaresSettings = LeastSquaresSettings()
    """Settings of the least-squares image."""
    tolerance: float = 3e-3
    """Tolerance of ADMM."""
    mean_differences: float = 6.0
    """ADMM penalty, set so that the threshold of the proximal map is this many mean differences of the
    initial image (chosen for the fewest steps on development scans)."""
    difference_power: float = 0.25
    """A component is weighted by (largest mean difference / its own) to this power: 0 weights all
    equally, 1 is the maximum-likelihood weight for exponentially distributed differences."""


def _splitting(start: PenalisedImage, weight: float, settings: LrtvSettings) -> Splitting:
    """sum_i w_i TV(x_i), with w_i larger for weaker components."""
    steps = mean_difference(start.image)
    steps = steps.clamp_min(1e-6 * float(steps.max()))
    weights = weight * (steps.max() / steps) ** settings.difference_power
    penalty = weights / (settings.mean_differences * steps)
    spectrum = differences_spectrum(start.problem.encoding.shape, start.image.device)
    return SplitTerm(TotalVariation(), weights, penalty), spectrum


def _cost(size: ProblemSize) -> SplitCost:
    """Split variables are kept between steps; components are processed one by one."""
    dim = len(size.shape)
    return SplitCost(
        resident=dim * size.image,
        scratch=dim * _COPIES * size.component + size.image,
        moved=5 * _COPIES * dim * size.image,
    )


LRTV_REGULARISATION = Regularisation(
    name="lrtv",
    penalty="total variation of the subspace images [@rudin1992]",
    settings=LrtvSettings(),
    splitting=_splitting,
    cost=_cost,
)
LRTV = regularised_method(
    LRTV_REGULARISATION,
    title="Least squares in the temporal subspace with total variation, by the alternating direction "
    "method of multipliers",
    curve=Curve("total variation: step", "step"),
    iterations=40,
    weight=0.5,
)

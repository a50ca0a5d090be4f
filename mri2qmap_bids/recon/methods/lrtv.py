"""lrtv: least squares in the temporal subspace with joint total variation."""

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
    mean_differences: float = 2.0
    """ADMM penalty, set so that the threshold of the proximal map is this many mean differences of the
    initial image (chosen for the fewest steps on development scans)."""
    difference_power: float = 0.5
    """A component is weighted by (largest mean difference / its own) to this power: 0 weights all
    equally, 1 makes the mean difference of all components the same."""


def _splitting(start: PenalisedImage, weight: float, settings: LrtvSettings) -> Splitting:
    """Total variation with larger weights w_i for weaker components; the penalty is proportional to w_i^2."""
    steps = mean_difference(start.image)
    steps = steps.clamp_min(1e-6 * float(steps.max()))
    relative = (steps.max() / steps) ** settings.difference_power
    mean = max(mean_joint_difference(start.image, relative), _TINY)
    penalty = weight / (settings.mean_differences * mean) * relative**2
    spectrum = differences_spectrum(start.problem.encoding.shape, start.image.device)
    return SplitTerm(TotalVariation(), weight * relative, penalty), spectrum


def _cost(size: ProblemSize) -> SplitCost:
    """Split variables are kept between steps; components are processed one by one."""
    dim = len(size.shape)
    return SplitCost(
        # And the lengths of all components together, and their square.
        resident=dim * size.image + size.component,
        scratch=dim * _COPIES * size.component + size.image,
        moved=5 * _COPIES * dim * size.image,
    )


LRTV_REGULARISATION = Regularisation(
    name="lrtv",
    penalty="total variation [@rudin1992] of all subspace images jointly [@bresson2008]",
    settings=LrtvSettings(),
    splitting=_splitting,
    cost=_cost,
)
LRTV = regularised_method(
    LRTV_REGULARISATION,
    title="Least squares in the temporal subspace with joint total variation, by the alternating direction "
    "method of multipliers",
    curve=Curve("total variation: step", "step"),
    iterations=40,
    weight=0.8,
)

"""llr: least squares in the temporal subspace with a locally low-rank penalty."""

from dataclasses import dataclass

import torch

from mri2qmap_bids.recon.methods.base import Curve
from mri2qmap_bids.recon.methods.least_squares import LeastSquaresSettings, PenalisedImage
from mri2qmap_bids.recon.methods.regularised import (
    Regularisation,
    Splitting,
    regularised_method,
)
from mri2qmap_bids.recon.planning.size import ProblemSize
from mri2qmap_bids.recon.planning.work import SplitCost
from mri2qmap_bids.recon.priors.low_rank import LocallyLowRank
from mri2qmap_bids.recon.solvers.alternating_directions import SplitTerm

_HELD, _COPIES = 2, 6  # images of the split variables, and during singular-value thresholding


@dataclass(frozen=True)
class LlrSettings:
    """Parameters of the splitting."""

    start: LeastSquaresSettings = LeastSquaresSettings()
    """Settings of the least-squares image."""
    tolerance: float = 1e-3
    """Tolerance of ADMM: small, because the split variable is the image itself, which changes little."""
    penalty: float = 0.3
    """ADMM penalty, as a fraction of the level of A^H A (chosen for the fewest steps on development
    scans)."""


def _splitting(start: PenalisedImage, weight: float, settings: LlrSettings) -> Splitting:
    """Low rank, weighted relative to the noise in A^H y, whose deviation is that of a sample times L^(1/2)."""
    level = start.problem.circulant.level
    weights = torch.full_like(start.deviation, weight * start.noise * level**0.5)
    penalty = torch.full_like(start.deviation, settings.penalty * level)
    spectrum = torch.ones((), device=start.image.device)
    return SplitTerm(LocallyLowRank(), weights, penalty), spectrum


def _cost(size: ProblemSize) -> SplitCost:
    """All components are processed together."""
    scratch = _COPIES * size.image
    return SplitCost(resident=_HELD * size.image, scratch=scratch, moved=12 * scratch)


LLR_REGULARISATION = Regularisation(
    name="llr",
    penalty="a penalty for locally low rank of the subspace images [@zhang2015]",
    scale=lambda settings: "the noise",
    settings=LlrSettings(),
    tolerances=lambda settings, response: (settings.tolerance,),
    splitting=_splitting,
    cost=_cost,
)
LLR = regularised_method(
    LLR_REGULARISATION,
    title="Least squares in the temporal subspace with locally low rank, by the alternating direction "
    "method of multipliers",
    curve=Curve("locally low rank: step", "step"),
    iterations=40,
    weight=0.5,
)

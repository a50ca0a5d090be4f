"""The stages of the default method one by one, with any denoiser in them."""

from dataclasses import dataclass

import torch

from benchmarks.accuracy.cases import Problem, score
from benchmarks.accuracy.methods import Bench
from benchmarks.conditions.run import judge
from mri2qmap_bids.recon.arrays import NoiseDeviation, SubspaceImage
from mri2qmap_bids.recon.grid import centre
from mri2qmap_bids.recon.methods.least_squares import PenalisedImage
from mri2qmap_bids.recon.methods.mri2qmap import (
    MRI2QMAP,
    ResidualSolver,
    image_with_residual,
    initial_image,
    residual_noise,
    residual_solver,
)
from mri2qmap_bids.recon.physics.dictionary import Dictionary
from mri2qmap_bids.recon.physics.matching import TissueMaps, each_map
from mri2qmap_bids.recon.priors.residual_correction import corrected_by_residual
from mri2qmap_bids.recon.priors.synthetic_contrasts import Prior
from mri2qmap_bids.recon.solvers.half_quadratic_splitting import (
    LoopSolution,
    Schedule,
    plug_and_play,
)


@dataclass(frozen=True, eq=False)
class Start:
    """What all denoisers share: the initial image, and the solver of the residual."""

    image: PenalisedImage
    """From lrtv, with edges spared."""
    dictionary: Dictionary
    """Fingerprints and subspace."""
    solver: ResidualSolver
    """Of the residual image."""
    noise: SubspaceImage
    """Sample of the noise in that image."""

    @property
    def error(self) -> NoiseDeviation:
        """Assumed of every component: the noise of the noisiest."""
        deviation = self.image.deviation
        return torch.full_like(deviation, float(deviation.max()))


def start_of(bench: Bench) -> Start:
    """The initial image of a problem."""
    settings = MRI2QMAP.settings
    image = initial_image(bench.inverse, settings)
    solver = residual_solver(image, settings)
    return Start(image, bench.dictionary, solver, residual_noise(image, solver))


def looped(start: Start, prior: Prior) -> LoopSolution:
    """The iteration with a prior."""
    settings, problem = MRI2QMAP.settings, start.image.problem
    return plug_and_play(
        problem.normal,
        problem.projection,
        prior,
        start.image.image,
        settings.start_noise * start.error,
        start.image.noise / 2**0.5,
        Schedule(MRI2QMAP.iterations or 1, settings.decay, settings.remaining, settings.data_steps),
        problem.preconditioner,
    )


def corrected(start: Start, maps: TissueMaps) -> TissueMaps:
    """Maps after the residual correction."""
    image = image_with_residual(start.image, maps, start.dictionary, start.solver)
    return corrected_by_residual(maps, image, start.noise, start.dictionary, start.error)


def scores_of(maps: TissueMaps, problem: Problem) -> dict[str, float]:
    """Errors of maps on the encoded grid."""
    shape = problem.labels.shape
    part = each_map(maps, lambda values: centre(values, shape[-maps.t1.ndim :]))
    t1, t2, m0 = (
        values.reshape(shape).cpu().numpy() for values in (part.t1, part.t2, part.m0.abs())
    )
    return score(t1, t2, m0, problem) | judge(t1, t2, problem)

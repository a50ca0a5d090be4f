"""gridding: the density-compensated adjoint."""

from collections.abc import Mapping
from typing import Any

import torch

from mri2qmap_bids.recon.denoisers.base import Denoiser
from mri2qmap_bids.recon.encoding.density import density_compensation
from mri2qmap_bids.recon.encoding.forward import adjoint
from mri2qmap_bids.recon.encoding.variance import residual_variance
from mri2qmap_bids.recon.methods.base import Matcher, Method, MethodText, Solution, matched
from mri2qmap_bids.recon.methods.sentences import ENCODED
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.planning.work import StageWork, Work
from mri2qmap_bids.recon.problem import InverseProblem, deviation_of, noise_like
from mri2qmap_bids.recon.record import Record


def solve(
    problem: InverseProblem,
    matcher: Matcher,
    denoiser: Denoiser | None,
    options: ReconOptions,
    record: Record | None = None,
) -> Solution:
    """Match the image x = A^H W y, with W the density compensation (k-space area per sample).

    References
    ----------
    Pipe and Menon, Sampling density compensation in MRI (1999),
    doi:10.1002/(SICI)1522-2594(199901)41:1<179::AID-MRM25>3.0.CO;2-V.
    """
    record = record or Record()
    with record.stage("gridding"):
        encoding = problem.encoding
        # The weights compensate the density of all frames together; each frame has 1/T of the samples.
        weights = density_compensation(encoding.omega, encoding.shape, encoding.shared)
        weights = weights * len(encoding.basis)
        image = adjoint(encoding, problem.kspace, weights)
        noise = residual_variance(encoding, problem.kspace, image).noise
        generator = torch.Generator().manual_seed(options.random_seed)
        replica = adjoint(encoding, noise_like(problem, noise, generator), weights)
    with record.stage("matching"):
        maps = matched(image, matcher)
    return Solution(maps, deviation_of(replica), image)


def text(options: Mapping[str, Any]) -> MethodText:
    """Sentences for the methods section."""
    return MethodText(
        image=ENCODED
        + "Images in the subspace were reconstructed by the density-compensated adjoint "
        "(gridding) [@pipe1999].",
        error="and propagated through the reconstruction as a replica [@robson2008]",
    )


GRIDDING = Method(
    name="gridding",
    title="Density-compensated adjoint in the temporal subspace",
    solve=solve,
    # The data, their residual, and the replica of its noise.
    work=lambda options: Work(
        stages=(StageWork("gridding", n_transforms=3), StageWork("matching", n_match=1))
    ),
    text=text,
    explains_samples=False,
)

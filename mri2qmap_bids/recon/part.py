"""Reconstruction of one slice, or of a volume that is encoded as a whole."""

import logging
from dataclasses import replace

import torch

from mri2qmap_bids.recon.diagnostics.collection import diagnose_part
from mri2qmap_bids.recon.diagnostics.model import SliceQuality
from mri2qmap_bids.recon.diagnostics.residual import noise_of, residual_samples
from mri2qmap_bids.recon.encoding.resolution import empty_shells
from mri2qmap_bids.recon.gradient_delay import with_searched_delay
from mri2qmap_bids.recon.inversion import local_efficiency_of, report_estimate
from mri2qmap_bids.recon.methods.base import Matcher
from mri2qmap_bids.recon.methods.registry import method_named
from mri2qmap_bids.recon.physics.efficiency_map import with_efficiencies_as_field
from mri2qmap_bids.recon.planning.plan import Plan
from mri2qmap_bids.recon.problem import inverse_problem
from mri2qmap_bids.recon.quality import (
    convergence_in,
    figures_of,
    resolution_of,
    uncertainty,
    warn_of_energy_left,
)
from mri2qmap_bids.recon.shared_data import SharedData
from mri2qmap_bids.recon.volume import PartMaps

logger = logging.getLogger(__name__)


def reconstruct_part(
    shared: SharedData, index: int, b1: torch.Tensor | None, b0: torch.Tensor | None, plan: Plan
) -> PartMaps:
    """Reconstruct one slice, or the volume.

    Parameters
    ----------
    shared
        What all slices share.
    index
        Number of the slice; 0 for a volume. The middle one has diagnostics.
    b1
        Transmit field relative to nominal on the grid of the maps; None: nominal.
    b0
        Off-resonance frequency [Hz] on the same grid; None: not corrected.
    plan
        Storage and batch sizes.
    """
    geometry, record, dictionary = shared.geometry, shared.record, shared.dictionary
    with record.stage("coil sensitivities"):
        problem = inverse_problem(shared, index, plan, b0)
    encoding = problem.encoding
    for message in empty_shells(
        encoding.omega, encoding.shape, geometry.voxel_size[-encoding.omega.shape[1] :]
    ):
        logger.warning(message)
    efficiency = None
    if shared.options.inversion_efficiency == "map":
        with record.stage("inversion efficiency"):
            local = local_efficiency_of(problem, shared)
        if index == shared.middle:
            report_estimate(local.mean)
        b1 = efficiency = local.values
        dictionary = with_efficiencies_as_field(dictionary)
    matcher = Matcher(dictionary, shared.map_shape, b1, plan.voxels_at_once)
    method = method_named(shared.options.method)
    solution = method.solve(problem, matcher, shared.denoiser, shared.options, record)
    diagnostics, resolution, convergence = None, None, convergence_in(solution)
    if convergence is not None:
        warn_of_energy_left(convergence)
    with record.stage("diagnostics"):
        image, maps = solution.image, solution.maps
        figures = figures_of(solution, problem, dictionary, method.explains_samples)
        rest = residual_samples(encoding, problem.kspace, image, maps, dictionary)
        if index == shared.middle:
            own = replace(shared, dictionary=dictionary)
            figures = with_searched_delay(figures, own, index, b0)
            diagnostics = diagnose_part(
                encoding, rest, image, solution.start, maps, dictionary, index, convergence
            )
            resolution = resolution_of(solution, geometry)
        quality = SliceQuality(
            signal=float(torch.linalg.vector_norm(image)),
            noise=noise_of(rest),
            energy_left=None if convergence is None else convergence.worst,
            figures=figures,
        )
    with record.stage("uncertainty"):
        std = uncertainty(solution, dictionary)
    return PartMaps(maps, std, quality, diagnostics, resolution, efficiency)

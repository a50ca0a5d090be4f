"""A scan's pulse sequence with the inversion efficiency that its data have."""

import logging
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from mri2qmap_bids.recon.acquisition.extent import extent_of
from mri2qmap_bids.recon.acquisition.raw import RawScan
from mri2qmap_bids.recon.arrays import QuantityMap
from mri2qmap_bids.recon.device import find_device
from mri2qmap_bids.recon.diagnostics.figures import samples_per_unknown
from mri2qmap_bids.recon.forecast import plans_with
from mri2qmap_bids.recon.grid import centre, resize, tissue_grid
from mri2qmap_bids.recon.methods.registry import resolved
from mri2qmap_bids.recon.methods.subspace import subspace_image
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.dictionary import Dictionary, build_dictionary
from mri2qmap_bids.recon.physics.inversion_efficiency import (
    EFFICIENCIES,
    atoms_at,
    best_efficiency,
)
from mri2qmap_bids.recon.physics.masking import head_mask
from mri2qmap_bids.recon.physics.matching import match
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence
from mri2qmap_bids.recon.planning.choice import first_that_fits
from mri2qmap_bids.recon.planning.machine import MemoryLimits
from mri2qmap_bids.recon.planning.plan import Plan
from mri2qmap_bids.recon.problem import inverse_problem, whitening_of

logger = logging.getLogger(__name__)

_AT_BOUND = 2e-3
# The smoothness term damps the weak components, which tell efficiency from T1: with its usual weight the
# estimate is off by up to 0.05 at low signal-to-noise, with a tenth by at most 0.015.
_WEIGHT = 0.1
# With fewer samples a coil per unknown than this the estimate was wrong in measured data (0.67 instead of 0.59 at 0.8,
# 0.60 at 1.25): aliasing, which is no noise, passes for recovery.
_ENOUGH = 1.0


def with_estimated_efficiency(
    scan: RawScan,
    sequence: PulseSequence,
    options: ReconOptions,
    dictionary: Dictionary | None = None,
    limits: MemoryLimits | None = None,
    b1: NDArray[np.float32] | None = None,
    field: QuantityMap | None = None,
) -> PulseSequence:
    """The pulse sequence with the one inversion efficiency that explains the data best.

    The image of the middle slice (or the volume) is the least-squares image in a subspace of fingerprints of
    several efficiencies, with little smoothness; its masked voxels give :func:`best_efficiency`, every component
    weighted by its inverse variance. A warning says if the frames together sample less of k-space than the image
    has unknowns (:func:`samples_per_unknown`), whose aliasing makes the estimate wrong.

    Parameters
    ----------
    scan, sequence, options, limits, b1
        As of :func:`mri2qmap_bids.recon.reconstruct.reconstruct_and_diagnose`.
    dictionary
        Simulated at several efficiencies; None: it is built.
    field
        Transmit field of that slice or volume, on the device; None: nominal.

    Raises
    ------
    MemoryLimitError
        If no plan fits the memory.
    """
    device = find_device(options.device)
    # The method's own weight and steps are for its own image.
    options = resolved(
        replace(
            options, method="subspace", regularisation=_WEIGHT, n_iterations=None, denoiser=None
        )
    )
    if dictionary is None:
        grid = tissue_grid(options, b1)
        dictionary = build_dictionary(sequence, grid, options.rank, options.energy, device)
    ways = plans_with(dictionary, extent_of(scan), options, limits)
    work = partial(_estimate, scan, dictionary.to(device), options, field)
    (efficiency, sampling), _ = first_that_fits(work, ways)
    logger.info("Inversion efficiency, estimated: %.3f", efficiency)
    if sampling < _ENOUGH:
        logger.warning(
            "The inversion efficiency of %.3f may be wrong, and T1 with it: all frames together sample %.2g of the "
            "cells of k-space that the %d components of the image have, 1 or more are needed; estimate it from a "
            "scan with more lines or frames, and give the value",
            efficiency,
            sampling,
            dictionary.basis.shape[1],
        )
    low, high = EFFICIENCIES[0], EFFICIENCIES[-1]
    if efficiency < low + _AT_BOUND:
        logger.warning(
            "The inversion efficiency with the least residual is %.3f, the lower bound of %g to %g: the "
            "inversion may not be the one that the sidecar describes",
            efficiency,
            low,
            high,
        )
    return replace(sequence, inversion_efficiency=round(efficiency, 4))


def _estimate(
    scan: RawScan,
    dictionary: Dictionary,
    options: ReconOptions,
    field: QuantityMap | None,
    plan: Plan,
) -> tuple[float, float]:
    """The efficiency, and the samples per unknown that it is estimated from."""
    geometry = resize(scan.geometry, options.matrix, scan.is_3d)
    middle = scan.slices[len(scan.slices) // 2]
    problem = inverse_problem(middle, scan, geometry, dictionary, options, whitening_of(scan), plan)
    penalised = subspace_image(problem, options)
    image = centre(penalised.image, geometry.matrix[0 if scan.is_3d else 1 :])
    atoms = atoms_at(dictionary, EFFICIENCIES[len(EFFICIENCIES) // 2])
    m0 = match(image, atoms, exhaustive=False, voxels_at_once=plan.voxels_at_once, b1=field).m0
    volume = m0 if scan.is_3d else m0[None]
    mask = torch.from_numpy(head_mask(volume, geometry.voxel_size)).reshape(m0.shape)
    mask = mask.to(m0.device)
    deviation = penalised.deviation.clamp_min(1e-3 * float(penalised.deviation.max()))
    white = replace(dictionary, atoms=dictionary.atoms / deviation)
    voxels = image[:, mask] / deviation[:, None]
    efficiency = best_efficiency(voxels, white, None if field is None else field[mask])
    return efficiency, samples_per_unknown(problem.encoding)

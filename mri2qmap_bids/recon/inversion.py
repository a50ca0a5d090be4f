"""The inversion efficiency that the data of a scan have: one value, or a map."""

import logging
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from mri2qmap_bids.recon.acquisition.extent import extent_of
from mri2qmap_bids.recon.acquisition.geometry import Geometry
from mri2qmap_bids.recon.acquisition.scan import RawScan
from mri2qmap_bids.recon.arrays import QuantityMap, SubspaceImage
from mri2qmap_bids.recon.device import find_device
from mri2qmap_bids.recon.diagnostics.figures import samples_per_unknown
from mri2qmap_bids.recon.forecast import plans_with
from mri2qmap_bids.recon.grid import centre, resize, tissue_grid
from mri2qmap_bids.recon.methods.registry import resolved
from mri2qmap_bids.recon.methods.subspace import subspace_image
from mri2qmap_bids.recon.off_resonance import span_of
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.dictionary import Dictionary, build_dictionary
from mri2qmap_bids.recon.physics.efficiency_map import (
    local_efficiency,
    with_efficiencies_as_field,
)
from mri2qmap_bids.recon.physics.efficiency_scores import (
    EfficiencyUncertainty,
    efficiency_uncertainty,
)
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
from mri2qmap_bids.recon.problem import InverseProblem, inverse_problem, whitening_of

logger = logging.getLogger(__name__)

_AT_BOUND = 2e-3
# The smoothness term damps the weak components, which tell efficiency from T1: with its usual weight the
# estimate is off by up to 0.05 at low signal-to-noise, with a tenth by at most 0.015.
_WEIGHT = 0.1
# From this uncertainty on a warning is logged (benchmarks/effects/efficiency.md), from half of it on if the frames
# sample less of k-space than the image has unknowns: then aliasing is the same in all parts of the image, too.
_UNCERTAIN, _ENOUGH = 0.035, 1.0


@dataclass(frozen=True, eq=False)
class LocalEfficiency:
    """The efficiency of one slice or volume."""

    values: QuantityMap
    """At every voxel of the maps' grid, shape (*space)."""
    mean: float
    """The one that explains all voxels best."""
    uncertainty: EfficiencyUncertainty
    """Of the mean."""
    sampling: float
    """Samples per unknown that it is from."""


def with_estimated_efficiency(
    scan: RawScan,
    sequence: PulseSequence,
    options: ReconOptions,
    dictionary: Dictionary | None = None,
    limits: MemoryLimits | None = None,
    b1: NDArray[np.float32] | None = None,
    field: QuantityMap | None = None,
    b0: NDArray[np.float32] | None = None,
    frequency: QuantityMap | None = None,
) -> PulseSequence:
    """The pulse sequence with the one inversion efficiency that explains the data best.

    The image of the middle slice (or the volume) is the least-squares image in a subspace of fingerprints of
    several efficiencies, with little smoothness; its masked voxels give :func:`best_efficiency`, every component
    weighted by its inverse variance. A warning says if the estimate is uncertain (:func:`is_uncertain`).

    Parameters
    ----------
    scan, sequence, options, limits, b1, b0
        As of :func:`mri2qmap_bids.recon.reconstruct.reconstruct_and_diagnose`.
    dictionary
        Simulated at several efficiencies; None: it is built.
    field
        Transmit field of that slice or volume, on the device; None: nominal.
    frequency
        Off-resonance frequency of that slice or volume [Hz], on the device; None: not corrected.

    Raises
    ------
    MemoryLimitError
        If no plan fits the memory.
    """
    device, options = find_device(options.device), _for_estimate(options)
    if dictionary is None:
        grid = tissue_grid(options, b1)
        dictionary = build_dictionary(sequence, grid, options.rank, options.energy, device)
    ways = plans_with(dictionary, extent_of(scan), options, limits, span_of(b0))
    work = partial(_estimate, scan, dictionary.to(device), options, field, frequency)
    (efficiency, uncertainty, sampling), _ = first_that_fits(work, ways)
    report_estimate(efficiency, uncertainty, sampling)
    return replace(sequence, inversion_efficiency=round(efficiency, 4))


def is_uncertain(uncertainty: EfficiencyUncertainty, sampling: float) -> bool:
    """Whether an estimate, from this many samples per unknown, may be wrong by more than 0.02."""
    return uncertainty.total > (_UNCERTAIN if sampling >= _ENOUGH else _UNCERTAIN / 2)


def report_estimate(efficiency: float, uncertainty: EfficiencyUncertainty, sampling: float) -> None:
    """Log an estimate, and warn if it is uncertain or at its lower bound."""
    logger.info("Inversion efficiency, estimated: %.3f +- %.3f", efficiency, uncertainty.total)
    if is_uncertain(uncertainty, sampling):
        logger.warning(
            "The inversion efficiency of %.3f may be wrong by %.2f or more, and T1 with it: parts of the image differ "
            "by %.3f, half a voxel of blur changes it by %.3f, and there are %.2g samples per unknown; estimate it "
            "from a scan with more lines or frames, and give the value",
            efficiency,
            uncertainty.total,
            uncertainty.spread,
            uncertainty.blur,
            sampling,
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


def local_efficiency_of(
    problem: InverseProblem,
    dictionary: Dictionary,
    options: ReconOptions,
    geometry: Geometry,
    is_3d: bool,
    plan: Plan,
) -> LocalEfficiency:
    """The efficiency at every voxel of one slice or volume, as :func:`local_efficiency` has it.

    Parameters
    ----------
    problem
        Of that slice or volume, in the subspace of the dictionary.
    dictionary
        Simulated at several efficiencies.
    options
        How the scan is reconstructed.
    geometry
        The grid of the maps.
    is_3d
        Whether it is a volume.
    plan
        Batch sizes.
    """
    white = _white_image(problem, dictionary, _for_estimate(options), geometry, is_3d, None, plan)
    mean = best_efficiency(white.image[:, white.mask], white.dictionary)
    uncertainty = efficiency_uncertainty(white.image, white.mask, white.dictionary, mean)
    values = local_efficiency(
        white.image,
        white.mask,
        with_efficiencies_as_field(white.dictionary),
        mean,
        geometry.voxel_size[-white.mask.ndim :],
    )
    return LocalEfficiency(values, mean, uncertainty, samples_per_unknown(problem.encoding))


def _for_estimate(options: ReconOptions) -> ReconOptions:
    # The method's own weight and steps are for its own image.
    return resolved(
        replace(
            options, method="subspace", regularisation=_WEIGHT, n_iterations=None, denoiser=None
        )
    )


def _estimate(
    scan: RawScan,
    dictionary: Dictionary,
    options: ReconOptions,
    field: QuantityMap | None,
    frequency: QuantityMap | None,
    plan: Plan,
) -> tuple[float, EfficiencyUncertainty, float]:
    """The efficiency, how far it may be off, and the samples per unknown that it is from."""
    geometry = resize(scan.geometry, options.matrix, scan.is_3d)
    middle = scan.slices[len(scan.slices) // 2]
    problem = inverse_problem(
        middle, scan, geometry, dictionary, options, whitening_of(scan), plan, frequency
    )
    white = _white_image(problem, dictionary, options, geometry, scan.is_3d, field, plan)
    b1 = None if field is None else field[white.mask]
    efficiency = best_efficiency(white.image[:, white.mask], white.dictionary, b1)
    uncertainty = efficiency_uncertainty(
        white.image, white.mask, white.dictionary, efficiency, field
    )
    return efficiency, uncertainty, samples_per_unknown(problem.encoding)


@dataclass(frozen=True, eq=False)
class _WhiteImage:
    """An image whose components all have errors of deviation 1."""

    image: SubspaceImage
    """Shape (rank, *space)."""
    mask: torch.Tensor
    """Voxels with signal, boolean, shape (*space)."""
    dictionary: Dictionary
    """Weighted as the image."""


def _white_image(
    problem: InverseProblem,
    dictionary: Dictionary,
    options: ReconOptions,
    geometry: Geometry,
    is_3d: bool,
    field: QuantityMap | None,
    plan: Plan,
) -> _WhiteImage:
    penalised = subspace_image(problem, options)
    image = centre(penalised.image, geometry.matrix[0 if is_3d else 1 :])
    atoms = atoms_at(dictionary, EFFICIENCIES[len(EFFICIENCIES) // 2])
    m0 = match(image, atoms, exhaustive=False, voxels_at_once=plan.voxels_at_once, b1=field).m0
    mask = head_mask(m0 if is_3d else m0[None], geometry.voxel_size)
    deviation = penalised.deviation.clamp_min(1e-3 * float(penalised.deviation.max()))
    return _WhiteImage(
        image / deviation.view(-1, *[1] * m0.ndim),
        torch.from_numpy(mask).reshape(m0.shape).to(m0.device),
        replace(dictionary, atoms=dictionary.atoms / deviation),
    )

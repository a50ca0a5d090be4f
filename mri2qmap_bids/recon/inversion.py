"""The inversion efficiency that the data of a scan have: one value, or a map."""

import logging
from dataclasses import dataclass, replace
from functools import partial

import torch

from mri2qmap_bids.recon.acquisition.extent import extent_of
from mri2qmap_bids.recon.arrays import QuantityMap, SubspaceImage
from mri2qmap_bids.recon.diagnostics.figures import samples_per_unknown
from mri2qmap_bids.recon.forecast import plans_with
from mri2qmap_bids.recon.grid import centre
from mri2qmap_bids.recon.methods.registry import resolved
from mri2qmap_bids.recon.methods.subspace import subspace_image
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.dictionary import Dictionary
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
from mri2qmap_bids.recon.planning.choice import first_that_fits
from mri2qmap_bids.recon.planning.machine import MemoryLimits
from mri2qmap_bids.recon.planning.plan import Plan
from mri2qmap_bids.recon.problem import InverseProblem, inverse_problem
from mri2qmap_bids.recon.shared_data import SharedData

logger = logging.getLogger(__name__)

_AT_BOUND = 2e-3
# The smoothness term damps the weak components, which tell efficiency from T1: with its usual weight the
# estimate is off by up to 0.05 at low signal-to-noise, with a tenth by at most 0.015.
_WEIGHT = 0.1
# From this uncertainty on a warning is logged (benchmarks/effects/efficiency.md), from half of it on if the frames
# sample less of k-space than the image has unknowns: then aliasing is the same in all parts of the image, too.
_UNCERTAIN, _ENOUGH = 0.035, 1.0


@dataclass(frozen=True, eq=False)
class Efficiency:
    """The one efficiency that explains all voxels of a slice or volume best."""

    value: float
    """0.5 to 1."""
    uncertainty: EfficiencyUncertainty
    """How far it may be off."""
    sampling: float
    """Samples per unknown that it is from."""


@dataclass(frozen=True, eq=False)
class LocalEfficiency:
    """The efficiency of one slice or volume, voxel by voxel."""

    values: QuantityMap
    """At every voxel of the maps' grid, shape (*space)."""
    mean: Efficiency
    """Of all voxels."""


def estimated_efficiency(
    shared: SharedData,
    field: QuantityMap | None,
    frequency: QuantityMap | None,
    span: float,
    limits: MemoryLimits | None,
) -> Efficiency:
    """The one inversion efficiency that explains the data of a scan best.

    :func:`efficiency_of` the middle slice (or the volume). A warning says if the estimate is uncertain
    (:func:`is_uncertain`).

    Parameters
    ----------
    shared
        What all slices share, with a dictionary of several efficiencies.
    field
        Transmit field of that slice or volume, on the device; None: nominal.
    frequency
        Off-resonance frequency of that slice or volume [Hz], on the device; None: not corrected.
    span
        From :func:`~mri2qmap_bids.recon.off_resonance.span_of`.
    limits
        Memory that may be used; None: 90 % of what the machine has.

    Raises
    ------
    MemoryLimitError
        If no plan fits the memory.
    """
    own = replace(shared, options=_for_estimate(shared.options))
    ways = plans_with(own.dictionary, extent_of(own.scan), own.options, limits, span)
    efficiency, _ = first_that_fits(partial(efficiency_of, own, field, frequency), ways)
    report_estimate(efficiency)
    return efficiency


def efficiency_of(
    shared: SharedData, field: QuantityMap | None, frequency: QuantityMap | None, plan: Plan
) -> Efficiency:
    """The efficiency of the middle slice, or the volume.

    Its image is the least-squares image in a subspace of fingerprints of several efficiencies, with little
    smoothness; the masked voxels give :func:`best_efficiency`, every component weighted by its inverse variance.

    Parameters
    ----------
    shared, field, frequency
        As of :func:`estimated_efficiency`.
    plan
        Storage and batch sizes.
    """
    problem = inverse_problem(shared, shared.middle, plan, frequency)
    return _mean_efficiency(problem, _white_image(problem, shared, field), field)


def is_uncertain(efficiency: Efficiency) -> bool:
    """Whether an estimate may be wrong by more than 0.02."""
    limit = _UNCERTAIN if efficiency.sampling >= _ENOUGH else _UNCERTAIN / 2
    return efficiency.uncertainty.total > limit


def report_estimate(efficiency: Efficiency) -> None:
    """Log an estimate, and warn if it is uncertain or at its lower bound."""
    value, uncertainty = efficiency.value, efficiency.uncertainty
    logger.info("Inversion efficiency, estimated: %.3f +- %.3f", value, uncertainty.total)
    if is_uncertain(efficiency):
        logger.warning(
            "The inversion efficiency of %.3f may be wrong by %.2f or more, and T1 with it: parts of the image differ "
            "by %.3f, half a voxel of blur changes it by %.3f, and there are %.2g samples per unknown; estimate it "
            "from a scan with more lines or frames, and give the value",
            value,
            uncertainty.total,
            uncertainty.spread,
            uncertainty.blur,
            efficiency.sampling,
        )
    low, high = EFFICIENCIES[0], EFFICIENCIES[-1]
    if value < low + _AT_BOUND:
        logger.warning(
            "The inversion efficiency with the least residual is %.3f, the lower bound of %g to %g: the "
            "inversion may not be the one that the sidecar describes",
            value,
            low,
            high,
        )


def local_efficiency_of(problem: InverseProblem, shared: SharedData) -> LocalEfficiency:
    """The efficiency at every voxel of one slice or volume, as :func:`local_efficiency` has it.

    Parameters
    ----------
    problem
        Of that slice or volume, in the subspace of the dictionary.
    shared
        What all slices share, with a dictionary of several efficiencies.
    """
    own = replace(shared, options=_for_estimate(shared.options))
    white = _white_image(problem, own, None)
    mean = _mean_efficiency(problem, white, None)
    values = local_efficiency(
        white.image,
        white.mask,
        with_efficiencies_as_field(white.dictionary),
        mean.value,
        shared.geometry.voxel_size[-white.mask.ndim :],
    )
    return LocalEfficiency(values, mean)


def _for_estimate(options: ReconOptions) -> ReconOptions:
    # The method's own weight and steps are for its own image.
    return resolved(
        replace(
            options, method="subspace", regularisation=_WEIGHT, n_iterations=None, denoiser=None
        )
    )


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
    problem: InverseProblem, shared: SharedData, field: QuantityMap | None
) -> _WhiteImage:
    dictionary, n_voxels = shared.dictionary, problem.plan.voxels_at_once
    penalised = subspace_image(problem, shared.options)
    image = centre(penalised.image, shared.map_shape)
    atoms = atoms_at(dictionary, EFFICIENCIES[len(EFFICIENCIES) // 2])
    m0 = match(image, atoms, exhaustive=False, voxels_at_once=n_voxels, b1=field).m0
    mask = head_mask(m0 if shared.scan.is_3d else m0[None], shared.geometry.voxel_size)
    deviation = penalised.deviation.clamp_min(1e-3 * float(penalised.deviation.max()))
    return _WhiteImage(
        image / deviation.view(-1, *[1] * m0.ndim),
        torch.from_numpy(mask).reshape(m0.shape).to(m0.device),
        replace(dictionary, atoms=dictionary.atoms / deviation),
    )


def _mean_efficiency(
    problem: InverseProblem, white: _WhiteImage, field: QuantityMap | None
) -> Efficiency:
    b1 = None if field is None else field[white.mask]
    value = best_efficiency(white.image[:, white.mask], white.dictionary, b1)
    uncertainty = efficiency_uncertainty(white.image, white.mask, white.dictionary, value, field)
    return Efficiency(value, uncertainty, samples_per_unknown(problem.encoding))

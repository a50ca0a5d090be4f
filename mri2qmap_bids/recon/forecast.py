"""Predicted cost of a reconstruction, from the header of a scan alone."""

from mri2qmap_bids.recon.acquisition.extent import ScanExtent
from mri2qmap_bids.recon.denoisers.registry import denoiser_shape
from mri2qmap_bids.recon.denoisers.unet import UNetShape
from mri2qmap_bids.recon.device import find_device
from mri2qmap_bids.recon.encoding.off_resonance import n_segments
from mri2qmap_bids.recon.grid import encoded_support, resized
from mri2qmap_bids.recon.methods.registry import method_named, weights_file
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.dictionary import Dictionary
from mri2qmap_bids.recon.planning.choice import plans
from mri2qmap_bids.recon.planning.machine import MemoryLimits, machine_of
from mri2qmap_bids.recon.planning.plan import Plan
from mri2qmap_bids.recon.planning.size import ProblemSize
from mri2qmap_bids.recon.weights import fitting_options_with_warning


def problem_size(
    extent: ScanExtent,
    options: ReconOptions,
    rank: int,
    n_atoms: int,
    real_basis: bool,
    n_fields: int = 1,
    span: float = 0.0,
) -> ProblemSize:
    """The quantities that the cost of a scan depends on.

    Parameters
    ----------
    extent
        Size of the scan.
    options
        How it is reconstructed.
    rank
        Dimension of the subspace.
    n_atoms
        Atoms of the dictionary.
    real_basis
        Whether the temporal basis is real.
    n_fields
        Transmit fields (or inversion efficiencies) of the dictionary.
    span
        Of the off-resonance frequencies [Hz]; 0: not corrected.

    Raises
    ------
    WeightsError
        If the card of the denoiser's weights is missing or damaged.
    """
    n_forward, n_normal = n_segments(span, extent.readout_time) if span else (1, 1)
    skipped = 0 if extent.is_3d else 1
    matrix, sizes = resized(extent.matrix, extent.voxel_size, options.matrix, extent.is_3d)
    support = encoded_support(matrix[skipped:], sizes[skipped:], extent.encoded_fov[skipped:])
    weights = weights_file(fitting_options_with_warning(options, matrix[skipped:], sizes[skipped:]))
    return ProblemSize(
        shape=support,
        n_slices=1 if extent.is_3d else matrix[0],
        rank=rank,
        n_receive=extent.n_coils,
        n_coils=min(extent.n_coils, options.n_virtual_coils),
        n_samples=extent.n_samples,
        n_atoms=n_atoms,
        real_basis=real_basis,
        n_fields=n_fields,
        n_segments=n_forward,
        n_normal_segments=n_normal,
        denoiser=denoiser_shape(weights) if weights else UNetShape(),
    )


def plan_for(size: ProblemSize, options: ReconOptions, limits: MemoryLimits | None) -> list[Plan]:
    """Plans that fit this machine, the best first.

    Raises
    ------
    MemoryLimitError
        If none fits.
    """
    device = find_device(options.device)
    limits = limits or MemoryLimits()
    ways = plans(
        size,
        method_named(options.method).work(options),
        machine_of(device, size.shape, limits),
    )
    return sorted(ways, key=lambda way: (way.device, way.host)) if limits.least else ways


def plans_with(
    dictionary: Dictionary,
    extent: ScanExtent,
    options: ReconOptions,
    limits: MemoryLimits | None,
    span: float = 0.0,
) -> list[Plan]:
    """:func:`plan_for` a scan whose dictionary is known."""
    basis, n_atoms = dictionary.basis, len(dictionary.atoms)
    rank, real = basis.shape[1], not basis.is_complex()
    n_fields = len(dictionary.b1) * max(1, len(dictionary.efficiencies))
    size = problem_size(extent, options, rank, n_atoms, real, n_fields, span)
    return plan_for(size, options, limits)

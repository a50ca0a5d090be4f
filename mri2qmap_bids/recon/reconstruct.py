"""The method on one screen: scan and sequence to quantitative maps."""

import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from mri2qmap_bids.errors import DeviceError
from mri2qmap_bids.recon.acquisition.extent import ScanExtent, extent_of
from mri2qmap_bids.recon.acquisition.geometry import Geometry, affine
from mri2qmap_bids.recon.acquisition.noise import whitening_matrix
from mri2qmap_bids.recon.acquisition.raw import RawScan
from mri2qmap_bids.recon.arrays import NoiseDeviation, QuantityMap, SubspaceImage
from mri2qmap_bids.recon.correction import Prior, PriorOptions
from mri2qmap_bids.recon.cost import Plan, ProblemSize
from mri2qmap_bids.recon.diagnostics import (
    Convergence,
    Diagnostics,
    PartDiagnostics,
    centre,
    convergence_of,
    diagnose,
    diagnose_part,
)
from mri2qmap_bids.recon.encoding.circulant import filtered
from mri2qmap_bids.recon.encoding.density import density_compensation
from mri2qmap_bids.recon.encoding.forward import adjoint
from mri2qmap_bids.recon.encoding.resolution import point_spread_widths
from mri2qmap_bids.recon.encoding.variance import residual_variance
from mri2qmap_bids.recon.options import (
    CG_STEPS,
    DECAY,
    DETAIL,
    REMAINING,
    RESIDUAL_LEVEL,
    RESIDUAL_WEIGHT,
    START,
    START_NOISE,
    TAKEN_BACK,
    ReconOptions,
)
from mri2qmap_bids.recon.physics.dictionary import (
    Dictionary,
    TissueGrid,
    build_dictionary,
    transmit_fields,
)
from mri2qmap_bids.recon.physics.maps import QuantitativeMaps
from mri2qmap_bids.recon.physics.masking import brain_mask
from mri2qmap_bids.recon.physics.matching import TissueMaps, each_map, match, signal_of
from mri2qmap_bids.recon.physics.residual import corrected_by_residual
from mri2qmap_bids.recon.physics.sequence import Sequence
from mri2qmap_bids.recon.physics.uncertainty import time_deviations
from mri2qmap_bids.recon.plan import MemoryLimits, first_that_fits, machine_of, plans
from mri2qmap_bids.recon.pnp.component_prior import ComponentPrior
from mri2qmap_bids.recon.pnp.denoiser import load_denoiser, network_shape
from mri2qmap_bids.recon.pnp.least_squares import conjugate_gradient
from mri2qmap_bids.recon.pnp.network import DenoiserNetwork, NetworkShape
from mri2qmap_bids.recon.pnp.solver import Corrector, Schedule, plug_and_play
from mri2qmap_bids.recon.problem import (
    InverseProblem,
    Start,
    deviation_of,
    encoded_support,
    inverse_problem,
    noise_like,
    start_of,
)
from mri2qmap_bids.recon.record import Record

logger = logging.getLogger(__name__)
# Share of a shell's energy that is worth a warning if a solver leaves it.
_ENERGY_LEFT = 0.1
# Diagnostics of the slice in the middle, and its resolution.
_Middle: TypeAlias = tuple[PartDiagnostics, NDArray[np.float64] | None]


def reconstruct(
    scan: RawScan,
    sequence: Sequence,
    options: ReconOptions,
    dictionary: Dictionary | None = None,
    limits: MemoryLimits | None = None,
    b1: NDArray[np.float32] | None = None,
) -> QuantitativeMaps:
    """T1, T2 and M0 of one scan, with no dataset around it.

    Parameters
    ----------
    scan
        Samples, positions, noise and geometry, from :func:`read_raw` or put together by hand.
    sequence
        The train that was played; as many frames as the scan.
    options
        Method, rank, device and so on.
    dictionary
        Fingerprints of this very sequence, e.g. from a cache.
    limits
        Memory that may be used; None: what the machine has.
    b1
        Transmit field relative to nominal on the grid of the maps, axes (z, y, x); None:
        nominal.

    Raises
    ------
    DeviceError, MemoryLimitError, ValueError
        As :func:`reconstruct_and_diagnose` does.
    """
    return reconstruct_and_diagnose(scan, sequence, options, dictionary, limits, b1)[0]


def reconstruct_and_diagnose(
    scan: RawScan,
    sequence: Sequence,
    options: ReconOptions,
    dictionary: Dictionary | None = None,
    limits: MemoryLimits | None = None,
    b1: NDArray[np.float32] | None = None,
) -> tuple[QuantitativeMaps, Diagnostics]:
    """T1, T2 and M0 of one scan, and what shows whether to trust them.

    1. simulate the dictionary and its subspace (unless given),
    2. prewhiten, 3. per slice (or volume): compress coils, estimate sensitivities and
    solve for the subspace image, 4. match every voxel (mri2qmap: 3 and 4 take turns with a
    denoiser of synthetic weighted images, and what the last maps leave of the unregularised
    image corrects them), 5. mask.

    Parameters
    ----------
    scan
        Samples, positions, noise and geometry.
    sequence
        The train that was played; as many frames as the scan.
    options
        Method, rank, device and so on.
    dictionary
        Fingerprints of this very sequence, e.g. from a cache.
    limits
        Memory that may be used; None: what the machine has.
    b1
        Transmit field relative to nominal on the grid of the maps, axes (z, y, x); None:
        nominal. A given dictionary should have its range (:func:`tissue_grid`).

    Raises
    ------
    DeviceError
        If the asked-for GPU is not there.
    MemoryLimitError
        If there is no way to do it in the memory, before anything is computed.
    ValueError
        If the transmit field has another shape, or is not positive and finite.
    """
    device = find_device(options.device)
    record = Record()
    geometry = resize(scan.geometry, options.matrix, scan.is_3d)
    fields = _fields(b1, geometry, scan.is_3d, device)
    if dictionary is None:
        with record.stage("dictionary"):
            dictionary = build_dictionary(
                sequence, tissue_grid(options, b1), options.rank, options.energy, device
            )
    dictionary = dictionary.to(device)
    whitening = whitening_of(scan)
    network = load_network(options, device)
    target = geometry.matrix[0 if scan.is_3d else 1 :]
    ways = plans_with(dictionary, extent_of(scan), options, limits)
    logger.info("Plan: %s", ways[0])

    middle = len(scan.slices) // 2

    def one(
        index: int, plan: Plan
    ) -> tuple[TissueMaps, tuple[QuantityMap, QuantityMap], _Middle | None]:
        with record.stage("coil sensitivities"):
            problem = inverse_problem(
                scan.slices[index], scan, geometry, dictionary, options, whitening, plan
            )
        solved = solve(problem, dictionary, network, options, target, record, fields[index])
        middle_part, convergence = None, convergence_in(solved)
        if convergence is not None:
            _warn_of_energy_left(convergence)
        if index == middle:
            with record.stage("diagnostics"):
                part = diagnose_part(
                    problem.encoding,
                    problem.kspace,
                    solved.image,
                    solved.start,
                    solved.maps,
                    dictionary,
                    index,
                    convergence,
                )
                middle_part = (part, resolution_of(solved, geometry))
        with record.stage("uncertainty"):
            std = uncertainty(solved.maps, dictionary, solved.deviation, solved.prior)
        return solved.maps, std, middle_part

    parts = []
    for index in range(len(scan.slices)):
        solved, ways = first_that_fits(partial(one, index), ways)
        parts.append(solved)

    def volume(tensors: list[torch.Tensor]) -> torch.Tensor:
        return tensors[0] if scan.is_3d else torch.stack(tensors)

    ((shown, resolution),) = (found for _, _, found in parts if found is not None)
    m0 = volume([maps.m0 for maps, _, _ in parts])
    with record.stage("mask"):
        quantitative = QuantitativeMaps(
            t1=volume([maps.t1 for maps, _, _ in parts]).cpu().numpy(),
            t2=volume([maps.t2 for maps, _, _ in parts]).cpu().numpy(),
            m0=m0.cpu().numpy(),
            mask=brain_mask(m0, geometry.voxel_size),
            affine=affine(geometry),
            t1_std=volume([t1 for _, (t1, _), _ in parts]).cpu().numpy(),
            t2_std=volume([t2 for _, (_, t2), _ in parts]).cpu().numpy(),
            resolution=resolution,
        )
    return quantitative, diagnose(
        shown, sequence, dictionary, scan.noise, record, ways[0], scan.is_3d
    )


def _warn_of_energy_left(convergence: Convergence) -> None:
    """Say which part of k-space is not fitted."""
    if convergence.worst < _ENERGY_LEFT:
        return
    shell = int(np.nanargmax(convergence.energy_left[0]))
    part = "outer" if shell >= convergence.energy_left.shape[1] // 2 else "inner"
    logger.warning(
        "%s k-space is not fitted: %.0f %% of its energy is left at %.0f %% of its extent; more steps "
        "or another weight",
        part.capitalize(),
        100 * convergence.worst,
        100 * (shell + 0.5) / convergence.energy_left.shape[1],
    )


def uncertainty(
    maps: TissueMaps,
    dictionary: Dictionary,
    deviation: NoiseDeviation,
    prior: TissueMaps | None = None,
) -> tuple[QuantityMap, QuantityMap]:
    """Standard deviations of the errors of T1 and T2 [s].

    What the noise of the unregularised image means by the Cramer-Rao bound. A prior takes
    noise away, but errs itself: relative to T1 and T2,

        1/std^2 = 1/noise^2 + 1/error^2,  error^2 = detail^2 + 2 log(value / prior)^2,

    with the detail that it does not know, and what the data took back of its maps, which
    leaves as much again that they could not tell from noise.

    Parameters
    ----------
    maps
        The final maps.
    dictionary
        Fingerprints.
    deviation
        Of the noise in the image before any regularisation, shape (rank,).
    prior
        Maps of the prior before the residual corrected them; None: there was no prior.
    """
    noise = time_deviations(maps, dictionary, deviation)
    if prior is None:
        return noise
    found = []
    values = ((maps.t1, prior.t1), (maps.t2, prior.t2))
    for std, detail, (value, before) in zip(noise, DETAIL[:2], values, strict=True):
        error = value * (detail**2 + TAKEN_BACK * (value / before).log().square()).sqrt()
        found.append(std / (1 + (std / error).square()).sqrt())
    return found[0], found[1]


@dataclass(frozen=True, eq=False)
class Solution:
    """One slice or volume, solved and matched."""

    maps: TissueMaps
    """On the grid that was asked for."""
    deviation: NoiseDeviation
    """Of the noise in the real and the imaginary part of every component of the image before any
    regularisation, shape (rank,)."""
    image: SubspaceImage
    """What the maps were made of, on the encoded grid."""
    start: SubspaceImage | None = None
    """Where the loop started from; None: there was no loop."""
    least_squares: Start | None = None
    """The image without a learned prior, and how it came about; None for gridding."""
    correction: SubspaceImage | None = None
    """About what is missing from ``image`` to the minimiser of the last linear problem, on the
    encoded grid; None for gridding."""
    converged: bool = True
    """Whether that problem's solver met its criterion."""
    prior: TissueMaps | None = None
    """The prior's maps, before the residual corrected them; None: there was no such prior."""


def convergence_in(solution: Solution) -> Convergence | None:
    """How far the last linear solve of a solution was from its minimiser; None for gridding."""
    start, correction = solution.least_squares, solution.correction
    if start is None or correction is None:
        return None
    return convergence_of(solution.image, correction, start.deviation, solution.converged)


def resolution_of(solution: Solution, geometry: Geometry) -> NDArray[np.float64] | None:
    """Full width at half maximum of the least-squares image's point spread [m]; None for gridding.

    Parameters
    ----------
    solution
        From :func:`solve`.
    geometry
        The grid.
    """
    if solution.least_squares is None:
        return None
    widths = np.array(point_spread_widths(solution.least_squares.response))
    sizes = np.array(geometry.voxel_size[-len(widths) :])
    return np.asarray(widths * sizes, np.float64)


def solve(
    problem: InverseProblem,
    dictionary: Dictionary,
    network: DenoiserNetwork | None,
    options: ReconOptions,
    target: tuple[int, ...],
    record: Record | None = None,
    b1: QuantityMap | None = None,
) -> Solution:
    """Solve y = A x by the method that is asked for, and match x.

    Parameters
    ----------
    problem
        From :func:`inverse_problem`.
    dictionary
        Fingerprints and subspace.
    network
        The denoiser of the methods that have one.
    options
        How a scan is reconstructed.
    target
        Voxels to keep of the encoded field of view, along (z,) y, x.
    record
        Takes notes of time and steps.
    b1
        Transmit field of the voxels to keep, relative to nominal; None: nominal.
    """
    record = record or Record()

    def matched(image: SubspaceImage) -> TissueMaps:
        voxels = centre(image, target)
        at_once = problem.plan.voxels_at_once
        with record.stage("matching"):
            return match(voxels, dictionary, exhaustive=False, voxels_at_once=at_once, b1=b1)

    if options.method == "gridding":
        with record.stage("gridding"):
            image, deviation = _gridded(problem, options.random_seed)
        return Solution(matched(image), deviation, image)
    own = replace(options, n_iterations=None, regularisation=None)
    if network is None:
        start = start_of(problem, options.method, options, record)
        return Solution(
            matched(start.image),
            start.deviation,
            start.image,
            least_squares=start,
            correction=start.correction,
            converged=start.converged,
        )
    prior: Corrector
    if options.method == "pnp":
        start = start_of(problem, "subspace", own, record)
        prior, believed = ComponentPrior(network, options.weight), start.deviation
    else:
        start = start_of(problem, START, own, record)
        plan = problem.plan
        settings = PriorOptions(
            voxels_at_once=plan.voxels_at_once, slices_at_once=plan.slices_at_once
        )
        everywhere = None if b1 is None else _widened(b1, problem.encoding.shape)
        prior = Prior(dictionary, network, settings, everywhere)
        # As much error in every component as in the noisiest: those that the smoothness term holds
        # down have the least noise, but not the least bias.
        believed = torch.full_like(start.deviation, float(start.deviation.max()))
    problem = start.problem
    with record.stage("plug and play"):
        looped = plug_and_play(
            problem.normal,
            problem.projection,
            prior,
            start.image,
            believed if options.method == "pnp" else START_NOISE * believed,
            start.noise / 2**0.5,
            Schedule(options.iterations, DECAY, REMAINING, CG_STEPS),
            problem.preconditioner,
            record.watch(options.method),
        )
    image = looped.image

    def solution(maps: TissueMaps, before: TissueMaps | None) -> Solution:
        return Solution(
            maps,
            start.deviation,
            image,
            start.image,
            start,
            looped.correction,
            looped.converged,
            before,
        )

    if not isinstance(prior, Prior):
        return solution(matched(image), None)
    with record.stage("final maps"):
        first = prior.maps(image, looped.deviation)
    with record.stage("residual"):
        maps = corrected_by_residual(
            first, image_of_residual(start, first, dictionary), dictionary, believed
        )
    kept, before = (each_map(part, lambda values: centre(values, target)) for part in (maps, first))
    return solution(kept, before)


def image_of_residual(
    start: Start,
    maps: TissueMaps,
    dictionary: Dictionary,
    weight: float = RESIDUAL_WEIGHT,
    density: float = RESIDUAL_LEVEL,
) -> SubspaceImage:
    """Image z of the maps, and what it leaves of the data: z + r.

    r minimises |A (z + r) - y|_W^2 + weight sigma^2 sum |r_i(g)|^2 / P_i(g) + density level |r|^2
    with the power P of the least-squares image's smoothness term and the level of A^H W A (the
    median over frequencies of its first component): where the data say little, beside noise or
    beside errors of the model, r is small and z stays.

    Parameters
    ----------
    start
        From :func:`start_of`.
    maps
        On the encoded grid.
    dictionary
        Fingerprints and subspace.
    weight
        Of the smoothness term.
    density
        Of the term against errors of the model.
    """
    problem = start.problem
    smoothness = weight * start.smoothness + density * problem.circulant.level
    predicted = signal_of(maps, dictionary)
    remaining = problem.projection - problem.normal(predicted)
    solution = conjugate_gradient(
        lambda image: problem.normal(image) + filtered(image, smoothness),
        remaining,
        CG_STEPS,
        tolerance=0.03,
        preconditioner=problem.preconditioner(smoothness),
    )
    return predicted + solution.image


def load_network(options: ReconOptions, device: torch.device) -> DenoiserNetwork | None:
    """The denoiser that the options ask for; None for a method that has none.

    Raises
    ------
    WeightsError
        If its weights are missing or damaged.
    """
    return load_denoiser(options.weights_file, device) if options.weights_file else None


def _gridded(problem: InverseProblem, seed: int) -> tuple[SubspaceImage, NoiseDeviation]:
    """The density-compensated adjoint, and the deviation of its noise."""
    encoding = problem.encoding
    # The weights even out all frames together; each frame has 1/T of them.
    weights = density_compensation(encoding.omega, encoding.shape) * len(encoding.basis)
    image = adjoint(encoding, problem.kspace, weights)
    noise = residual_variance(encoding, problem.kspace, image).noise
    generator = torch.Generator().manual_seed(seed)
    replica = adjoint(encoding, noise_like(problem, noise, generator), weights)
    return image, deviation_of(replica)


def problem_size(
    extent: ScanExtent, options: ReconOptions, rank: int, n_atoms: int, real_basis: bool
) -> ProblemSize:
    """What the cost of a scan depends on.

    Parameters
    ----------
    extent
        How large the scan is.
    options
        How it is reconstructed.
    rank
        Dimension of the subspace.
    n_atoms
        Atoms of the dictionary.
    real_basis
        Whether the temporal basis is real.

    Raises
    ------
    WeightsError
        If the card of the denoiser's weights is missing or damaged.
    """
    skipped = 0 if extent.is_3d else 1
    matrix, sizes = _resized(extent.matrix, extent.voxel_size, options.matrix, extent.is_3d)
    support = encoded_support(matrix[skipped:], sizes[skipped:], extent.encoded_fov[skipped:])
    return ProblemSize(
        shape=support,
        n_slices=1 if extent.is_3d else matrix[0],
        rank=rank,
        n_receive=extent.n_coils,
        n_coils=min(extent.n_coils, options.n_virtual_coils),
        n_samples=extent.n_samples,
        n_atoms=n_atoms,
        real_basis=real_basis,
        network=network_shape(options.weights_file) if options.weights_file else NetworkShape(),
    )


def plan_for(size: ProblemSize, options: ReconOptions, limits: MemoryLimits | None) -> list[Plan]:
    """Ways to reconstruct that fit this machine, the best first.

    Raises
    ------
    MemoryLimitError
        If none fits.
    """
    device = find_device(options.device)
    limits = limits or MemoryLimits()
    ways = plans(size, options, machine_of(device, len(size.shape), limits))
    return sorted(ways, key=lambda way: (way.device, way.host)) if limits.least else ways


def plans_with(
    dictionary: Dictionary, extent: ScanExtent, options: ReconOptions, limits: MemoryLimits | None
) -> list[Plan]:
    """:func:`plan_for` a scan whose dictionary is known."""
    basis, n_atoms = dictionary.basis, len(dictionary.atoms)
    size = problem_size(extent, options, basis.shape[1], n_atoms, not basis.is_complex())
    return plan_for(size, options, limits)


def tissue_grid(options: ReconOptions, b1: NDArray[np.float32] | None = None) -> TissueGrid:
    """The dictionary grid that the options ask for.

    Parameters
    ----------
    options
        Its range and step.
    b1
        Transmit field that it is to cover, relative to nominal; None: nominal.
    """
    fields = (1.0,) if b1 is None else transmit_fields(b1)
    return TissueGrid(options.t1_range, options.t2_range, options.grid_step, fields)


def _fields(
    b1: NDArray[np.float32] | None, geometry: Geometry, is_3d: bool, device: torch.device
) -> list[torch.Tensor | None]:
    """The transmit field of every slice, or of the volume."""
    if b1 is None:
        return [None] * geometry.matrix[0]
    if b1.shape != geometry.matrix or not (np.isfinite(b1).all() and (b1 > 0).all()):
        raise ValueError(
            f"b1 must be positive and finite of shape {geometry.matrix}, got {b1.shape} with "
            f"{b1.min():g} to {b1.max():g}"
        )
    field = torch.from_numpy(b1.astype(np.float32)).to(device)
    return [field] if is_3d else list(field)


def _widened(b1: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """A field on more voxels, origin on origin: its edge goes on. The inverse of ``centre``."""
    margins: list[int] = []
    for full, kept in zip(reversed(shape), reversed(b1.shape), strict=True):
        start = full // 2 - kept // 2
        margins += [start, full - kept - start]
    padded: torch.Tensor = torch.nn.functional.pad(b1[None, None], margins, mode="replicate")
    return padded[0, 0]


def find_device(name: str) -> torch.device:
    """The device to compute on; ``auto`` takes the first GPU, else the CPU.

    Raises
    ------
    DeviceError
        If a GPU is asked for and not there.
    """
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"--device {name}: must be a GPU that is there, got {torch.cuda.device_count()} GPU(s); "
            "check the driver (and --gpus all / --nv in a container) or use --device cpu"
        )
    return device


def resize(geometry: Geometry, matrix: tuple[int, int, int] | None, is_3d: bool) -> Geometry:
    """Another number of voxels over the same field of view; slices stay as they are.

    The centre of voxel ``floor(n / 2)`` stays at ``position``, where the phase of
    k-space has its origin.
    """
    new, sizes = _resized(geometry.matrix, geometry.voxel_size, matrix, is_3d)
    return Geometry(
        matrix=new,
        voxel_size=sizes,
        position=geometry.position,
        read_dir=geometry.read_dir,
        phase_dir=geometry.phase_dir,
        slice_dir=geometry.slice_dir,
    )


def _resized(
    matrix: tuple[int, int, int],
    voxel_size: tuple[float, float, float],
    wanted: tuple[int, int, int] | None,
    is_3d: bool,
) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    """Voxels and their size for another matrix over the same field of view."""
    if wanted is None:
        return matrix, voxel_size
    new = wanted if is_3d else (matrix[0], *wanted[1:])
    z, y, x = (size * old / n for size, old, n in zip(voxel_size, matrix, new, strict=True))
    return new, (z, y, x)


def whitening_of(scan: RawScan) -> torch.Tensor | None:
    """What makes the coils' noise white, of variance 1; None where the scan does not tell."""
    if scan.noise is None:
        logger.warning("No noise scan in the file: coils are not prewhitened")
        return None
    try:
        return whitening_matrix(scan.noise)
    except ValueError as error:
        logger.warning("Coils are not prewhitened: %s", error)
        return None

"""The method on one screen: scan and sequence to quantitative maps."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from mri2qmap_bids.errors import DeviceError
from mri2qmap_bids.recon.acquisition.geometry import Geometry, affine
from mri2qmap_bids.recon.acquisition.noise import whitening_matrix
from mri2qmap_bids.recon.acquisition.raw import RawScan, SliceSamples
from mri2qmap_bids.recon.arrays import SubspaceImage, VirtualKSpace
from mri2qmap_bids.recon.correction import Prior
from mri2qmap_bids.recon.encoding import toeplitz
from mri2qmap_bids.recon.encoding.coils import compress_coils, estimate_sensitivities
from mri2qmap_bids.recon.encoding.density import density_compensation
from mri2qmap_bids.recon.encoding.forward import Encoding, adjoint, forward
from mri2qmap_bids.recon.options import CG_STEPS, DEFAULT_ITERATIONS, PULL, ReconOptions
from mri2qmap_bids.recon.physics.dictionary import Dictionary, TissueGrid, build_dictionary
from mri2qmap_bids.recon.physics.maps import QuantitativeMaps
from mri2qmap_bids.recon.physics.masking import brain_mask
from mri2qmap_bids.recon.physics.matching import TissueMaps, match
from mri2qmap_bids.recon.physics.sequence import Sequence
from mri2qmap_bids.recon.pnp.denoiser import default_weights, load_denoiser
from mri2qmap_bids.recon.pnp.least_squares import conjugate_gradient
from mri2qmap_bids.recon.pnp.low_rank import shifted_low_rank
from mri2qmap_bids.recon.pnp.proximal import fista, largest_eigenvalue
from mri2qmap_bids.recon.pnp.solver import plug_and_play
from mri2qmap_bids.recon.pnp.total_variation import warm_total_variation

logger = logging.getLogger(__name__)


def reconstruct(
    scan: RawScan,
    sequence: Sequence,
    options: ReconOptions,
    dictionary: Dictionary | None = None,
) -> QuantitativeMaps:
    """T1, T2 and M0 of one scan.

    1. simulate the dictionary and its subspace (unless given),
    2. prewhiten, 3. per slice (or volume): compress coils, estimate sensitivities and
    solve for the subspace image, 4. match every voxel (mri2qmap: 3 and 4 take turns with a
    denoiser of synthetic weighted images), 5. mask.

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

    Raises
    ------
    DeviceError
        If the asked-for GPU is not there.
    """
    device = find_device(options.device)
    if dictionary is None:
        dictionary = build_dictionary(
            sequence, tissue_grid(options), options.rank, options.energy, device
        )
    dictionary = dictionary.to(device)
    geometry = resize(scan.geometry, options.matrix, scan.is_3d)
    whitening = _whitening(scan)
    prior = _prior(dictionary, options, device)
    parts = [
        tissue_maps(_whitened(part, whitening), scan, geometry, dictionary, prior, options)
        for part in scan.slices
    ]

    def volume(name: str) -> torch.Tensor:
        maps = [getattr(part, name) for part in parts]
        return maps[0] if scan.is_3d else torch.stack(maps)

    m0 = volume("m0")
    return QuantitativeMaps(
        t1=volume("t1").cpu().numpy(),
        t2=volume("t2").cpu().numpy(),
        m0=m0.cpu().numpy(),
        mask=brain_mask(m0, geometry.voxel_size),
        affine=affine(geometry),
    )


def tissue_maps(
    samples: SliceSamples,
    scan: RawScan,
    geometry: Geometry,
    dictionary: Dictionary,
    prior: Prior | None,
    options: ReconOptions,
) -> TissueMaps:
    """Solve y = A x for one slice or volume, and match it, shape (*space)."""
    device = dictionary.atoms.device
    n_dim = samples.trajectory.shape[1]
    target = geometry.matrix[-n_dim:]
    voxel_size = geometry.voxel_size[-n_dim:]
    support = _encoded_support(target, voxel_size, scan.encoded_fov[-n_dim:])
    omega = 2 * torch.pi * samples.trajectory.flip(1) * torch.tensor(voxel_size)
    # Beyond the grid's own band a sample would alias onto it.
    inside = (omega.abs() <= torch.pi * 1.0001).all(dim=1)
    omega, frame = omega[inside].to(device), samples.frame[inside].to(device)
    kspace = compress_coils(samples.kspace[:, inside].to(device), options.n_virtual_coils)
    contrast = dictionary.basis[:, 0].conj()[frame]
    coils = estimate_sensitivities(kspace, omega, contrast, support)
    encoding = Encoding(omega=omega, frame=frame, basis=dictionary.basis, coils=coils)
    if options.method == "gridding":
        # The weights even out all frames together; each frame has 1/T of them.
        weights = density_compensation(omega, support) * scan.n_frames
        return match(_crop(adjoint(encoding, kspace, weights), target), dictionary)
    # White noise: no weights. Few steps from zero keep what the data do not say at zero.
    projection = adjoint(encoding, kspace)
    normal = partial(toeplitz.apply, toeplitz.toeplitz_normal(encoding))
    if options.method == "subspace":
        image = conjugate_gradient(normal, projection, options.iterations)
        return match(_crop(image, target), dictionary)
    start = conjugate_gradient(normal, projection, DEFAULT_ITERATIONS["subspace"])
    noise = _sample_noise(encoding, kspace, start)
    if prior is None:
        projected = noise * _mean_gain(encoding)
        image = _regularised(normal, projection, start, projected, options)
        return match(_crop(image, target), dictionary)
    image = plug_and_play(
        normal, projection, prior, start, options.iterations, PULL * noise**2, CG_STEPS
    )
    return prior.maps(_crop(image, target))


def _regularised(
    normal: Callable[[SubspaceImage], SubspaceImage],
    projection: SubspaceImage,
    start: SubspaceImage,
    noise: float,
    options: ReconOptions,
) -> SubspaceImage:
    """Minimise 1/2 |A x - y|^2 + weight noise R(x), with R that of the method lrtv or llr.

    ``noise`` is the standard deviation of the noise in A^H y. Relative to it, one weight
    holds for data of any unit, noise, size and number of samples.
    """
    lipschitz = 1.05 * largest_eigenvalue(normal, projection)
    weight = options.weight * noise / lipschitz
    prox = warm_total_variation(weight) if options.method == "lrtv" else shifted_low_rank(weight)
    return fista(normal, projection, prox, lipschitz, options.iterations, start)


def _prior(dictionary: Dictionary, options: ReconOptions, device: torch.device) -> Prior | None:
    """The plug-and-play prior, for the method that has one."""
    if options.method != "mri2qmap":
        return None
    weights = Path(options.denoiser) if options.denoiser else default_weights()
    return Prior(dictionary, load_denoiser(weights, device))


def _sample_noise(encoding: Encoding, kspace: VirtualKSpace, image: SubspaceImage) -> float:
    """Standard deviation of the noise in every sample.

    From what the image leaves of the samples, |n|^2 of complex Gaussian noise having the
    median sigma^2 ln 2: unlike the mean, it is not led by the few samples at the centre of
    k-space, where the model's errors show.
    """
    residual = forward(encoding, image).sub_(kspace)
    return float((residual.abs().square().median() / np.log(2)).sqrt())


def _mean_gain(encoding: Encoding) -> float:
    """Square root of the mean diagonal of A^H A; coils have a root sum of squares of 1."""
    power = encoding.basis[encoding.frame].abs().square().sum() / encoding.basis.shape[1]
    return float(power.sqrt())


def tissue_grid(options: ReconOptions) -> TissueGrid:
    """The dictionary grid that the options ask for."""
    return TissueGrid(options.t1_range, options.t2_range, options.grid_step)


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
    if matrix is None:
        return geometry
    kept = 0 if is_3d else 1
    new = geometry.matrix[:kept] + matrix[kept:]
    sizes = tuple(
        size * old / n
        for size, old, n in zip(geometry.voxel_size, geometry.matrix, new, strict=True)
    )
    return Geometry(
        matrix=(new[0], new[1], new[2]),
        voxel_size=(sizes[0], sizes[1], sizes[2]),
        position=geometry.position,
        read_dir=geometry.read_dir,
        phase_dir=geometry.phase_dir,
        slice_dir=geometry.slice_dir,
    )


def _whitening(scan: RawScan) -> torch.Tensor | None:
    if scan.noise is None:
        logger.warning("No noise scan in the file: coils are not prewhitened")
        return None
    try:
        return whitening_matrix(scan.noise)
    except ValueError as error:
        logger.warning("Coils are not prewhitened: %s", error)
        return None


def _whitened(samples: SliceSamples, whitening: torch.Tensor | None) -> SliceSamples:
    if whitening is None:
        return samples
    return SliceSamples(whitening @ samples.kspace, samples.trajectory, samples.frame)


def _encoded_support(
    matrix: tuple[int, ...], voxel_size: tuple[float, ...], encoded_fov: tuple[float, ...]
) -> tuple[int, ...]:
    """Grid that covers all the encoding sees, at the target's voxel size."""
    return tuple(
        max(n, int(np.ceil(fov / size - 0.01)))
        for n, size, fov in zip(matrix, voxel_size, encoded_fov, strict=True)
    )


def _crop(image: torch.Tensor, matrix: tuple[int, ...]) -> torch.Tensor:
    """The central voxels of (rank, *space), origin (``floor(n / 2)``) on origin."""
    starts = [full // 2 - n // 2 for full, n in zip(image.shape[1:], matrix, strict=True)]
    kept = tuple(slice(start, start + n) for start, n in zip(starts, matrix, strict=True))
    return image[(slice(None), *kept)]

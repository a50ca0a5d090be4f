"""Collect the numbers and images of a report while the data are in memory."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from mri2qmap_bids.recon.arrays import (
    CoilMaps,
    NoiseDeviation,
    QuantityMap,
    SubspaceImage,
    VirtualKSpace,
)
from mri2qmap_bids.recon.diagnostics.model import (
    CoilNoise,
    Convergence,
    Diagnostics,
    Figures,
    Fingerprints,
    PartDiagnostics,
    Plane,
    Residual,
    Sampling,
)
from mri2qmap_bids.recon.encoding.forward import Encoding, forward_by_coil, nufft_of
from mri2qmap_bids.recon.frequency import frequency_axes
from mri2qmap_bids.recon.grid import centre
from mri2qmap_bids.recon.physics.dictionary import Dictionary
from mri2qmap_bids.recon.physics.matching import TissueMaps, each_map, match, signal_of
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence
from mri2qmap_bids.recon.planning.plan import Plan
from mri2qmap_bids.recon.record import Record

_N_FINGERPRINTS = 400
_N_RADII = 32
_N_SHELLS = 16
_N_READOUT_SAMPLES = 4096
_SAMPLES_AT_ONCE = 1 << 22
# Voxels below this fraction of the bright voxels do not count as tissue.
_DARK = 0.15


def diagnose_part(
    encoding: Encoding,
    kspace: VirtualKSpace,
    image: SubspaceImage,
    start: SubspaceImage | None,
    maps: TissueMaps,
    dictionary: Dictionary,
    slice_index: int,
    convergence: Convergence | None = None,
    figures: Figures | None = None,
) -> PartDiagnostics:
    """Diagnostics of one slice or volume.

    Needs one transform of the image of one coil, and matches at most three planes of the initial image.

    Parameters
    ----------
    encoding
        A.
    kspace
        The samples of the virtual coils.
    image
        Subspace image that the maps were computed from, on the encoded grid, shape (rank, *space).
    start
        Initial image of a plug-and-play method; None for other methods.
    maps
        T1, T2 and m0, on the centre of that grid.
    dictionary
        The fingerprints.
    slice_index
        Index of the slice in the stack; 0 for a volume.
    convergence
        Of the last linear solve.
    figures
        Of the scan's quality.
    """
    target = tuple(maps.t1.shape)
    cropped = centre(image, target)
    begun = None if start is None else centre(start, target)
    sensitivities = centre(encoding.coils, target)
    rest = _residual_samples(encoding, kspace, image, maps, dictionary)
    residual = _residual(encoding, rest)
    residual_image = centre(_residual_image(encoding, rest, residual.noise), target)
    planes = []
    for axis, index in _places(maps.m0):
        begins = None if begun is None else _cut(begun, axis, index)
        planes.append(
            _plane(
                _cut(cropped, axis, index),
                begins,
                _cut_maps(maps, axis, index),
                _cut(sensitivities, axis, index),
                _cut(residual_image[None], axis, index)[0],
                dictionary,
                (axis, index) if len(target) == 3 else (0, slice_index),
            )
        )
    return PartDiagnostics(
        planes=tuple(planes),
        fingerprints=_fingerprints(cropped, maps, dictionary, slice_index),
        residual=residual,
        sampling=_sampling(encoding),
        convergence=convergence,
        figures=figures,
    )


def convergence_of(
    image: SubspaceImage, correction: SubspaceImage, deviation: NoiseDeviation, met: bool
) -> Convergence:
    """Share of the energy of every shell of k-space that is not fitted.

    |c_i(g)|^2 / (|x_i(g)|^2 + 2 s_i^2), with sums over the frequencies g of a shell. c is the
    preconditioned residual of the normal equations, which approximates the distance to their solution.
    Row 0 is for all components together, the others are for one component each.

    Parameters
    ----------
    image
        x, shape (rank, *space).
    correction
        c.
    deviation
        s, of the error in the real and the imaginary part of every component, shape (rank,).
    met
        Whether the solver met its criterion.
    """
    square = torch.zeros((1,) * (image.ndim - 1), device=image.device)
    for frequency in frequency_axes(tuple(image.shape[1:]), image.device):
        square = square + (2 * frequency).square()
    shell = (square.sqrt() * _N_SHELLS).long().flatten()
    inside = shell < _N_SHELLS
    number = torch.bincount(shell[inside], minlength=_N_SHELLS)
    parts = []
    for remaining, own, error in zip(correction, image, deviation, strict=True):
        unfitted, whole = (
            torch.bincount(
                shell[inside],
                torch.fft.fftn(values, norm="ortho").abs().square().flatten()[inside].double(),
                _N_SHELLS,
            )
            for values in (remaining, own)
        )
        parts.append((unfitted, whole + 2 * float(error) ** 2 * number))
    tiny = torch.finfo(torch.float64).tiny
    unfitted, whole = (torch.stack(values) for values in zip(*parts, strict=True))
    unfitted, whole = (torch.cat([v.sum(0, keepdim=True), v]) for v in (unfitted, whole))
    shares = unfitted / whole.clamp_min(tiny)
    return Convergence(shares.float().cpu().numpy(), met)


def diagnose(
    part: PartDiagnostics,
    sequence: PulseSequence,
    dictionary: Dictionary,
    noise: torch.Tensor | None,
    record: Record,
    plan: Plan,
    is_3d: bool,
) -> Diagnostics:
    """Combine all diagnostics, on the host.

    Parameters
    ----------
    part
        From :func:`diagnose_part`.
    sequence
        The train.
    dictionary
        The fingerprints.
    noise
        The noise scan, shape (coil, sample).
    record
        Times and steps.
    plan
        The plan used.
    is_3d
        Whether the scan is one volume.
    """
    return Diagnostics(
        sequence=sequence,
        basis=dictionary.basis.cpu().numpy(),
        energy=dictionary.energy,
        t1_range=(float(dictionary.t1[0]), float(dictionary.t1[-1])),
        t2_range=(float(dictionary.t2[0]), float(dictionary.t2[-1])),
        n_atoms=int(dictionary.physical.sum()),
        part=part,
        coil_noise=None if noise is None else _coil_noise(noise),
        steps={solver: list(steps) for solver, steps in record.steps.items()},
        seconds=dict(record.seconds),
        plan=plan,
        device=_name_of(dictionary.atoms.device),
        is_3d=is_3d,
    )


def _places(m0: torch.Tensor) -> list[tuple[int, int]]:
    """(axis, index) of the planes through the middle of the signal; (0, 0) for a slice."""
    if m0.ndim == 2:
        return [(0, 0)]
    signal = _tissue(m0).float()
    places = []
    for axis in range(3):
        profile = signal.sum(tuple(a for a in range(3) if a != axis))
        where = torch.arange(len(profile), device=profile.device)
        middle = (profile * where).sum() / profile.sum().clamp_min(1)
        places.append((axis, int(middle.round())))
    return places


def _tissue(m0: torch.Tensor) -> torch.Tensor:
    """Where there is signal, boolean."""
    magnitude = m0.abs()
    # A subsample is enough; torch does not compute quantiles of many millions of values.
    sample = magnitude.flatten()[:: magnitude.numel() // 1_000_000 + 1]
    return magnitude > _DARK * torch.quantile(sample, 0.98)


def _cut(volume: torch.Tensor, axis: int, index: int) -> torch.Tensor:
    """A plane of (stack, *space); a slice is its own plane."""
    return volume if volume.ndim == 3 else volume.select(axis + 1, index)


def _cut_maps(maps: TissueMaps, axis: int, index: int) -> TissueMaps:
    return maps if maps.t1.ndim == 2 else each_map(maps, lambda m: m.select(axis, index))


def _plane(
    image: SubspaceImage,
    start: SubspaceImage | None,
    maps: TissueMaps,
    coils: CoilMaps,
    residual: QuantityMap,
    dictionary: Dictionary,
    place: tuple[int, int],
) -> Plane:
    length = torch.linalg.vector_norm(image, dim=0).clamp_min(1e-30)
    misfit = torch.linalg.vector_norm(image - signal_of(maps, dictionary), dim=0) / length
    begun = None if start is None else match(start, dictionary, exhaustive=False, b1=maps.b1)
    return Plane(
        *place,
        misfit=_half(misfit.clamp_max(1)),
        residual=_half(residual.clamp_max(1e4)),
        coils=_half(coils.abs()),
        start_t1=None if begun is None else _half(begun.t1),
        start_t2=None if begun is None else _half(begun.t2),
    )


def _half(tensor: torch.Tensor) -> NDArray[np.float16]:
    return tensor.cpu().numpy().astype(np.float16)


def _fingerprints(
    image: SubspaceImage, maps: TissueMaps, dictionary: Dictionary, slice_index: int
) -> Fingerprints:
    """Fingerprints of voxels on a regular grid over the tissue of the first plane."""
    z = _places(maps.m0)[0][1]
    middle = _cut_maps(maps, 0, z)
    tissue = _tissue(middle.m0)
    step = max(1, int(np.ceil((float(tissue.sum()) / _N_FINGERPRINTS) ** 0.5)))
    lattice = torch.zeros_like(tissue)
    lattice[step // 2 :: step, step // 2 :: step] = True
    rows, columns = torch.nonzero(lattice & tissue, as_tuple=True)
    few = each_map(middle, lambda m: m[rows, columns])
    place = torch.full_like(rows, z if image.ndim == 4 else slice_index)
    return Fingerprints(
        voxels=torch.stack([place, rows, columns], 1).cpu().numpy().astype(np.int32),
        t1=few.t1.cpu().numpy(),
        t2=few.t2.cpu().numpy(),
        data=_cut(image, 0, z)[:, rows, columns].T.contiguous().cpu().numpy(),
        model=signal_of(few, dictionary).T.contiguous().cpu().numpy(),
    )


def _residual_samples(
    encoding: Encoding,
    kspace: VirtualKSpace,
    image: SubspaceImage,
    maps: TissueMaps,
    dictionary: Dictionary,
) -> torch.Tensor:
    """A z - y of the coil with the strongest signal, z the image predicted from the maps.

    Outside the reconstructed field of view, where there are no maps, z is the image itself.
    """
    predicted = image.clone()
    centre(predicted, tuple(maps.t1.shape)).copy_(signal_of(maps, dictionary))
    energies = torch.stack([torch.linalg.vector_norm(samples) for samples in kspace])
    strongest = int(energies.argmax())
    alone = replace(encoding, coils=encoding.coils[strongest : strongest + 1])
    return next(forward_by_coil(alone, predicted)) - kspace[strongest]


def _residual(encoding: Encoding, rest: torch.Tensor) -> Residual:
    """Residual statistics; the noise follows from the median of |n|^2, sigma^2 ln 2 for Gaussian noise."""
    power = rest.abs().square()
    radius = torch.linalg.vector_norm(encoding.omega, dim=1) / torch.pi
    shell = (radius * _N_RADII).long().clamp_max(_N_RADII - 1)
    return Residual(
        noise=float((power.median() / np.log(2)).sqrt()),
        frames=_means(power, encoding.frame, len(encoding.basis)),
        radii=_means(power, shell, _N_RADII),
    )


def _residual_image(encoding: Encoding, rest: torch.Tensor, noise: float) -> QuantityMap:
    """|F^H W rest| relative to the value for noise alone, sigma sqrt(sum w^2).

    W is the distance from the centre of k-space (squared in 3D), which compensates the density
    of spirals and spokes.
    """
    weights = torch.linalg.vector_norm(encoding.omega, dim=1) ** (encoding.omega.shape[1] - 1)
    image = nufft_of(encoding).adjoint(weights * rest)
    expected = max(noise, 1e-30) * float(weights.square().sum().sqrt())
    relative: torch.Tensor = image.abs() / max(expected, 1e-30)
    return relative


def _means(power: torch.Tensor, group: torch.Tensor, n_groups: int) -> NDArray[np.float32]:
    """Root mean square in each group; NaN where there is none."""
    total = torch.bincount(group, power.double(), n_groups)
    number = torch.bincount(group, minlength=n_groups)
    return (total / number).sqrt().float().cpu().numpy()


def _sampling(encoding: Encoding) -> Sampling:
    """Count samples in the cells of the grid's k-space."""
    omega, shape = encoding.omega, encoding.shape
    n_cells = int(np.prod(shape))
    sizes = torch.tensor(shape, device=omega.device)
    counts = torch.zeros(n_cells, dtype=torch.long, device=omega.device)
    for part in torch.split(omega, _SAMPLES_AT_ONCE):
        cell = torch.round(part / (2 * torch.pi) * sizes).long() + sizes // 2
        cell = torch.minimum(cell.clamp_min(0), sizes - 1)
        flat = cell[:, 0]
        for axis in range(1, len(shape)):
            flat = flat * shape[axis] + cell[:, axis]
        counts += torch.bincount(flat, minlength=n_cells)
    density = counts.cpu().numpy().reshape(shape)
    # The outermost cells are half outside the grid's ellipsoid.
    axes = [(np.arange(n) - n // 2) / max(n / 2 - 1, 0.5) for n in shape]
    radius = sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij", sparse=True))
    images = [density] if len(shape) == 2 else [density.mean(axis) for axis in range(3)]
    return Sampling(
        density=tuple(np.asarray(image, np.float32) for image in images),
        coverage=float((density[np.asarray(radius) <= 1] > 0).mean()),
        readouts=(omega[:_N_READOUT_SAMPLES].flip(1) / torch.pi).cpu().numpy(),
        readout_frames=encoding.frame[:_N_READOUT_SAMPLES].cpu().numpy().astype(np.int32),
        n_samples=len(omega),
    )


def _coil_noise(noise: torch.Tensor) -> CoilNoise:
    double = noise.to(torch.complex128)
    covariance = double @ double.mH / noise.shape[1]
    deviation = covariance.diagonal().real.sqrt().clamp_min(1e-30)
    correlation = covariance.abs() / (deviation[:, None] * deviation[None, :])
    return CoilNoise(
        correlation=_half(correlation),
        deviation=(deviation / deviation.median()).float().cpu().numpy(),
    )


def _name_of(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{device}: {torch.cuda.get_device_name(device)}"
    return f"CPU, {torch.get_num_threads()} thread(s)"

"""Collect the numbers and images of a report while the data are in memory."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from mri2qmap_bids.recon.arrays import (
    CoilMaps,
    QuantityMap,
    SubspaceImage,
)
from mri2qmap_bids.recon.diagnostics.model import (
    CoilNoise,
    Convergence,
    Diagnostics,
    Fingerprints,
    PartDiagnostics,
    Plane,
    SliceQuality,
)
from mri2qmap_bids.recon.diagnostics.planes import cut, cut_maps, middle_planes, tissue_of
from mri2qmap_bids.recon.diagnostics.residual import residual_image, residual_of
from mri2qmap_bids.recon.diagnostics.sampling import sampling_of
from mri2qmap_bids.recon.encoding.forward import Encoding
from mri2qmap_bids.recon.grid import centre
from mri2qmap_bids.recon.physics.dictionary import Dictionary
from mri2qmap_bids.recon.physics.matching import TissueMaps, each_map, match, signal_of
from mri2qmap_bids.recon.physics.pulse_sequence import PulseSequence
from mri2qmap_bids.recon.planning.plan import Plan

_N_FINGERPRINTS = 400


def diagnose_part(
    encoding: Encoding,
    rest: torch.Tensor,
    image: SubspaceImage,
    start: SubspaceImage | None,
    maps: TissueMaps,
    dictionary: Dictionary,
    slice_index: int,
    convergence: Convergence | None = None,
) -> PartDiagnostics:
    """Diagnostics of one slice or volume.

    Matches at most three planes of the initial image.

    Parameters
    ----------
    encoding
        A.
    rest
        From :func:`residual_samples`.
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
    """
    target = tuple(maps.t1.shape)
    cropped = centre(image, target)
    initial = None if start is None else centre(start, target)
    sensitivities = centre(encoding.coils, target)
    residual = residual_of(encoding, rest)
    unexplained = centre(residual_image(encoding, rest, residual.noise), target)
    planes = []
    for axis, index in middle_planes(maps.m0):
        initial_plane = None if initial is None else cut(initial, axis, index)
        planes.append(
            _plane(
                cut(cropped, axis, index),
                initial_plane,
                cut_maps(maps, axis, index),
                cut(sensitivities, axis, index),
                cut(unexplained[None], axis, index)[0],
                dictionary,
                (axis, index) if len(target) == 3 else (0, slice_index),
            )
        )
    return PartDiagnostics(
        planes=tuple(planes),
        fingerprints=_fingerprints(cropped, maps, dictionary, slice_index),
        residual=residual,
        sampling=sampling_of(encoding),
        convergence=convergence,
    )


def diagnose(
    part: PartDiagnostics,
    slices: Sequence[SliceQuality],
    sequence: PulseSequence,
    dictionary: Dictionary,
    noise: torch.Tensor | None,
    seconds: Mapping[str, float],
    steps: Mapping[str, list[Mapping[str, float]]],
    plan: Plan,
    is_3d: bool,
) -> Diagnostics:
    """Combine all diagnostics, on the host.

    Parameters
    ----------
    part
        From :func:`diagnose_part`.
    slices
        Quality of all slices, or of the volume.
    sequence
        The train.
    dictionary
        The fingerprints.
    noise
        The noise scan, shape (coil, sample).
    seconds
        Time of each stage, all slices together [s].
    steps
        Figures of every solver step of the part, by solver.
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
        slices=tuple(slices),
        coil_noise=None if noise is None else _coil_noise(noise),
        steps={solver: list(figures) for solver, figures in steps.items()},
        seconds=dict(seconds),
        plan=plan,
        device=_name_of(dictionary.atoms.device),
        is_3d=is_3d,
    )


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
    initial = None if start is None else match(start, dictionary, exhaustive=False, b1=maps.b1)
    return Plane(
        *place,
        misfit=_half(misfit.clamp_max(1)),
        residual=_half(residual.clamp_max(1e4)),
        coils=_half(coils.abs()),
        start_t1=None if initial is None else _half(initial.t1),
        start_t2=None if initial is None else _half(initial.t2),
    )


def _half(tensor: torch.Tensor) -> NDArray[np.float16]:
    return tensor.cpu().numpy().astype(np.float16)


def _fingerprints(
    image: SubspaceImage, maps: TissueMaps, dictionary: Dictionary, slice_index: int
) -> Fingerprints:
    """Fingerprints of voxels on a regular grid over the tissue of the first plane."""
    z = middle_planes(maps.m0)[0][1]
    middle = cut_maps(maps, 0, z)
    tissue = tissue_of(middle.m0)
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
        data=cut(image, 0, z)[:, rows, columns].T.contiguous().cpu().numpy(),
        model=signal_of(few, dictionary).T.contiguous().cpu().numpy(),
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

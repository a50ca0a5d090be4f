"""Grids of voxels to encode, reconstruct and match, and of tissues to simulate."""

import numpy as np
import torch
from numpy.typing import NDArray

from mri2qmap_bids.errors import ArgumentError
from mri2qmap_bids.recon.acquisition.geometry import Geometry
from mri2qmap_bids.recon.bound import check
from mri2qmap_bids.recon.bounds import B1_MIDDLE, LEAST_MATRIX
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.dictionary import TissueGrid, transmit_fields
from mri2qmap_bids.recon.physics.inversion_efficiency import EFFICIENCIES

# The estimate needs no fine grid, as matches are refined between its points.
_ESTIMATE_STEP = 0.1


def resize(geometry: Geometry, matrix: tuple[int, int, int] | None, is_3d: bool) -> Geometry:
    """Change the number of voxels over the same field of view; slices are unchanged.

    The centre of voxel ``floor(n / 2)`` stays at ``position``, where the phase of
    k-space has its origin.
    """
    new, sizes = resized(geometry.matrix, geometry.voxel_size, matrix, is_3d)
    return Geometry(
        matrix=new,
        voxel_size=sizes,
        position=geometry.position,
        read_dir=geometry.read_dir,
        phase_dir=geometry.phase_dir,
        slice_dir=geometry.slice_dir,
    )


def resized(
    matrix: tuple[int, int, int],
    voxel_size: tuple[float, float, float],
    target: tuple[int, int, int] | None,
    is_3d: bool,
) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    """Voxels and their size for another matrix over the same field of view."""
    if target is None:
        return matrix, voxel_size
    new = target if is_3d else (matrix[0], *target[1:])
    z, y, x = (size * old / n for size, old, n in zip(voxel_size, matrix, new, strict=True))
    return new, (z, y, x)


def encoded_support(
    matrix: tuple[int, ...], voxel_size: tuple[float, ...], encoded_fov: tuple[float, ...]
) -> tuple[int, ...]:
    """Matrix that covers the encoded field of view, at the target's voxel size.

    Raises
    ------
    ArgumentError
        If it is too small for the gridding kernel.
    """
    support = tuple(
        max(n, int(np.ceil(fov / size - 0.01)))
        for n, size, fov in zip(matrix, voxel_size, encoded_fov, strict=True)
    )
    if min(support) < LEAST_MATRIX:
        raise ArgumentError(
            f"matrixSize must be at least {LEAST_MATRIX} along every axis that is encoded ((z,) y, x), got {support}"
        )
    return support


def centre(image: torch.Tensor, matrix: tuple[int, ...]) -> torch.Tensor:
    """The central voxels of (..., *space); the origin (voxel ``floor(n / 2)``) stays the origin."""
    full = image.shape[-len(matrix) :]
    starts = [whole // 2 - n // 2 for whole, n in zip(full, matrix, strict=True)]
    centre_part = tuple(slice(start, start + n) for start, n in zip(starts, matrix, strict=True))
    part: torch.Tensor = image[(Ellipsis, *centre_part)]  # type: ignore[index]
    return part


def widened(b1: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """A field on more voxels, extended by its edge values. The inverse of ``centre``."""
    margins: list[int] = []
    for full, inner in zip(reversed(shape), reversed(b1.shape), strict=True):
        start = full // 2 - inner // 2
        margins += [start, full - inner - start]
    padded: torch.Tensor = torch.nn.functional.pad(b1[None, None], margins, mode="replicate")
    return padded[0, 0]


def field_of_slices(
    b1: NDArray[np.float32] | None, geometry: Geometry, is_3d: bool, device: torch.device
) -> list[torch.Tensor | None]:
    """The transmit field of every slice, or of the volume."""
    if b1 is None:
        return [None] * (1 if is_3d else geometry.matrix[0])
    b1 = np.asarray(b1)
    if b1.shape != geometry.matrix or not (np.isfinite(b1).all() and (b1 > 0).all()):
        raise ArgumentError(
            f"b1 must be positive and finite of shape {geometry.matrix}, got {b1.shape} with "
            f"{b1.min():g} to {b1.max():g}"
        )
    check(B1_MIDDLE, b1, "b1 (relative to nominal)")
    field = torch.from_numpy(b1.astype(np.float32)).to(device)
    return [field] if is_3d else list(field)


def tissue_grid(options: ReconOptions, b1: NDArray[np.float32] | None = None) -> TissueGrid:
    """The dictionary grid of the options.

    Parameters
    ----------
    options
        Its range and step. If the inversion efficiency is to be estimated, the grid is the one for that: with
        several efficiencies and steps of at least 10 %; for a map of it, with several efficiencies.
    b1
        Transmit field that the grid must cover, relative to nominal; None: nominal.

    Raises
    ------
    ArgumentError
        If the efficiency is to be a map and there is a transmit field.
    """
    fields = (1.0,) if b1 is None else transmit_fields(b1)
    if options.inversion_efficiency == "estimate":
        step = max(options.grid_step, _ESTIMATE_STEP)
        return TissueGrid(options.t1_range, options.t2_range, step, fields, EFFICIENCIES)
    if options.inversion_efficiency == "map":
        if b1 is not None:
            raise ArgumentError(
                "b1 must be None (--ignore b1) for the inversion_efficiency map, since fingerprints vary with one of "
                "the two; got a transmit field: take estimate for one efficiency"
            )
        # Maps are matched to the same fingerprints that tell the efficiency.
        return TissueGrid(
            options.t1_range, options.t2_range, options.grid_step, fields, EFFICIENCIES
        )
    return TissueGrid(options.t1_range, options.t2_range, options.grid_step, fields)

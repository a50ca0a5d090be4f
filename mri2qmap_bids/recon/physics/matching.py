"""Dictionary matching: the tissue of every voxel of a subspace image."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from mri2qmap_bids.recon.arrays import ComplexMap, QuantityMap, SubspaceImage
from mri2qmap_bids.recon.physics.dictionary import AtomGrid
from mri2qmap_bids.recon.voxelwise import voxelwise

_VOXELS_AT_ONCE = 4096
# Voxels whose signal is interpolated together on a CPU (fits its cache) and on a GPU (whose time, with
# fewer, goes into starting kernels).
_SIGNALS_AT_ONCE = (4096, 65536)
_REFINEMENT_STEPS = 8
# The search compares every third T1 and T2 first, then all atoms around the best of these.
_STRIDE = 3


@dataclass(frozen=True, eq=False)
class TissueMaps:
    """The tissue of every voxel, on the subspace image's device."""

    t1: QuantityMap
    """[s]"""
    t2: QuantityMap
    """[s]"""
    m0: ComplexMap
    """Complex scale: the signal is m0 times the fingerprint for unit magnetisation."""
    correlation: QuantityMap
    """|<d, x>| / (|d| |x|) at the matched tissue, 0..1."""
    b1: QuantityMap | None = None
    """Transmit field used, relative to nominal; None: nominal."""


def each_map(maps: TissueMaps, function: Callable[[torch.Tensor], torch.Tensor]) -> TissueMaps:
    """Apply a function to every map, e.g. one that selects voxels."""
    return TissueMaps(
        t1=function(maps.t1),
        t2=function(maps.t2),
        m0=function(maps.m0),
        correlation=function(maps.correlation),
        b1=None if maps.b1 is None else function(maps.b1),
    )


def match(
    image: SubspaceImage,
    dictionary: AtomGrid,
    refine: bool = True,
    exhaustive: bool = True,
    voxels_at_once: int = _VOXELS_AT_ONCE,
    b1: QuantityMap | None = None,
) -> TissueMaps:
    """Nearest tissue and complex scale of every voxel.

    min over theta, m0 of |x - m0 Phi^H d(theta)|^2: the atom with the largest
    |<a, x>| / |a| first, then, with ``refine``, Gauss-Newton steps between the
    grid points on the biquadratic interpolant of the nearest 3 x 3 atoms in
    (log T1, log T2), m0 eliminated (variable projection), with T2 <= T1. With a B1 map,
    the atoms are those of the nearest B1 of the grid, and with ``refine`` the quadratic
    interpolant of the nearest three.

    Parameters
    ----------
    image
        Subspace image x, shape (rank, *space).
    dictionary
        Atoms with as many components as the image, same device.
    refine
        Whether to refine between the grid points.
    exhaustive
        Whether to compare every atom. If not, the search is four times faster, with the same
        result for 99.9 % of voxels with signal.
    voxels_at_once
        Voxels matched together; more need more memory.
    b1
        Transmit field relative to nominal, shape (*space); None: nominal everywhere.

    References
    ----------
    Ma et al., Magnetic resonance fingerprinting (2013), doi:10.1038/nature11971.
    Kaufman, A variable projection method (1975), doi:10.1007/BF01932995.
    """
    space = image.shape[1:]
    voxels = image.reshape(image.shape[0], -1).T
    atoms = dictionary.atoms
    weights = torch.linalg.vector_norm(atoms, dim=1).reciprocal()
    weights = weights.reshape(len(dictionary.b1), -1) * dictionary.physical
    normalised = (atoms * weights.reshape(-1, 1)).reshape(*weights.shape, -1)
    shape = len(dictionary.t1), len(dictionary.t2)
    fields = _field_position(dictionary, b1, len(voxels))
    parts = []
    for part, field in zip(
        torch.split(voxels, voxels_at_once), torch.split(fields, voxels_at_once), strict=True
    ):
        index = torch.zeros(len(part), dtype=torch.long, device=part.device)
        nearest = field.round().long()
        for layer, layer_atoms in enumerate(normalised):
            those = nearest == layer
            if those.any():
                voxel = part[those]
                index[those] = (
                    _nearest(voxel, layer_atoms)
                    if exhaustive
                    else _search(voxel, layer_atoms, shape)
                )
        if refine:
            parts.append(_refined(part, index, field, dictionary))
        else:
            parts.append(_scaled(part, index, nearest, dictionary))
    t1, t2, m0, correlation = (
        torch.cat(column).reshape(space) for column in zip(*parts, strict=True)
    )
    return TissueMaps(t1=t1, t2=t2, m0=m0, correlation=correlation, b1=b1)


def inside_grid(
    t1: torch.Tensor, t2: torch.Tensor, dictionary: AtomGrid
) -> tuple[torch.Tensor, torch.Tensor]:
    """The nearest T1 and T2 [s] inside the grid, with T2 <= T1; T1 is at least the shortest T2."""
    t1 = t1.clamp(torch.maximum(dictionary.t1[0], dictionary.t2[0]), dictionary.t1[-1])
    return t1, torch.minimum(t2.clamp(dictionary.t2[0], dictionary.t2[-1]), t1)


def signal_of(maps: TissueMaps, dictionary: AtomGrid) -> SubspaceImage:
    """The subspace image predicted from maps, m0 Phi^H d(T1, T2), interpolated as in :func:`match`.

    Parameters
    ----------
    maps
        T1, T2 and m0 of every voxel, inside the dictionary's grid.
    dictionary
        Compressed fingerprints, same device.

    Returns
    -------
    Shape (rank, *space).
    """
    positions = (
        grid_position(dictionary.t1, maps.t1.flatten()),
        grid_position(dictionary.t2, maps.t2.flatten()),
        _field_position(dictionary, maps.b1, maps.t1.numel()),
    )
    parts, at_once = [], _SIGNALS_AT_ONCE[maps.t1.is_cuda]
    for row, column, field in zip(
        *(torch.split(position, at_once) for position in positions), strict=True
    ):
        stencil, u, v = _stencil_at(row, column, field, dictionary)
        parts.append(_interpolate(stencil, _weights(u), _weights(v)))
    return torch.cat(parts).T.reshape(-1, *maps.t1.shape) * maps.m0


def tangents(
    dictionary: AtomGrid, t1: torch.Tensor, t2: torch.Tensor, b1: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Atoms and their derivatives along log T1 and log T2, interpolated as in :func:`match`.

    Parameters
    ----------
    dictionary
        The grid of atoms.
    t1, t2
        Relaxation times [s], inside the grid, shape (voxel,).
    b1
        Transmit field relative to nominal, shape (voxel,); None: nominal.

    Returns
    -------
    Each of shape (voxel, rank).
    """
    row, column = grid_position(dictionary.t1, t1), grid_position(dictionary.t2, t2)
    stencil, u, v = _stencil_at(row, column, _field_position(dictionary, b1, len(t1)), dictionary)
    step_t1 = torch.log(dictionary.t1[1] / dictionary.t1[0])
    step_t2 = torch.log(dictionary.t2[1] / dictionary.t2[0])
    return (
        _interpolate(stencil, _weights(u), _weights(v)),
        _interpolate(stencil, _slopes(u), _weights(v)) / step_t1,
        _interpolate(stencil, _weights(u), _slopes(v)) / step_t2,
    )


def _search(voxels: torch.Tensor, normalised: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """Index of the best atom: on a coarse grid first, then among all atoms around that."""
    device = voxels.device
    rows, columns = (torch.arange(_STRIDE // 2, n, _STRIDE, device=device) for n in shape)
    coarse = (rows[:, None] * shape[1] + columns).reshape(-1)
    best = coarse[_nearest(voxels, normalised[coarse])]
    # 1.5 times the distance to the next coarse atoms, which may be almost as good as the best.
    reach = torch.arange(-_STRIDE - _STRIDE // 2, _STRIDE + _STRIDE // 2 + 1, 1, device=device)
    row = (best // shape[1])[:, None] + reach
    column = (best % shape[1])[:, None] + reach
    row, column = row.clamp(0, shape[0] - 1), column.clamp(0, shape[1] - 1)
    around = (row[:, :, None] * shape[1] + column[:, None, :]).flatten(1)
    atoms = normalised[around]
    if atoms.is_complex():
        power = voxelwise("var,vr->va", atoms.conj(), voxels).abs()
    else:
        # Real atoms: two real products instead of one complex one.
        power = voxelwise("var,vr->va", atoms, voxels.real).square_()
        power += voxelwise("var,vr->va", atoms, voxels.imag).square_()
    return around.gather(1, power.argmax(1, keepdim=True))[:, 0]


def _nearest(voxels: torch.Tensor, normalised: torch.Tensor) -> torch.Tensor:
    """Index of the atom with the largest |<a, x>|, shape (voxel,)."""
    if normalised.is_complex():
        return (voxels @ normalised.mH).abs().argmax(dim=1)
    # Real atoms: two real products instead of one complex one.
    real = voxels.real @ normalised.T
    imaginary = voxels.imag @ normalised.T
    return real.square_().add_(imaginary.square_()).argmax(dim=1)


def _scaled(
    voxels: torch.Tensor, index: torch.Tensor, layer: torch.Tensor, dictionary: AtomGrid
) -> tuple[torch.Tensor, ...]:
    """T1, T2, m0 and correlation at the grid points."""
    n_t2 = len(dictionary.t2)
    atoms = dictionary.atoms[layer * (len(dictionary.t1) * n_t2) + index]
    m0, correlation = _project(voxels, atoms)
    return dictionary.t1[index // n_t2], dictionary.t2[index % n_t2], m0, correlation


def _refined(
    voxels: torch.Tensor, index: torch.Tensor, field: torch.Tensor, dictionary: AtomGrid
) -> tuple[torch.Tensor, ...]:
    """T1, T2, m0 and correlation between the grid points."""
    shape = len(dictionary.t1), len(dictionary.t2)
    row = (index // shape[1]).to(dictionary.t1.dtype)
    column = (index % shape[1]).to(dictionary.t1.dtype)
    length = torch.linalg.vector_norm(voxels, dim=1, keepdim=True)
    unit = voxels / length.clamp_min(torch.finfo(length.dtype).tiny)
    # Below it, T1 is shorter than every T2 of the grid.
    first_row = grid_position(dictionary.t1, dictionary.t2[0]).clamp(0, shape[0] - 1)
    for _ in range(_REFINEMENT_STEPS):
        stencil, u, v = _stencil_at(row, column, field, dictionary)
        step_row, step_column = _gauss_newton_step(unit, stencil, u, v)
        row = torch.maximum(row + step_row, first_row).clamp_max(shape[0] - 1)
        column = torch.minimum(column + step_column, _last_physical(row, dictionary)).clamp_min(0)
    stencil, u, v = _stencil_at(row, column, field, dictionary)
    m0, correlation = _project(voxels, _interpolate(stencil, _weights(u), _weights(v)))
    return _geometric(dictionary.t1, row), _geometric(dictionary.t2, column), m0, correlation


def _stencil_at(
    row: torch.Tensor, column: torch.Tensor, field: torch.Tensor, dictionary: AtomGrid
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The 3 x 3 atoms around a position, (voxel, 3, 3, rank), and the position inside them.

    Rows, columns and fields are positions along T1, T2 and B1.
    """
    shape = len(dictionary.t1), len(dictionary.t2)
    # The stencil stays inside the grid; for a position at the edge of the grid it is not centred.
    centre_row = row.round().clamp(1, shape[0] - 2)
    centre_column = column.round().clamp(1, shape[1] - 2)
    offsets = torch.arange(-1, 2, device=row.device)
    rows = centre_row.long()[:, None, None] + offsets[:, None]
    columns = centre_column.long()[:, None, None] + offsets
    index = rows * shape[1] + columns
    if len(dictionary.b1) == 1:
        stencil = dictionary.atoms[index]
    else:
        centre = field.round().clamp(1, len(dictionary.b1) - 2)
        layers = centre.long()[:, None] + offsets
        stencil = sum(
            weight[:, None, None, None]
            * dictionary.atoms[index + (layer * (shape[0] * shape[1]))[:, None, None]]
            for layer, weight in zip(layers.T, _weights(field - centre).T, strict=True)
        )
    return stencil, row - centre_row, column - centre_column


def _gauss_newton_step(
    voxels: torch.Tensor, stencil: torch.Tensor, u: torch.Tensor, v: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Step of the variable projection for unit voxels, in grid units, at most one cell."""
    atom = _interpolate(stencil, _weights(u), _weights(v))
    power = atom.abs().square().sum(1, keepdim=True).clamp_min(1e-30)
    m0 = (atom.conj() * voxels).sum(1, keepdim=True) / power
    residual = voxels - m0 * atom
    along_u = m0 * _interpolate(stencil, _slopes(u), _weights(v))
    along_v = m0 * _interpolate(stencil, _weights(u), _slopes(v))
    along_u = along_u - atom * (atom.conj() * along_u).sum(1, keepdim=True) / power
    along_v = along_v - atom * (atom.conj() * along_v).sum(1, keepdim=True) / power
    uu, vv = along_u.abs().square().sum(1), along_v.abs().square().sum(1)
    uv = (along_u.conj() * along_v).real.sum(1)
    ru = (along_u.conj() * residual).real.sum(1)
    rv = (along_v.conj() * residual).real.sum(1)
    # A small diagonal term keeps voxels without signal finite.
    damping = 1e-6 * (uu + vv) + 1e-12
    uu, vv = uu + damping, vv + damping
    determinant = uu * vv - uv * uv
    step_u = (vv * ru - uv * rv) / determinant
    step_v = (uu * rv - uv * ru) / determinant
    return step_u.clamp(-1, 1), step_v.clamp(-1, 1)


def _project(voxels: torch.Tensor, atoms: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Complex scale of each voxel's atom, and its correlation with the voxel."""
    power = atoms.abs().square().sum(1).clamp_min(1e-30)
    product = (atoms.conj() * voxels).sum(1)
    length = torch.linalg.vector_norm(voxels, dim=1).clamp_min(1e-30)
    return product / power, product.abs() / (power.sqrt() * length)


def _interpolate(stencil: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Sum of the 3 x 3 atoms by their weights, shape (voxel, rank)."""
    weights = rows[:, :, None] * columns[:, None, :]
    return voxelwise("vab,vabr->vr", weights, stencil)


def _weights(position: torch.Tensor) -> torch.Tensor:
    """Lagrange weights of the nodes -1, 0, 1 at a position, shape (voxel, 3)."""
    return torch.stack(
        [position * (position - 1) / 2, 1 - position * position, position * (position + 1) / 2], 1
    )


def _slopes(position: torch.Tensor) -> torch.Tensor:
    """Derivatives of :func:`_weights`."""
    return torch.stack([position - 0.5, -2 * position, position + 0.5], 1)


def _geometric(values: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
    """A logarithmic grid's value between its points."""
    return values[0] * torch.exp(position * torch.log(values[1] / values[0]))


def _last_physical(row: torch.Tensor, dictionary: AtomGrid) -> torch.Tensor:
    """The T2 position at which T2 equals T1, or the grid's end."""
    t2 = dictionary.t2
    return grid_position(t2, _geometric(dictionary.t1, row)).clamp_max(len(t2) - 1)


def _field_position(dictionary: AtomGrid, b1: torch.Tensor | None, n_voxels: int) -> torch.Tensor:
    """Position of the voxels' B1 on the B1 grid, in steps from its first value, shape (voxel,)."""
    fields = dictionary.b1
    if b1 is None:
        b1 = torch.ones(n_voxels, dtype=fields.dtype, device=fields.device)
    step = fields[1] - fields[0] if len(fields) > 1 else 1.0
    return ((b1.flatten() - fields[0]) / step).clamp(0, len(fields) - 1)


def grid_position(values: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Position of values on a logarithmic grid, in steps from its first value; inverse of ``_geometric``."""
    return torch.log(target / values[0]) / torch.log(values[1] / values[0])

"""A digital brain: the known maps that a simulated scan measures."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from mri2qmap_bids.recon.acquisition.geometry import Geometry
from mri2qmap_bids.simulate.anatomy import Anatomy, fractions
from mri2qmap_bids.simulate.fields import generator, smooth_field_on
from mri2qmap_bids.simulate.tissue import FLUID, MIXED, OTHER, Tissue, of_subject

RELATIVE_STEP = 0.002
"""Step of the logarithmic grid of T1 and T2: voxels on it share fingerprints."""
T1_RANGE, T2_RANGE = (0.1, 4.9), (0.01, 1.95)
"""Values a digital brain may hold [s]."""
PURE = 0.8
"""A voxel bears a tissue's label when more than this part of it is that tissue."""
# A voxel with less tissue than this gives no signal.
_LEAST_TISSUE = 0.05
POINT_SPREAD = 0.6
"""Standard deviation of the point spread [voxel]."""
_VARIATION, _VARIATION_LENGTH = 0.04, 20e-3
_PHASE_AMPLITUDE, _PHASE_LENGTH = 0.7, 90e-3


@dataclass(frozen=True, eq=False)
class DigitalBrain:
    """Known T1, T2, M0 and tissue of every voxel, axes (z, y, x)."""

    t1: NDArray[np.float32]
    """Longitudinal relaxation time [s], 0 in the background."""
    t2: NDArray[np.float32]
    """Transverse relaxation time [s], 0 in the background."""
    m0: NDArray[np.complex64]
    """Equilibrium magnetisation with the transmit phase, 0 in the background."""
    labels: NDArray[np.uint8]
    """0 background, 1 grey matter, 2 white matter, 3 fluid, 4 mixture in the brain, 5 other."""
    voxel_size: tuple[float, float, float]
    """Distance between voxel centres along (z, y, x) [m]."""


def from_anatomy(
    anatomy: Anatomy,
    geometry: Geometry,
    seed: int,
    thickness: float | None = None,
    point_spread: float = POINT_SPREAD,
) -> DigitalBrain:
    """One subject's known maps on a grid.

    A voxel with fractions f_k of tissues k has R1 = sum f_k R1_k / sum f_k, R2
    alike, and M0 = sum f_k M0_k: one T1 and one T2 per voxel. Each tissue's
    values differ between subjects and vary smoothly in space; T1 and T2 lie on
    a logarithmic grid.

    Parameters
    ----------
    anatomy
        The common head.
    geometry
        The grid.
    seed
        Of the subject: the same seed gives the same brain on any grid.
    thickness
        Slice thickness [m]; None: the distance between slices.
    point_spread
        See :func:`blurred`.

    Returns
    -------
    The brain.
    """
    parts = fractions(anatomy, geometry, thickness, generator(seed, "shape"))
    parts = blurred(parts, thickness, point_spread)
    tissues = of_subject(anatomy.tissues, generator(seed, "tissue"))
    total, rate1, rate2, density = (np.zeros(geometry.matrix) for _ in range(4))
    for index, (part, tissue) in enumerate(zip(parts, tissues, strict=True)):
        if tissue.m0 == 0.0 or not part.any():
            continue
        t1, t2, m0 = _varied(tissue, geometry, generator(seed, "variation", index))
        total += part
        rate1 += part / t1
        rate2 += part / t2
        density += part * m0
    mask = total > _LEAST_TISSUE
    safe = np.where(mask, total, 1.0)
    t1 = safe / np.where(mask, rate1, 1.0)
    t2 = safe / np.where(mask, rate2, 1.0)
    labels = np.where(mask, _labels(parts, tissues), 0).astype(np.uint8)
    return make_brain(t1, t2, density * smooth_phase(geometry, seed), labels, geometry.voxel_size)


def blurred(
    parts: NDArray[np.float32], thickness: float | None, point_spread: float = POINT_SPREAD
) -> NDArray[np.float32]:
    """Fractions as seen at the resolution of a scan, by default a Gaussian of 1.4 voxels full width.

    Spirals and spokes cover a disc (a ball in 3D) of k-space. What a sharp object has in
    the corners of the square around it, no scan of that kind can tell: such an object read
    out without noise in full would still be reconstructed with errors of 3-4 %, with this
    blur it is 1 %.

    Parameters
    ----------
    parts
        Shape (tissue, z, y, x).
    thickness
        Slice thickness [m], which means that slices are selected, not encoded: no blur
        across them; None: 3D.
    point_spread
        Standard deviation of the Gaussian [voxel]; 0: no blur.
    """
    if point_spread == 0:
        return parts
    across = 0.0 if thickness is not None else point_spread
    spread = (0.0, across, point_spread, point_spread)
    return np.asarray(gaussian_filter(parts, spread, mode="constant"))


def make_brain(
    t1: NDArray[np.float64],
    t2: NDArray[np.float64],
    m0: NDArray[np.complex128],
    labels: NDArray[np.uint8],
    voxel_size: tuple[float, float, float],
) -> DigitalBrain:
    """A brain with T1 and T2 put on the logarithmic grid and the background emptied.

    Parameters
    ----------
    t1, t2
        Relaxation times [s], shape (z, y, x).
    m0
        Equilibrium magnetisation, shape (z, y, x).
    labels
        See :class:`DigitalBrain`; 0 empties a voxel.
    voxel_size
        Along (z, y, x) [m].

    Returns
    -------
    The brain; everywhere T2 <= T1.
    """
    mask = labels > 0
    t1_grid = on_grid(np.clip(t1, *T1_RANGE))
    t2_grid = np.minimum(on_grid(np.clip(t2, *T2_RANGE)), t1_grid)
    return DigitalBrain(
        t1=np.where(mask, t1_grid, 0.0).astype(np.float32),
        t2=np.where(mask, t2_grid, 0.0).astype(np.float32),
        m0=np.where(mask, m0, 0.0).astype(np.complex64),
        labels=labels,
        voxel_size=voxel_size,
    )


def on_grid(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nearest values exp(i * step), i whole, step = ``RELATIVE_STEP``."""
    return np.exp(np.rint(np.log(times) / RELATIVE_STEP) * RELATIVE_STEP)


def smooth_phase(geometry: Geometry, seed: int) -> NDArray[np.complex128]:
    """A smooth unit phasor on a grid, shape (z, y, x)."""
    field = smooth_field_on(geometry, _PHASE_LENGTH, generator(seed, "phase"))
    phasor: NDArray[np.complex128] = np.exp(1j * _PHASE_AMPLITUDE * field)
    return phasor


def _varied(
    tissue: Tissue, geometry: Geometry, rng: np.random.Generator
) -> list[NDArray[np.float64]]:
    """T1, T2 and M0 of a tissue in each voxel, were it all that tissue; shape (z, y, x)."""
    return [
        value
        * np.exp(_VARIATION * np.clip(smooth_field_on(geometry, _VARIATION_LENGTH, rng), -2, 2))
        for value in (tissue.t1, tissue.t2, tissue.m0)
    ]


def _labels(parts: NDArray[np.float32], tissues: tuple[Tissue, ...]) -> NDArray[np.uint8]:
    """Label of every voxel that has signal."""
    of_brain = np.zeros(parts.shape[1:], dtype=np.float32)
    labels = np.zeros(parts.shape[1:], dtype=np.uint8)
    for part, tissue in zip(parts, tissues, strict=True):
        if 1 <= tissue.label <= FLUID:
            labels[part > PURE] = tissue.label
            of_brain += part
    majority = np.where(of_brain > 0.5 * (1.0 - parts[0]), MIXED, OTHER)
    return np.where(labels > 0, labels, majority).astype(np.uint8)

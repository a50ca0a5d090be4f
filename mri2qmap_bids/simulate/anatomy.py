"""Which tissue is where in a head: a volume of labels in world coordinates.

Not sigpy's Shepp-Logan phantom: its ellipses have intensities, but no T1 and T2, and no brain's shape.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.dataset.volume_file import read_volume
from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.recon.acquisition.geometry import Geometry
from mri2qmap_bids.simulate.fields import smooth_field_on
from mri2qmap_bids.simulate.grid import offsets_in_voxel, voxel_centres
from mri2qmap_bids.simulate.tissue import BRAINWEB_TISSUES, MNI152_TISSUES, Tissue

# The average of many heads hides thin sulci: their fluid counts double.
_FLUID_WEIGHT = 2.0
_SCALE_SPREAD, _TURN_SPREAD = 0.03, 0.03
_WARP_AMPLITUDE, _WARP_LENGTH = 2e-3, 25e-3
_VOXELS_AT_ONCE = 1 << 15


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A head as labels; the value of a label is an index into ``tissues``."""

    labels: NDArray[np.uint8]
    """Label of every voxel, axes (x, y, z); 0 is background."""
    affine: NDArray[np.float64]
    """Voxel indices (x, y, z) to world, RAS+ [m], shape (4, 4)."""
    tissues: tuple[Tissue, ...]
    """Tissue of each label value."""


def mni152() -> Anatomy:
    """The average brain shipped with nilearn: grey matter, white matter, fluid.

    Each voxel takes its likeliest tissue; fluid is what of the brain mask is
    neither grey nor white.

    References
    ----------
    Fonov et al., Unbiased average age-appropriate brain templates (2011),
    doi:10.1016/j.neuroimage.2010.07.033.
    """
    from nilearn import datasets

    image = datasets.load_mni152_gm_template(resolution=1)
    grey = np.asarray(image.dataobj, dtype=np.float32)
    white = np.asarray(datasets.load_mni152_wm_template(resolution=1).dataobj, dtype=np.float32)
    mask = np.asarray(datasets.load_mni152_brain_mask(resolution=1).dataobj) > 0
    fluid = np.clip(1.0 - grey - white, 0.0, 1.0) * _FLUID_WEIGHT
    labels = np.where(mask, 1 + np.argmax([grey, white, fluid], axis=0), 0)
    return Anatomy(labels.astype(np.uint8), _in_metres(image.affine), MNI152_TISSUES)


def brainweb(path: Path) -> Anatomy:
    """A BrainWeb anatomy: a label volume of values 0..11 (MINC or NIfTI).

    Parameters
    ----------
    path
        The label file.

    Raises
    ------
    UsageError
        If the file cannot be read or has other labels.

    References
    ----------
    Aubert-Broche, Evans, Collins, A new improved version of the realistic
    digital brain phantom (2006), doi:10.1016/j.neuroimage.2006.03.052.
    """
    image, values = read_volume(path, UsageError, np.float32)
    most, low, high = len(BRAINWEB_TISSUES) - 1, values.min(), values.max()
    # Not a number is in no range.
    if values.ndim != 3 or not (low >= -0.5 and 0.5 < high < most + 0.5):
        raise UsageError(
            f"{path}: must be a 3D volume of labels 0..{most}, at least one of them above 0, "
            f"got shape {values.shape}, values {low:g}..{high:g}"
        )
    labels = np.rint(values).astype(np.uint8)
    return Anatomy(labels, _in_metres(image.affine), BRAINWEB_TISSUES)


def centre_and_extent(anatomy: Anatomy) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Middle of the head's bounding box and its edges, RAS+ axes [m], each shape (3,)."""
    corners = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        occupied = np.flatnonzero(anatomy.labels.any(axis=others))
        corners.append((occupied[0], occupied[-1]))
    points = np.array(np.meshgrid(*corners)).reshape(3, -1).T
    world = points @ anatomy.affine[:3, :3].T + anatomy.affine[:3, 3]
    return (world.min(axis=0) + world.max(axis=0)) / 2, np.ptp(world, axis=0)


def fractions(
    anatomy: Anatomy, geometry: Geometry, thickness: float | None, rng: np.random.Generator
) -> NDArray[np.float32]:
    """How much of each voxel of a grid is which tissue, in one subject's version of the head.

    Labels are looked up at points spread inside every voxel, after a random
    affine map and a random smooth warp of the subject, and counted.

    Parameters
    ----------
    anatomy
        The common head.
    geometry
        The grid.
    thickness
        Slice thickness [m]; None: the distance between slices.
    rng
        The subject's source of randomness.

    Returns
    -------
    Fractions that sum to one over tissues, shape (tissue, z, y, x).
    """
    centre, _ = centre_and_extent(anatomy)
    linear = np.eye(3) + rng.uniform(-_TURN_SPREAD, _TURN_SPREAD, size=(3, 3))
    linear[np.diag_indices(3)] = 1.0 + rng.uniform(-_SCALE_SPREAD, _SCALE_SPREAD, size=3)
    warp = [smooth_field_on(geometry, _WARP_LENGTH, rng).reshape(-1) for _ in range(3)]

    spacing = float(np.cbrt(abs(np.linalg.det(anatomy.affine[:3, :3]))))
    offsets = offsets_in_voxel(geometry, thickness, spacing) @ linear.T
    to_index = np.linalg.inv(anatomy.affine)
    steps = (offsets @ to_index[:3, :3].T).astype(np.float32)
    centres = voxel_centres(geometry)
    padded = np.pad(anatomy.labels, 1)
    counts = np.zeros((len(anatomy.tissues), len(centres)), dtype=np.float32)
    # A few voxels at once, whose arrays stay in the cache.
    for first in range(0, len(centres), _VOXELS_AT_ONCE):
        those = slice(first, first + _VOXELS_AT_ONCE)
        bent = np.stack([field[those] for field in warp], axis=1)
        positions = (centres[those] - centre) @ linear.T + centre + _WARP_AMPLITUDE * bent
        start = (positions @ to_index[:3, :3].T + to_index[:3, 3]).astype(np.float32).T
        for step in steps:
            labels = _labels_at(padded, start + step[:, None])
            for label in range(len(counts)):
                counts[label, those] += labels == label
    counts /= len(offsets)
    return counts.reshape(len(anatomy.tissues), *geometry.matrix)


def _labels_at(padded: NDArray[np.uint8], index: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Nearest label, shape (point,), of labels with one voxel of background around them.

    Parameters
    ----------
    padded
        The labels.
    index
        Voxel indices before padding, shape (3, point); beyond the volume is background.
    """
    flat = np.zeros(index.shape[1], np.int32)
    for along, n in zip(index, padded.shape, strict=True):
        flat *= n
        flat += np.clip(np.rint(along), -1, n - 2).astype(np.int32) + 1
    return padded.reshape(-1)[flat]


def _in_metres(affine_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same affine with millimetres made metres."""
    return np.diag([1e-3, 1e-3, 1e-3, 1.0]) @ affine_mm

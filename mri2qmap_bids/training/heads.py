"""Whole heads on the training device: tissue fractions and T1-weighted volumes, and random patches of them."""

import logging
import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mri2qmap_bids.dataset.volume_file import read_volume
from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.simulate.anatomy import brainweb
from mri2qmap_bids.simulate.tissue import (
    BACKGROUND,
    CONNECTIVE,
    CSF,
    DURA,
    FAT,
    GREY,
    MARROW,
    MUSCLE,
    SKIN,
    SKULL,
    VESSEL,
    WHITE,
    Tissue,
)
from mri2qmap_bids.training.data import contrast_of
from mri2qmap_bids.training.maps import (
    RandomMaps,
    maps_of_fractions,
    maps_of_t1w,
    tissue_values,
)

logger = logging.getLogger(__name__)

CHANNELS = 24
"""Tissues of a head at most."""
# Voxel sizes of the patches [mm], log-uniform, and the largest tilt [deg].
_VOXELS, _TILT = (0.9, 3.2), 15.0
# A coarser copy of the fractions is cut from when voxels are larger than this many of its own.
_COARSER = 1.6
# Standard deviation of the point spread [voxel].
_BLUR = (0.3, 0.75)
# FreeSurfer numbers of structures that share a tissue; each row is varied by itself.
_STRUCTURES: tuple[tuple[Tissue, tuple[int, ...]], ...] = (
    (CSF, (4, 5, 14, 15, 24, 43, 44, 72)),
    (GREY, (3, 42)),
    (GREY, (8, 47)),
    (GREY, (10, 11, 12, 13, 17, 18, 26, 28, 49, 50, 51, 52, 53, 54, 58, 60, 136, 137, 163, 164)),
    (WHITE, (2, 7, 25, 41, 46, 57, 85)),
    (WHITE, (16,)),
    (VESSEL, (30, 62)),
)
# Classes of brightness outside the brain, whose tissue is not known: drawn for every head.
_OUTSIDE, _FIRST_OUTSIDE = (FAT, MUSCLE, SKIN, SKULL, CONNECTIVE, DURA, MARROW), 500
_SMALLEST_VOXEL_COUNT = 48
_FINE = 0.8  # labels of smaller voxels are averaged over 2 x 2 x 2 [mm]


@dataclass(frozen=True, eq=False)
class Head:
    """One head to synthesise maps of, at two voxel sizes."""

    levels: tuple[tuple[float, torch.Tensor], ...]
    """Voxel size [mm] and tissue fractions, half precision, shape (1, tissue, z, y, x); finest first."""
    values: torch.Tensor
    """Typical T1 [s], T2 [s] and M0 of the tissues, shape (tissue, 3)."""
    group: str
    """The subject."""


@dataclass(frozen=True, eq=False)
class WeightedVolume:
    """One T1-weighted volume to turn into maps."""

    voxel: float
    """[mm]"""
    image: torch.Tensor
    """The brightest tissue about 1, half precision, shape (1, 1, z, y, x)."""
    group: str
    """The subject."""


@dataclass(frozen=True, eq=False)
class Heads:
    """Everything that patches of volumes are cut from, on one device."""

    anatomies: Sequence[Head]
    """Label volumes."""
    textures: Sequence[WeightedVolume]
    """T1-weighted volumes."""
    device: torch.device
    """Where they are."""


def load_heads(paths: Iterable[Path], device: torch.device, seed: int) -> list[Head]:
    """Label volumes as tissue fractions.

    Parameters
    ----------
    paths
        BrainWeb label volumes of 0.5 mm, or label volumes of 1 mm with FreeSurfer's numbers (from 500 on for
        classes outside the brain; Billot et al. 2023, doi:10.1016/j.media.2023.102789).
    device
        Where to keep them.
    seed
        Of the tissues of classes outside the brain.

    Raises
    ------
    UsageError
        If a file is neither.
    """
    files = list(paths)
    heads: list[Head] = []
    # Decompression is most of the time, and works in threads.
    with ThreadPoolExecutor() as pool:
        for path, labels in zip(files, pool.map(_labels_of, files), strict=True):
            rng = np.random.default_rng([seed, len(heads), 3])
            heads.append(_head(labels, path, rng, device))
    return heads


def load_weighted(folder: Path, device: torch.device) -> list[WeightedVolume]:
    """T1-weighted NIfTI volumes below a folder whose voxels are about isotropic.

    Parameters
    ----------
    folder
        Where to look, at any depth.
    device
        Where to keep them.

    Raises
    ------
    UsageError
        If one cannot be read.
    """
    volumes = []
    for path in sorted(folder.rglob("*.nii*")):
        if contrast_of(path) != "T1w":
            continue
        image, values = read_volume(path, UsageError, np.float32, canonical=True)
        sizes = np.array(image.header.get_zooms()[:3])
        if values.ndim != 3 or sizes.max() > 1.2 * sizes.min():
            logger.warning("%s: skipped: must be 3D with isotropic voxels, got %s mm", path, sizes)
            continue
        if min(values.shape) < _SMALLEST_VOXEL_COUNT or not np.isfinite(values).all():
            logger.warning("%s: skipped: must be finite and have 48 voxels along every axis", path)
            continue
        if values.max() <= 0:
            logger.warning("%s: skipped: must have values above 0, got none", path)
            continue
        top = np.percentile(values[values > 0], 99.5)
        scaled = torch.from_numpy(np.clip(values / top, 0, 4)).to(device, torch.float16)
        group = path.name.split(".nii")[0]
        volumes.append(WeightedVolume(float(sizes.mean()), scaled[None, None], group))
    return volumes


def anatomy_maps(
    heads: Heads, n: int, edge: int, rng: np.random.Generator, generator: torch.Generator
) -> RandomMaps:
    """Maps of random patches of the anatomies.

    Parameters
    ----------
    heads
        Where from.
    n
        Number of patches.
    edge
        Edge of a patch [voxel].
    rng, generator
        Sources of randomness: of positions, and of values on the device.
    """
    parts, values = [], []
    for _ in range(n):
        head = heads.anatomies[int(rng.integers(len(heads.anatomies)))]
        voxel = math.exp(rng.uniform(*np.log(_VOXELS)))
        level = 0 if len(head.levels) == 1 or voxel < _COARSER * head.levels[0][0] else 1
        base, fractions = head.levels[level]
        parts.append(_patch(fractions, edge, voxel / base, rng))
        values.append(head.values)
    spread = _BLUR[0] + (_BLUR[1] - _BLUR[0]) * torch.rand(
        n, generator=generator, device=generator.device
    )
    return maps_of_fractions(_blurred(torch.stack(parts), spread), generator, torch.stack(values))


def texture_maps(
    heads: Heads, n: int, edge: int, rng: np.random.Generator, generator: torch.Generator
) -> RandomMaps:
    """Maps of random patches of the T1-weighted volumes; parameters as of :func:`anatomy_maps`."""
    images = []
    for _ in range(n):
        volume = heads.textures[int(rng.integers(len(heads.textures)))]
        # Finer voxels than the volume's own would be too smooth.
        voxel = math.exp(rng.uniform(*np.log(np.clip(_VOXELS, 0.7 * volume.voxel, None))))
        images.append(_patch(volume.image, edge, voxel / volume.voxel, rng)[0])
    return maps_of_t1w(torch.stack(images), generator)


@dataclass(frozen=True, eq=False)
class _Labels:
    """A label volume, cut to the head."""

    values: NDArray[np.integer]
    voxel: float
    tissues: tuple[Tissue, ...]
    """Tissue of every label, if the labels are indices into them; otherwise FreeSurfer's numbers."""


def _head(labels: _Labels, path: Path, rng: np.random.Generator, device: torch.device) -> Head:
    tissues = list(labels.tissues)
    numbers: list[tuple[int, ...]] = [(index,) for index in range(len(tissues))]
    if not tissues:
        outside = [int(n) for n in np.unique(labels.values) if n >= _FIRST_OUTSIDE]
        tissues = [tissue for tissue, _ in _STRUCTURES]
        tissues += [_OUTSIDE[int(rng.integers(len(_OUTSIDE)))] for _ in outside]
        numbers = [those for _, those in _STRUCTURES] + [(n,) for n in outside]
        known = {0, *(n for those in numbers for n in those)}
        unknown = [int(n) for n in np.unique(labels.values) if int(n) not in known]
        if unknown:
            logger.warning(
                "%s: labels that are none of the known structures of FreeSurfer are taken as air: %s (%.1f %% of "
                "the labelled voxels)",
                path,
                ", ".join(map(str, unknown)),
                100 * np.isin(labels.values, unknown).sum() / (labels.values != 0).sum(),
            )
    if len(tissues) > CHANNELS:
        raise UsageError(
            f"{path}: must have at most {CHANNELS} tissues, got {len(tissues)} classes of labels"
        )
    cut = labels.values[tuple(slice(0, size // 4 * 4) for size in labels.values.shape)]
    volume = torch.from_numpy(np.ascontiguousarray(cut.transpose(2, 1, 0), np.int32)).to(device)
    factor = 2 if labels.voxel < _FINE else 1
    shape = (1, CHANNELS, *(size // factor for size in volume.shape))
    fine = torch.zeros(shape, dtype=torch.float16, device=device)
    for channel, those in enumerate(numbers):
        mask = torch.isin(volume, torch.tensor(those, device=device))[None, None].float()
        fine[:, channel] = torch.nn.functional.avg_pool3d(mask, factor)[0].half()
    coarse = torch.nn.functional.avg_pool3d(fine.float(), 2).half()
    padded = [*tissues, *[BACKGROUND] * (CHANNELS - len(tissues))]
    voxel, group = labels.voxel * factor, path.name.split(".")[0]
    logger.info("%s: head of %s voxels of %g mm", path.name, "x".join(map(str, shape[2:])), voxel)
    return Head(((voxel, fine), (2 * voxel, coarse)), tissue_values(padded).to(device), group)


def _labels_of(path: Path) -> _Labels:
    """Labels in canonical orientation, cut to the head."""
    if ".mnc" in path.name:
        anatomy = brainweb(path)
        size = float(np.linalg.norm(anatomy.affine[:3, 0])) * 1e3
        return _Labels(_cut(anatomy.labels), size, anatomy.tissues)
    image, values = read_volume(path, UsageError, canonical=True)
    with np.errstate(invalid="ignore"):  # what is not finite is told by the comparison
        labels = values.astype(np.int32)
    sizes = np.array(image.header.get_zooms()[:3])
    if labels.ndim != 3 or not (labels == values).all() or np.ptp(sizes) > 0.05:
        raise UsageError(
            f"{path}: must be a 3D label volume of whole numbers and isotropic voxels, got "
            f"{values.dtype} of shape {labels.shape}, voxels of {sizes} mm"
        )
    if not (labels > 0).any():
        raise UsageError(f"{path}: must have labels above 0, got none")
    return _Labels(_cut(labels), float(sizes.mean()), ())


def _cut(labels: NDArray[np.integer]) -> NDArray[np.integer]:
    inside = labels > 0
    bounds = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        places = np.flatnonzero(inside.any(axis=others))
        bounds.append(slice(int(places[0]), int(places[-1]) + 1))
    return labels[tuple(bounds)]


def _patch(volume: torch.Tensor, edge: int, step: float, rng: np.random.Generator) -> torch.Tensor:
    """A random cube, tilted, turned and mirrored, sampled every ``step`` voxels, shape (channel, z, y, x)."""
    size = np.array(volume.shape[2:])
    reach = 0.6 * edge / 2 * step
    low, high = np.minimum(reach, size / 2), np.maximum(size - reach, size / 2)
    centre = torch.tensor(rng.uniform(low, high), dtype=torch.float32, device=volume.device)
    turn = torch.tensor(_turn(rng) * step, dtype=torch.float32, device=volume.device)
    axis = torch.arange(edge, device=volume.device) - (edge - 1) / 2
    grid = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1)
    limits = torch.tensor(size, dtype=torch.float32, device=volume.device)
    place = (2 * (grid @ turn.T + centre) + 1) / limits - 1
    # On a CPU in single precision, where half is slow.
    kind = volume.dtype if volume.is_cuda else torch.float32
    return torch.nn.functional.grid_sample(
        volume.to(kind), place.flip(-1)[None].to(kind), align_corners=False
    )[0].float()


def _turn(rng: np.random.Generator) -> NDArray[np.float64]:
    """A random tilt about every axis, and a random permutation and mirroring of the axes."""
    turn = np.eye(3)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        angle = math.radians(rng.uniform(-_TILT, _TILT))
        plane = np.eye(3)
        plane[first, first] = plane[second, second] = math.cos(angle)
        plane[first, second], plane[second, first] = -math.sin(angle), math.sin(angle)
        turn = turn @ plane
    signs = np.asarray(rng.choice([-1.0, 1.0], 3))
    mirrored: NDArray[np.float64] = turn @ (np.eye(3)[rng.permutation(3)] * signs[:, None])
    return mirrored


def _blurred(parts: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
    """Every item of a batch blurred by its own Gaussian of this standard deviation [voxel]."""
    offsets = torch.arange(-2, 3, device=parts.device)
    kernel = torch.exp(-0.5 * (offsets / spread[:, None]) ** 2)
    kernel = kernel / kernel.sum(1, keepdim=True)
    n, channels, *space = parts.shape
    for axis in range(3):
        shape, padding = [1] * 5, [0] * 3
        shape[2 + axis], padding[axis] = 5, 2
        weights = kernel[:, None].expand(n, channels, 5).reshape(n * channels, *shape[1:])
        parts = torch.nn.functional.conv3d(
            parts.reshape(1, n * channels, *space),
            weights.contiguous(),
            padding=padding,
            groups=n * channels,
        ).view(n, channels, *space)
    return parts

"""Training images: routine weighted volumes from disk, and contrasts synthesised from labels."""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from mri2qmap_bids.dataset.volume_file import read_volume
from mri2qmap_bids.errors import UsageError
from mri2qmap_bids.recon.physics.contrasts import DENOISED_CONTRASTS, synthesise, weighted
from mri2qmap_bids.simulate.anatomy import brainweb, centre_and_extent, fractions
from mri2qmap_bids.simulate.grid import make_geometry
from mri2qmap_bids.simulate.phantom import blurred
from mri2qmap_bids.training.maps import RandomMaps, maps_of_fractions

logger = logging.getLogger(__name__)

# How file names call the contrasts, outside BIDS too.
_NAMES = {
    "T1w": r"(?<![a-z0-9])t1w?(?![a-z0-9])",
    "T2w": r"(?<![a-z0-9])t2w?(?![a-z0-9])",
    "PDw": r"(?<![a-z0-9])pdw?(?![a-z0-9])",
    "FLAIR": r"(?<![a-z0-9])flair(?![a-z0-9])",
}
_VOXEL = 1e-3  # in-plane size that thick-slice volumes are averaged to [m]
_THICK = 2.5  # a slice this much thicker than its pixels is seen in its own plane only
_WHITE = 99.5  # percentile that becomes 1
_SMALLEST = 48  # pixels


@dataclass(frozen=True, eq=False)
class Slice:
    """One training image: co-registered contrasts of one plane."""

    images: NDArray[np.float16]
    """Shape (contrast, y, x), the brightest tissue about 1; 0 where a contrast is missing."""
    present: NDArray[np.bool_]
    """Which contrasts there are, shape (contrast,)."""
    group: str
    """The subject it is of: subjects are held out whole."""


@dataclass(frozen=True, eq=False)
class TissueSlice:
    """One anatomical plane to synthesise contrasts of, again and again."""

    fractions: NDArray[np.uint8]
    """How much of each voxel is which BrainWeb tissue, 255 is all, shape (tissue, y, x)."""
    group: str
    """The subject it is of."""


def load_folder(folder: Path, contrasts: Sequence[str]) -> list[Slice]:
    """Slices of all weighted NIfTI volumes below a folder, a BIDS dataset or not.

    Volumes whose names differ only in the contrast and that lie on one grid are paired.
    A volume that cannot be used is skipped with a warning that names it.

    Parameters
    ----------
    folder
        Where to look, at any depth.
    contrasts
        BIDS suffix of every channel.
    """
    volumes: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.rglob("*.nii*")):
        contrast = contrast_of(path)
        if contrast is None or contrast not in contrasts:
            logger.warning(
                "%s: skipped: its file name contains no contrast of %s", path, list(contrasts)
            )
            continue
        stem = re.sub(_NAMES[contrast], "", _plain(path), flags=re.IGNORECASE)
        volumes.setdefault(f"{path.parent}/{stem}", {})[contrast] = path
    slices: list[Slice] = []
    for name, paths in volumes.items():
        slices += _slices_of(Path(name).name.strip("_- "), paths, contrasts)
    return slices


def contrast_of(path: Path) -> str | None:
    """The contrast in a file's name, as a BIDS suffix.

    >>> contrast_of(Path("sub-01_T1w.nii.gz")), contrast_of(Path("IXI013-HH-1212_T1.nii.gz"))
    ('T1w', 'T1w')
    >>> contrast_of(Path("sub-01_bold.nii.gz"))
    """
    for contrast, pattern in _NAMES.items():
        if re.search(pattern, _plain(path), flags=re.IGNORECASE):
            return contrast
    return None


def tissue_slices(label_files: Iterable[Path], n_slices: int, seed: int) -> list[TissueSlice]:
    """Slices of tissue fractions from label volumes.

    Orientation, voxel size, thickness and shape are drawn anew for every few slices.

    Parameters
    ----------
    label_files
        BrainWeb label volumes.
    n_slices
        How many slices of each label volume.
    seed
        Of all that is drawn.
    """
    slices: list[TissueSlice] = []
    for number, path in enumerate(label_files):
        anatomy = brainweb(path)
        centre, _ = centre_and_extent(anatomy)
        rng = np.random.default_rng([seed, number])
        n_done = 0
        while n_done < n_slices:
            count = min(6, n_slices - n_done)
            size = rng.uniform(0.9e-3, 1.6e-3)
            n = int(0.2 / size) // 8 * 8
            thickness = rng.uniform(1e-3, 4e-3)
            plane = rng.choice(3, p=[0.6, 0.2, 0.2])
            turn = np.deg2rad([[0, 0, 0], [90, 0, 0], [0, 90, 0]][plane] + rng.uniform(-12, 12, 3))
            geometry = make_geometry(
                (count, n, n),
                (rng.uniform(8e-3, 16e-3), size, size),
                centre + rng.uniform(-15e-3, 15e-3, 3),
                (float(turn[0]), float(turn[1]), float(turn[2])),
            )
            parts = blurred(fractions(anatomy, geometry, thickness, rng), thickness)
            whole = np.rint(255 * parts).astype(np.uint8)
            group = path.stem.split("_")[0]
            slices += [TissueSlice(np.ascontiguousarray(whole[:, z]), group) for z in range(count)]
            n_done += count
        logger.info("%s: %d slices", path.name, n_done)
    return [item for item in slices if (item.fractions[0] < 128).mean() > 0.1]


def synthesise_slices(
    tissues: Iterable[TissueSlice], contrasts: Sequence[str], seed: int
) -> list[Slice]:
    """Contrasts of tissue slices, by the same signal equations as in the reconstruction.

    Parameters
    ----------
    tissues
        From :func:`tissue_slices`.
    contrasts
        BIDS suffix of every channel.
    seed
        Of the tissues' values and their variation.
    """
    generator = torch.Generator().manual_seed(seed)
    slices: list[Slice] = []
    for item in tissues:
        parts = torch.from_numpy(item.fractions)[None].float() / 255
        images = contrasts_of(maps_of_fractions(parts, generator), contrasts)[0]
        # A ratio means nothing where there is no signal, so whole images are judged without.
        real = weighted(contrasts).numpy()
        images[~torch.from_numpy(real)] = 0
        slices += _usable_slices([images.numpy()], real, item.group)
    return slices


def contrasts_of(maps: RandomMaps, contrasts: Sequence[str]) -> torch.Tensor:
    """Weighted images of maps, shape (batch, contrast, y, x)."""
    return torch.stack(
        [synthesise(DENOISED_CONTRASTS[name], maps.m0, maps.t1, maps.t2) for name in contrasts], 1
    )


def _slices_of(group: str, paths: dict[str, Path], contrasts: Sequence[str]) -> list[Slice]:
    """Slices of the volumes of one subject; those off the first one's grid stand alone."""
    loaded: list[tuple[str, Any, NDArray[np.float32]]] = []
    for contrast, path in paths.items():
        try:
            image, volume = read_volume(path, UsageError, np.float32, canonical=True)
            if volume.ndim != 3 or not np.isfinite(volume).all() or np.ptp(volume) == 0:
                raise UsageError(
                    f"{path}: must be a finite 3D volume that shows something, got shape {volume.shape}, "
                    f"values {volume.min():g}..{volume.max():g}"
                )
        except UsageError as error:
            logger.warning("skipped: %s", error)
            continue
        loaded.append((contrast, image, volume))
    slices: list[Slice] = []
    while loaded:
        _, first, values = loaded[0]
        same = [
            entry
            for entry in loaded
            if entry[2].shape == values.shape
            and np.allclose(entry[1].affine, first.affine, atol=1e-2)
        ]
        loaded = [entry for entry in loaded if entry not in same]
        stack = np.zeros((len(contrasts), *values.shape), np.float32)
        present = np.zeros(len(contrasts), bool)
        for contrast, _, volume in same:
            channel = list(contrasts).index(contrast)
            stack[channel], present[channel] = np.maximum(volume, 0), True
        usable = _usable_slices(
            _planes(stack, np.array(first.header.get_zooms()[:3])), present, group
        )
        if not usable:
            logger.warning(
                "skipped: %s: must have a slice of at least %d x %d pixels with values above 0 in every "
                "contrast, got shape %s, largest value %g",
                ", ".join(str(paths[contrast]) for contrast, _, _ in same),
                _SMALLEST,
                _SMALLEST,
                values.shape,
                max(float(volume.max()) for _, _, volume in same),
            )
        slices += usable
    return slices


def _planes(stack: NDArray[np.float32], sizes: NDArray[np.float64]) -> list[NDArray[np.float32]]:
    """Every other slice in each plane worth seeing; thick-slice volumes in their own only."""
    thick = int(np.argmax(sizes))
    if sizes[thick] < _THICK * sizes.min():
        return [
            np.take(stack, n, axis=axis + 1)
            for axis in range(3)
            for n in range(0, stack.shape[axis + 1], 3)
        ]
    in_plane = float(np.delete(sizes, thick).mean()) * 1e-3
    planes = [np.take(stack, n, axis=thick + 1) for n in range(stack.shape[thick + 1])]
    if in_plane > 0.8 * _VOXEL:
        return planes
    factor = in_plane / _VOXEL
    blurred = [gaussian_filter(p, (0, 0.4 / factor, 0.4 / factor)) for p in planes]
    return [zoom(p, (1, factor, factor), order=1) for p in blurred]


def _usable_slices(
    planes: list[NDArray[np.float32]], present: NDArray[np.bool_], group: str
) -> list[Slice]:
    """Planes with enough in them, each contrast scaled to its own white, cut to what there is."""
    slices = []
    for plane in planes:
        tops = [
            np.percentile(image[image > 0], _WHITE) if (image > 0).any() else 0.0 for image in plane
        ]
        if not any(tops):
            continue
        signal = np.any(plane > 0.1 * np.array(tops)[:, None, None], axis=0)
        if signal.mean() < 0.1 or any(present & (np.array(tops) <= 0)):
            continue
        rows, columns = (np.flatnonzero(signal.any(axis=axis)) for axis in (1, 0))
        cut = plane[:, max(rows[0] - 6, 0) : rows[-1] + 7, max(columns[0] - 6, 0) : columns[-1] + 7]
        if min(cut.shape[1:]) < _SMALLEST:
            continue
        scaled = cut / np.where(present, tops, 1.0)[:, None, None]
        slices.append(Slice(np.clip(scaled, 0, 4).astype(np.float16), present, group))
    return slices


def _plain(path: Path) -> str:
    return path.name.split(".nii")[0].replace("_", " ")

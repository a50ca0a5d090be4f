"""Volumes from image files; one that cannot be read is an error of the caller's kind that names the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.spatialimages import SpatialImage
from numpy.typing import DTypeLike, NDArray

from mri2qmap_bids.dataset.integrity import missing
from mri2qmap_bids.errors import Mri2QmapError, one_line

_SMALLEST_VOXEL = 1e-9  # [mm3]


def read_volume(
    path: Path,
    kind: type[Mri2QmapError],
    dtype: DTypeLike | None = None,
    *,
    canonical: bool = False,
) -> tuple[Any, NDArray[Any]]:
    """An image (nibabel) and its values; parameters and errors as of :func:`open_volume` and :func:`values_of`."""
    image = open_volume(path, kind, canonical=canonical)
    return image, values_of(image, path, kind, dtype)


def open_volume(path: Path, kind: type[Mri2QmapError], *, canonical: bool = False) -> Any:
    """An image (nibabel), its values still on disk.

    Parameters
    ----------
    path
        A file of NIfTI, MINC or another format of volumes that nibabel knows.
    kind
        Of the error.
    canonical
        Turn the axes to those of the world, RAS+, as near as they are.

    Raises
    ------
    Mri2QmapError
        If the file is not there or damaged, has no voxels, several numbers a voxel (RGB), or does not
        place its voxels in space.
    """
    absent = missing(path)
    if absent:
        raise kind(absent)
    with _complete(path, kind):
        image: Any = nib.load(path)
    if not isinstance(image, SpatialImage):
        raise kind(f"{path}: must be a volume, got {type(image).__name__}")
    if 0 in image.shape:
        raise kind(f"{path}: must have voxels, got shape {image.shape}")
    channels = image.get_data_dtype().names
    if channels:
        raise kind(f"{path}: must have one number in each voxel, got {', '.join(channels)}")
    affine = image.affine
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < _SMALLEST_VOXEL:
        raise kind(f"{path}: must place voxels in space, got affine {affine.round(6).tolist()} mm")
    if canonical:
        with _complete(path, kind):  # reads the values if it turns them
            image = nib.as_closest_canonical(image)  # type: ignore[no-untyped-call]
    return image


def values_of(
    image: Any, path: Path, kind: type[Mri2QmapError], dtype: DTypeLike | None = None
) -> NDArray[Any]:
    """The values of an image, axes (x, y, z) and perhaps further ones.

    Axes of length 1 beyond the third are left out if no other is there. Values need not be finite.

    Parameters
    ----------
    image
        From :func:`open_volume`.
    path, kind
        As of :func:`open_volume`.
    dtype
        Of the values; None: as in the file, scaled.

    Raises
    ------
    Mri2QmapError
        If the file is damaged, or has complex values where ``dtype`` is real.
    """
    own = image.get_data_dtype()
    if dtype is not None and own.kind == "c" and np.dtype(dtype).kind != "c":
        raise kind(f"{path}: must have real values, got {own}")
    with _complete(path, kind):
        values = np.asarray(image.dataobj, dtype)
    volume = values.shape[:3]
    return values.reshape(volume) if values.size == np.prod(volume) else values


@contextmanager
def _complete(path: Path, kind: type[Mri2QmapError]) -> Iterator[None]:
    """What goes wrong in the block is the file's damage."""
    try:
        yield
    except Exception as error:  # of compression, header, extension and data, each of its own kind
        raise kind(f"{path}: must be a complete image file, got: {one_line(error)}") from error

"""Segmentations that other programs made of a run's participant, on the grid of the run's maps."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mri2qmap_bids.dataset.resampling import on_grid
from mri2qmap_bids.dataset.volume_file import read_volume
from mri2qmap_bids.errors import DatasetError

# Spaces whose world coordinates are the participant's own.
_NATIVE = frozenset(("orig", "scanner", "T1w", "individual"))
# Entities that distinguish runs, not segmentations.
_OF_RUNS = ("acq", "rec", "run")
_PLACED = frozenset(("sub", "ses", "space", "res", "den", *_OF_RUNS))
# The labels that BIDS gives a meaning.
_STANDARD = {1: "GM", 2: "WM", 3: "CSF"}


@dataclass(frozen=True)
class SegmentationFile:
    """One segmentation of a run's participant."""

    name: str
    """Name of its dataset, and the labels by which it differs from others there: ``fmriprep:aseg``."""
    path: Path
    """Label image."""
    table: Path | None
    """Names of the labels; None: there are none."""


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Regions on the grid of a run's maps."""

    name: str
    """See :class:`SegmentationFile`; ``tissue`` for those classified from the maps."""
    labels: NDArray[np.int_]
    """Label of every voxel, axes as in the maps' files; 0 belongs to no region."""
    names: Mapping[int, str]
    """Name of each label."""


def find_segmentations(
    name: str, root: Path, entities: Mapping[str, str]
) -> list[SegmentationFile]:
    """Label images ``*_dseg.nii[.gz]`` that a derivative dataset holds of a run's participant.

    They lie in ``anat/`` of the run's session or, if that has none, of the participant. Those in
    a template's space are left out. Of several that differ in acquisition, reconstruction or run
    alone, the one with the run's own labels counts.

    Parameters
    ----------
    name
        What to call the dataset.
    root
        Its root.
    entities
        BIDS entities of the run.

    Raises
    ------
    DatasetError
        If several images are left of one segmentation.
    """
    folder = root / f"sub-{entities['sub']}"
    folders = [folder / f"ses-{entities['ses']}" / "anat"] if "ses" in entities else []
    for place in (*folders, folder / "anat"):
        images = sorted(place.glob("*_dseg.nii.gz")) + sorted(place.glob("*_dseg.nii"))
        native = [path for path in images if _all_entities(path).get("space", "orig") in _NATIVE]
        if native:
            return _one_of_each(name, root, native, entities)
    return []


def load_segmentation(file: SegmentationFile, reference: Any) -> Segmentation:
    """Labels at the reference's voxel centres, by the nearest voxel in world coordinates.

    Parameters
    ----------
    file
        From :func:`find_segmentations`.
    reference
        NIfTI image with the grid of the maps.

    Raises
    ------
    DatasetError
        If the image or the table of its labels is unusable.
    """
    image, values = read_volume(file.path, DatasetError, np.float64)
    if values.ndim != 3 or not np.isfinite(values).all():
        raise DatasetError(
            f"{file.path}: must have three axes and finite values, got shape {values.shape}, "
            f"values {values.min():g}..{values.max():g}"
        )
    in_memory = nib.Nifti1Image(values, image.affine)
    labels = np.rint(on_grid(in_memory, reference, 0)).astype(int)
    present = [int(label) for label in np.unique(labels) if label]
    return Segmentation(file.name, labels, _names(file.table, present))


def _one_of_each(
    name: str, root: Path, paths: list[Path], entities: Mapping[str, str]
) -> list[SegmentationFile]:
    candidates: dict[str, list[Path]] = {}
    for path in paths:
        own = [value for key, value in _all_entities(path).items() if key not in _PLACED]
        candidates.setdefault(":".join([name, *own]), []).append(path)
    segmentations = []
    for title, files in candidates.items():
        run = {key: entities.get(key) for key in _OF_RUNS}
        same = [
            path for path in files if {key: _all_entities(path).get(key) for key in _OF_RUNS} == run
        ]
        matches = same or files
        if len(matches) > 1:
            raise DatasetError(
                f"{matches[0].parent}: segmentation {title} must be one image, got "
                f"{', '.join(path.name for path in matches)}"
            )
        segmentations.append(SegmentationFile(title, matches[0], _table_of(matches[0], root)))
    return segmentations


def _table_of(image: Path, root: Path) -> Path | None:
    """The nearest ``*dseg.tsv`` that describes an image, as BIDS inherits it."""
    entities = _all_entities(image).items()
    folder = image.parent
    while folder.is_relative_to(root):
        tables = [
            path for path in folder.glob("*dseg.tsv") if _all_entities(path).items() <= entities
        ]
        if tables:
            return max(tables, key=lambda path: len(_all_entities(path)))
        folder = folder.parent
    return None


def _names(table: Path | None, labels: list[int]) -> dict[int, str]:
    if table is None:
        standard = set(labels) <= set(_STANDARD)
        return {label: _STANDARD[label] if standard else f"label-{label}" for label in labels}
    try:
        rows = pd.read_csv(table, sep="\t")
        names = dict(zip(rows["index"].astype(int), rows["name"].astype(str), strict=True))
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(
            f"{table}: must be a table with the columns index (whole numbers) and name, got: {error}"
        ) from error
    return {label: names.get(label, f"label-{label}") for label in labels}


def _all_entities(path: Path) -> dict[str, str]:
    pairs = (part.split("-", 1) for part in path.name.split(".")[0].split("_") if "-" in part)
    return dict(pairs)

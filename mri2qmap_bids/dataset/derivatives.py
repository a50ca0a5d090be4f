"""Quantitative maps as a BIDS derivative dataset."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.atomic import write_json, write_text
from mri2qmap_bids.dataset.entities import ordered
from mri2qmap_bids.dataset.nifti import write_volume
from mri2qmap_bids.dataset.outputs import (
    BRAIN_DESC,
    CLASSES,
    MAPS,
    MASK,
    MASK_DESC,
    PROBABILITY,
    QUANTITIES,
    file_ends,
    output_maps,
)
from mri2qmap_bids.dataset.tissue import NAMES, TISSUES
from mri2qmap_bids.dataset.volume_file import open_volume, values_of
from mri2qmap_bids.errors import DatasetError, OutputError
from mri2qmap_bids.recon.physics.maps import QuantitativeMaps

ABSENT = "MRFAbsentImages"
"""Key of the T1 map's sidecar: ends of the names of images that the run does not have on this grid."""


@dataclass(frozen=True)
class MapDocument:
    """One scan's results on their way to disk."""

    entities: Mapping[str, str]
    """BIDS entities by key, e.g. ``{"sub": "01", "ses": "a", "acq": "spiral", "run": "1"}``."""
    maps: QuantitativeMaps
    sources: tuple[str, ...] = ()
    """BIDS URIs of the files the maps were made from."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Sidecar keys shared by all of the scan's files (estimation, acquisition, reconstruction)."""
    synthetic: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """Synthetic weighted images by suffix (T1w, T2w, PDw, FLAIR), axes (z, y, x)."""
    synthetic_metadata: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Sidecar keys of each synthetic image, e.g. its echo time."""
    spatial_reference: str = "orig"
    """What the grid of the maps is that of: their own, or an image by its BIDS URI."""
    every: Mapping[str, Any] = field(default_factory=dict)
    """Sidecar keys of every file."""
    labels: NDArray[np.uint8] | None = None
    """Discrete segmentation (1 grey matter, 2 white matter, 3 CSF), axes (z, y, x)."""
    brain: NDArray[np.bool_] | None = None
    """Where the brain is, axes (z, y, x)."""
    brain_method: str = ""
    """How it was determined, for its sidecar."""
    probabilities: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """Probability of each tissue class, axes (z, y, x)."""
    tissue_metadata: Mapping[str, Any] = field(default_factory=dict)
    """Sidecar keys of the segmentation and of these, e.g. its limits."""


def write_maps(
    document: MapDocument, output_dir: Path, on_other_grids: Sequence[MapDocument] = ()
) -> list[Path]:
    """Write T1, T2 and M0 maps, their uncertainty, masks, synthetic images and tissue classes with sidecars.

    Maps are float32 and 0 outside the mask; T1 and T2 in seconds. Every file
    appears whole or not at all, its sidecar after it: what a sidecar says of its image is true.
    The sidecars of the T1, T2 and M0 maps come after all other files, so that they tell of a
    complete run; those of an earlier call are removed first.

    Parameters
    ----------
    document
        Maps on the scan's own grid.
    output_dir
        Root of the derivative dataset.
    on_other_grids
        The same scan's maps on further grids.

    Returns
    -------
    The NIfTI files written.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    documents = (document, *on_other_grids)
    last: dict[Path, Mapping[str, Any]] = {}
    for each in documents:
        for output in QUANTITIES:
            _remove(output_dir / relative_path(each.entities, output.suffix, ".json"))
    paths = [path for each in documents for path in _write_images(each, output_dir, last)]
    for path, sidecar in last.items():
        write_json(path, sidecar)
    return paths


def _write_images(
    document: MapDocument, output_dir: Path, last: dict[Path, Mapping[str, Any]]
) -> list[Path]:
    """Write all images with sidecars; sidecars of the quantities are added to those to write last."""
    maps = document.maps
    shared = {
        **document.metadata,
        **document.every,
        **({"Sources": list(document.sources)} if document.sources else {}),
    }
    own = "bids::" + str(relative_path(document.entities, MAPS[0].suffix))
    reference = own if document.spatial_reference == "orig" else document.spatial_reference
    paths = []
    for output in output_maps():
        values = output.values(maps)
        if values is None:
            # One of an earlier call with other options is not of this run.
            for extension in (".nii.gz", ".json"):
                path = relative_path(document.entities, output.suffix, extension, **output.entities)
                _remove(output_dir / path)
            continue
        if np.shape(values) != maps.mask.shape:
            raise OutputError(
                f"{output.suffix}: values must have the maps' shape {maps.mask.shape}, "
                f"got {np.shape(values)}"
            )
        sidecar = {
            "Description": output.description,
            "Units": output.unit,
            "SkullStripped": False,
            "SpatialReference": document.spatial_reference if output.desc is None else reference,
            **shared,
        }
        if output.source is not None:
            sidecar["Sources"] = ["bids::" + str(relative_path(document.entities, output.source))]
        masked = np.where(maps.mask, values, 0).astype(np.float32)
        if output in QUANTITIES:
            paths.append(_write_image(document, output_dir, output.suffix, masked))
            last[output_dir / relative_path(document.entities, output.suffix, ".json")] = sidecar
        else:
            paths.append(
                _write(document, output_dir, output.suffix, masked, sidecar, **output.entities)
            )
    for suffix, image in document.synthetic.items():
        sidecar = {
            "Description": f"{suffix} image synthesised from the quantitative maps",
            "Units": "arbitrary",
            "SkullStripped": False,
            "SpatialReference": reference,
            "Sources": [
                "bids::" + str(relative_path(document.entities, output.suffix))
                for output in QUANTITIES
            ],
            **document.synthetic_metadata.get(suffix, {}),
            **document.every,
        }
        masked = np.where(maps.mask, image, 0).astype(np.float32)
        paths.append(_write(document, output_dir, suffix, masked, sidecar, desc="synthetic"))
    mask_sidecar = {
        "Description": "The voxels that have maps: those of the head with signal, brain and scalp",
        "Type": "ROI",
        "SpatialReference": reference,
        "Sources": ["bids::" + str(relative_path(document.entities, "M0map"))],
        **document.every,
    }
    mask = maps.mask.astype(np.uint8)
    paths.append(_write(document, output_dir, MASK, mask, mask_sidecar, desc=MASK_DESC))
    if document.brain is not None:
        brain_sidecar = {
            "Description": "Brain with its fluid, without skull and scalp; empty: nothing is like a brain",
            "Type": "Brain",
            "SpatialReference": reference,
            "EstimationAlgorithm": document.brain_method,
            "Sources": [
                "bids::" + str(relative_path(document.entities, output.suffix))
                for output in QUANTITIES
            ],
            **document.every,
        }
        brain = document.brain.astype(np.uint8)
        paths.append(_write(document, output_dir, MASK, brain, brain_sidecar, desc=BRAIN_DESC))
    paths += _write_tissues(document, output_dir, reference)
    first = output_dir / relative_path(document.entities, MAPS[0].suffix, ".json")
    last[first] = {**last[first], ABSENT: _absent(document, output_dir, paths)}
    return paths


def _absent(document: MapDocument, output_dir: Path, written: Container[Path]) -> list[str]:
    """Ends of the names of a run's images that were not written."""
    return [
        end.name
        for end in file_ends()
        if output_dir / relative_path(document.entities, end.suffix, **end.entities) not in written
    ]


def _remove(path: Path) -> None:
    """Remove a file of an earlier call, if there is one."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: must be removable, got: {error.strerror}") from error


def _write_tissues(document: MapDocument, output_dir: Path, reference: str) -> list[Path]:
    """Write the tissue classes and their probabilities, as far as the document has them."""
    paths = []
    shared = {"SpatialReference": reference, **document.tissue_metadata, **document.every}
    if document.labels is not None:
        classes = ", ".join(f"{label} {NAMES[tissue]}" for tissue, label in TISSUES.items())
        sidecar = {"Description": f"Tissue classes: {classes}", "Manual": False, **shared}
        names = output_dir / relative_path(document.entities, CLASSES, ".tsv")
        write_text(names, _label_table())
        paths.append(_write(document, output_dir, CLASSES, document.labels, sidecar))
    for tissue, values in document.probabilities.items():
        description = f"Probability that T1 is in the range of {NAMES[tissue]}"
        sidecar = {"Description": description, "Manual": False, **shared}
        paths.append(_write(document, output_dir, PROBABILITY, values, sidecar, label=tissue))
    return paths


def _label_table() -> str:
    """Look-up table of the tissue classes."""
    rows = (f"{label}\t{NAMES[tissue]}\t{tissue}\n" for tissue, label in TISSUES.items())
    return "index\tname\tabbreviation\n" + "".join(rows)


def load_derivative(root: Path, run: Mapping[str, str], suffix: str, **more: str) -> Any:
    """A run's image (nibabel), its values still on disk; arguments as of :func:`relative_path`.

    Raises
    ------
    DatasetError
        If it is not there, or no volume.
    """
    return load_image(root / relative_path(run, suffix, **more))


def load_image(path: Path) -> Any:
    """An image (nibabel), its values still on disk.

    Raises
    ------
    DatasetError
        If it is not there, or no volume.
    """
    return open_volume(path, DatasetError)


def read_values(image: Any, reference: Any) -> NDArray[np.float64]:
    """The values of a run's volume, which are still on disk.

    Parameters
    ----------
    image
        From :func:`load_derivative` or :func:`load_image`.
    reference
        The image whose shape it must have: the run's T1map.

    Raises
    ------
    DatasetError
        If it is no volume of that shape, or its file is damaged.
    """
    name, shape = image.get_filename(), image.shape
    if len(shape) != 3:
        raise DatasetError(f"{name}: must be a volume of 3 dimensions, got the shape {shape}")
    if shape != reference.shape:
        raise DatasetError(
            f"{name}: must have the shape of the run's T1map {reference.shape}, got {shape}"
        )
    return values_of(image, name, DatasetError, np.float64)


def mask_path(root: Path, run: Mapping[str, str]) -> Path:
    """Where the mask of a run's maps lies below a dataset's root; version 0.1.0 called it ``desc-brain``."""
    path = relative_path(run, MASK, desc=MASK_DESC)
    earlier = relative_path(run, MASK, desc=BRAIN_DESC)
    return earlier if not (root / path).exists() and (root / earlier).exists() else path


def brain_path(root: Path, run: Mapping[str, str]) -> Path | None:
    """Where the mask of a run's brain lies below a dataset's root; None: it has none."""
    path = relative_path(run, MASK, desc=BRAIN_DESC)
    return path if (root / path).exists() and path != mask_path(root, run) else None


def relative_path(
    entities: Mapping[str, str], suffix: str, extension: str = ".nii.gz", **more: str
) -> Path:
    """Where a derivative lies below its dataset's root.

    Parameters
    ----------
    entities
        BIDS entities by key; ``sub`` is required.
    suffix, extension
        End of the file name, e.g. ``T1map`` and ``.nii.gz``.
    more
        Further entities, e.g. ``desc="head"``.

    >>> str(relative_path({"sub": "01", "run": "1", "acq": "x"}, "T1map"))
    'sub-01/anat/sub-01_acq-x_run-1_T1map.nii.gz'
    """
    labels = {**entities, **more}
    stem = "_".join(f"{key}-{labels[key]}" for key in ordered(labels))
    folder = Path(f"sub-{labels['sub']}")
    if "ses" in labels:
        folder /= f"ses-{labels['ses']}"
    return folder / "anat" / f"{stem}_{suffix}{extension}"


def _write(
    document: MapDocument,
    output_dir: Path,
    suffix: str,
    volume: NDArray[Any],
    sidecar: Mapping[str, Any],
    **more: str,
) -> Path:
    """Write one volume (z, y, x) and its sidecar."""
    path = _write_image(document, output_dir, suffix, volume, **more)
    write_json(output_dir / relative_path(document.entities, suffix, ".json", **more), sidecar)
    return path


def _write_image(
    document: MapDocument, output_dir: Path, suffix: str, volume: NDArray[Any], **more: str
) -> Path:
    """Write one volume (z, y, x)."""
    path = output_dir / relative_path(document.entities, suffix, **more)
    write_volume(path, volume, document.maps.affine)
    return path

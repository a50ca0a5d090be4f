"""Field maps on disk to the transmit field and the off-resonance of an MRF scan's voxels."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine
from nibabel.processing import resample_from_to
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from mri2qmap_bids.dataset.entities import in_counting_order
from mri2qmap_bids.dataset.integrity import Sidecars, read_object
from mri2qmap_bids.dataset.volume_file import read_volume
from mri2qmap_bids.errors import SidecarError
from mri2qmap_bids.recon.acquisition.geometry import Geometry, affine
from mri2qmap_bids.recon.acquisition.lines import ImageLines
from mri2qmap_bids.recon.acquisition.placement import place
from mri2qmap_bids.recon.bounds import B1_MIDDLE, OFF_RESONANCE
from mri2qmap_bids.recon.grid import resize

logger = logging.getLogger(__name__)

# What a B1 map in per cent has in the middle of its values, at any field strength.
_PLAUSIBLE = (100 * B1_MIDDLE.lower, 100 * B1_MIDDLE.upper)
# No voxel of a head is further from nominal.
_LIMITS = (0.3, 1.8)
# Share of the scan inside the map: below the first it lies elsewhere, below the second its edge stands for much.
_LEAST_COVERED, _USUALLY_COVERED = 0.25, 0.5
# Factors to Hz of the units that BIDS allows.
_IN_HZ = {"Hz": 1.0, "rad/s": 1 / (2 * np.pi), "T": 42.577478518e6}
# Further apart than this, two placements of one map are not the same [mm].
_TOLERANCE = 1.0


@dataclass(frozen=True)
class FieldMap:
    """A B1 or B0 map of a participant."""

    path: Path
    """NIfTI file: B1 in per cent of the nominal flip angle, B0 in the unit that its sidecar gives."""
    uri: str
    """BIDS URI of it."""
    entities: Mapping[str, str]
    """Its BIDS entities by short key."""


def nearest(maps: Sequence[FieldMap], entities: Mapping[str, str]) -> FieldMap | None:
    """The map for a run: of its session, else of the session next to it in order (2 before 10).

    Among several of one session the first by name whose acquisition label is the run's, else
    the first.

    Parameters
    ----------
    maps
        All maps of the participant.
    entities
        Of the run.
    """
    if not maps:
        return None
    own = entities.get("ses", "")
    labels = {own, *(field_map.entities.get("ses", "") for field_map in maps)}
    sessions = sorted(labels, key=in_counting_order)

    def distance(field_map: FieldMap) -> tuple[int, bool, tuple[list[tuple[str, int]], str]]:
        steps = abs(sessions.index(field_map.entities.get("ses", "")) - sessions.index(own))
        is_other = field_map.entities.get("acq") != entities.get("acq")
        return steps, is_other, in_counting_order(field_map.path.name)

    closest = min(maps, key=distance)
    if closest.entities.get("ses", own) != own:
        logger.warning(
            "%s: field map of another session: %s",
            "_".join(f"{key}-{value}" for key, value in entities.items()),
            closest.path.name,
        )
    return closest


@dataclass(frozen=True, eq=False)
class ScanFields:
    """The fields on the grid of a scan's maps, axes (z, y, x)."""

    b1: NDArray[np.float32] | None
    """Transmit field relative to nominal; None: no map."""
    b0: NDArray[np.float32] | None
    """Off-resonance frequency [Hz]; None: no map."""


def fields_of_scan(
    lines: ImageLines,
    matrix: tuple[int, int, int] | None,
    b1_file: Path | None,
    b0_file: Path | None = None,
) -> ScanFields:
    """Read the field maps of a scan.

    Parameters
    ----------
    lines
        The image lines of the scan.
    matrix
        Voxels of the maps along (z, y, x); None: those of the file.
    b1_file, b0_file
        NIfTI files; None: there is none.

    Raises
    ------
    SidecarError
        As :func:`read_transmit_field` and :func:`read_off_resonance` do.
    """
    if b1_file is None and b0_file is None:
        return ScanFields(None, None)
    grid = resize(place(lines)[0], matrix, lines.is_3d)
    return ScanFields(
        None if b1_file is None else read_transmit_field(b1_file, grid),
        None if b0_file is None else read_off_resonance(b0_file, grid),
    )


def read_transmit_field(path: Path, geometry: Geometry) -> NDArray[np.float32]:
    """The field at the centres of a scan's voxels, relative to nominal.

    Voxels of the map that are not positive and finite take the value of the nearest that is;
    beyond the map its nearest value is used.

    Parameters
    ----------
    path
        NIfTI file, per cent of the nominal flip angle.
    geometry
        The scan's grid.

    Returns
    -------
    Axes (z, y, x).

    Raises
    ------
    SidecarError
        If it is no NIfTI file, does not say where it lies, is not in per cent, or lies elsewhere.
    """
    image, values = read_volume(path, SidecarError, np.float64)
    check_placement(path, image)
    is_known = np.isfinite(values) & (values > 0)
    middle = float(np.median(values[is_known])) if is_known.any() else 0.0
    if values.ndim != 3 or not _PLAUSIBLE[0] <= middle <= _PLAUSIBLE[1]:
        hint = " (relative to nominal? then times 100)" if 0.3 <= middle <= 2 else ""
        raise SidecarError(
            f"{path}: must be one volume in per cent of the nominal flip angle (median "
            f"{_PLAUSIBLE[0]:g} to {_PLAUSIBLE[1]:g}), got {values.ndim} axes with a median of {middle:g}{hint}"
        )
    field = _on_grid(path, image, values, is_known, geometry) / 100
    return np.ascontiguousarray(field.clip(*_LIMITS), np.float32)


def read_off_resonance(path: Path, geometry: Geometry) -> NDArray[np.float32]:
    """The off-resonance frequency at the centres of a scan's voxels [Hz].

    Voxels of the map that are not finite or exactly 0, as outside a mask, take the value of the nearest
    that has one; beyond the map, the value at its edge is used.

    Parameters
    ----------
    path
        NIfTI file in the ``Units`` of its sidecars: Hz (also without one), rad/s or T.
    geometry
        The scan's grid.

    Returns
    -------
    Axes (z, y, x).

    Raises
    ------
    SidecarError
        If it is no NIfTI file of one volume, does not say where it lies, lies elsewhere, or its unit or
        values are not those of a field map.
    """
    image, values = read_volume(path, SidecarError, np.float64)
    check_placement(path, image)
    units = map_sidecar(path).get("Units", "Hz")
    if not isinstance(units, str) or units not in _IN_HZ:
        raise SidecarError(
            f"{path}: Units must be {', '.join(_IN_HZ)} in its sidecar, got {units!r}"
        )
    is_known = np.isfinite(values) & (values != 0)
    if values.ndim != 3 or not np.isfinite(values).any():
        raise SidecarError(
            f"{path}: must be one volume with finite values, got {values.ndim} axes with "
            f"{int(np.isfinite(values).sum())} finite values"
        )
    if not is_known.any():
        is_known = np.isfinite(values)  # a field of 0
    field = _on_grid(path, image, _IN_HZ[units] * values, is_known, geometry)
    largest = float(np.abs(field).max())
    if largest > OFF_RESONANCE.upper:
        raise SidecarError(
            f"{path}: must be within {OFF_RESONANCE.upper:g} Hz of resonance, got {largest:g} Hz (Units "
            f"{units}; a phase image is no field map)"
        )
    return np.ascontiguousarray(field, np.float32)


def map_sidecar(path: Path, readers: Mapping[Path, Sidecars] | None = None) -> Mapping[str, Any]:
    """What the sidecars of a field map say, inheritance applied; empty if there are none.

    Of a map outside of a BIDS dataset the JSON file beside it counts alone.

    Parameters
    ----------
    path
        The map.
    readers
        Sidecars of datasets that are open already, by their roots.

    Raises
    ------
    SidecarError
        If one is no JSON object.
    """
    participants = (folder for folder in path.parents if folder.name.startswith("sub-"))
    participant = next(participants, None)
    if participant is not None and path.name.startswith(f"{participant.name}_"):
        root = participant.parent
        return ((readers or {}).get(root) or Sidecars(root)).metadata(path)
    sidecar = path.with_name(path.name.split(".nii")[0] + ".json")
    return read_object(sidecar) if sidecar.is_file() else {}


def intended_for(
    path: Path,
    uri: str,
    metadata: Mapping[str, Any],
    readers: Mapping[Path, Sidecars] | None = None,
) -> bool:
    """Whether a field map is for a run: by ``IntendedFor``, else by ``B0FieldIdentifier``.

    A map that names no run is for all of them, unless the run names another by ``B0FieldSource``.

    Parameters
    ----------
    path
        The map.
    uri
        BIDS URI of the run.
    metadata
        Of the run.
    readers
        As of :func:`map_sidecar`.

    Raises
    ------
    SidecarError
        If a sidecar of the map cannot be read, or one of these entries is no text.
    """
    sidecar = map_sidecar(path, readers)
    targets = _words(path, sidecar, "IntendedFor")
    if targets:
        file = uri.rsplit(":", 1)[-1]
        # A path relative to the dataset or, in older datasets, to the participant.
        return any(
            file == target.rsplit(":", 1)[-1] or file.endswith("/" + target.rsplit(":", 1)[-1])
            for target in targets
        )
    sources = _words(uri, metadata, "B0FieldSource")
    identifiers = _words(path, sidecar, "B0FieldIdentifier")
    return not sources or not identifiers or bool(set(sources) & set(identifiers))


def _words(file: Path | str, sidecar: Mapping[str, Any], key: str) -> list[str]:
    """A text or a list of texts in the sidecar of a file; empty if it has none."""
    value = sidecar.get(key)
    words = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise SidecarError(
            f"{file}: {key} must be a text or a list of texts in its sidecar, got {value!r}"
        )
    return words


def _on_grid(
    path: Path,
    image: Any,
    values: NDArray[np.float64],
    is_known: NDArray[np.bool_],
    geometry: Geometry,
) -> NDArray[np.float64]:
    """A map at the centres of a scan's voxels, axes (z, y, x)."""
    filled = values[
        tuple(distance_transform_edt(~is_known, return_distances=False, return_indices=True))
    ]
    grid = geometry.matrix[::-1], np.diag([1e3, 1e3, 1e3, 1.0]) @ affine(geometry)
    inside = resample_from_to(nib.Nifti1Image(np.ones(values.shape), image.affine), grid, order=0)
    _check_coverage(path, float(np.mean(np.asarray(inside.dataobj) > 0)))
    field = resample_from_to(nib.Nifti1Image(filled, image.affine), grid, order=1, mode="nearest")
    return np.asarray(field.dataobj, np.float64).transpose(2, 1, 0)


def check_placement(path: Path, image: Any) -> None:
    """A map must be a NIfTI file that says where it lies; nibabel takes the sform before the qform.

    Raises
    ------
    SidecarError
        If it is of another format, or neither sform nor qform is set.
    """
    if not isinstance(image, nib.Nifti1Pair):  # also the class of NIfTI-2
        raise SidecarError(f"{path}: must be a NIfTI file, got {type(image).__name__}")
    if not (image.header["sform_code"] > 0 or image.header["qform_code"] > 0):
        raise SidecarError(
            f"{path}: must say where it lies (sform or qform with a code above 0), got neither"
        )
    if not (image.header["sform_code"] > 0 and image.header["qform_code"] > 0):
        return
    shape = (*image.shape, 1, 1, 1)[:3]
    corners = np.array(list(product(*((0, n - 1) for n in shape))))
    difference = apply_affine(image.get_sform(), corners) - apply_affine(image.get_qform(), corners)
    distance = float(np.linalg.norm(difference, axis=1).max())
    if not distance <= _TOLERANCE:
        logger.warning(
            "%s: sform and qform place it up to %.0f mm apart; the sform is taken",
            path.name,
            distance,
        )


def _check_coverage(path: Path, covered: float) -> None:
    """A map must lie where the scan is."""
    if covered < _LEAST_COVERED:
        raise SidecarError(
            f"{path}: must cover the scan, at least {_LEAST_COVERED:.0%} of it, got {covered:.0%} of its "
            "voxels inside the map"
        )
    if covered < _USUALLY_COVERED:
        logger.warning(
            "%s: covers only %.0f %% of the scan; elsewhere its nearest value is used",
            path.name,
            100 * covered,
        )

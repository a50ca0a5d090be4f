"""Whether derivatives are those that a run would give now."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mri2qmap_bids import __version__
from mri2qmap_bids.dataset.derivatives import ABSENT, relative_path
from mri2qmap_bids.dataset.fieldmap import map_sidecar
from mri2qmap_bids.dataset.integrity import missing
from mri2qmap_bids.dataset.map_sidecar import read_map_sidecar
from mri2qmap_bids.dataset.outputs import file_ends
from mri2qmap_bids.dataset.transform import REGISTRATION, T1W, transform_path
from mri2qmap_bids.errors import SidecarError
from mri2qmap_bids.recon.methods.registry import method_named, resolved, weights_file
from mri2qmap_bids.recon.options import ReconOptions

KEY = "MRFInputsChecksum"
"""Sidecar key that holds the checksum."""
_SAMPLED = 1 << 20  # bytes at either end of a raw file


def inputs_checksum(
    path: Path,
    metadata: Mapping[str, Any],
    options: ReconOptions,
    b1_file: Path | None = None,
    b0_file: Path | None = None,
    t1w_file: Path | None = None,
    output_spaces: Sequence[str] = ("native",),
) -> str:
    """A hash of all that a run's derivatives depend on: the maps, and where they are placed.

    Parameters
    ----------
    path, metadata, options, b1_file, b0_file
        As of :func:`maps_checksum`.
    t1w_file, output_spaces
        As of :func:`placed_checksum`.

    Raises
    ------
    OSError
        If a file cannot be read.
    SidecarError
        As :func:`maps_checksum` and :func:`placed_checksum` do.
    """
    maps = maps_checksum(path, metadata, options, b1_file, b0_file)
    return placed_checksum(maps, t1w_file, output_spaces)


def placed_checksum(
    maps: str, t1w_file: Path | None = None, output_spaces: Sequence[str] = ("native",)
) -> str:
    """A hash of all that a run's derivatives depend on, from that of its maps.

    Parameters
    ----------
    maps
        From :func:`maps_checksum`.
    t1w_file
        The T1w image that the run is registered to; one whose content is elsewhere is not used, and does not
        count.
    output_spaces
        Grids that the maps are written on.

    Raises
    ------
    OSError
        If the image cannot be read.
    SidecarError
        If its content is elsewhere although maps are asked for on its grid.
    """
    if t1w_file is None:
        return maps
    absent = missing(t1w_file)
    if absent and T1W in output_spaces:
        raise SidecarError(absent)
    if absent:
        return maps
    digest = hashlib.sha256(maps.encode())
    digest.update(t1w_file.read_bytes() + repr(sorted(output_spaces)).encode())
    return digest.hexdigest()[:16]


def maps_checksum(
    path: Path,
    metadata: Mapping[str, Any],
    options: ReconOptions,
    b1_file: Path | None = None,
    b0_file: Path | None = None,
) -> str:
    """A hash of all that a run's maps depend on.

    Of the raw file its size and its first and last mebibyte count, so that no terabyte is
    read to find that there is nothing to do.

    Parameters
    ----------
    path
        The raw file.
    metadata
        Its sidecar, inheritance applied.
    options
        How it is reconstructed; the device does not count.
    b1_file
        The B1 map that it is reconstructed with.
    b0_file
        The B0 map that it is reconstructed with; its sidecars count, too.

    Raises
    ------
    OSError
        If a file cannot be read.
    SidecarError
        If a sidecar of the B0 map cannot be read.
    """
    digest = hashlib.sha256(__version__.encode())
    settings = {**asdict(resolved(options)), "device": None, "denoiser": None}
    settings["settings"] = repr(method_named(options.method).settings)
    weights = weights_file(options)
    digest.update(json.dumps([dict(metadata), settings], sort_keys=True, default=str).encode())
    if weights is not None:
        digest.update(weights.read_bytes())
    if b1_file is not None:
        digest.update(b1_file.read_bytes())
    if b0_file is not None:
        digest.update(b"b0" + b0_file.read_bytes() + repr(map_sidecar(b0_file)).encode())
    size = path.stat().st_size
    digest.update(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(_SAMPLED))
        file.seek(max(0, size - _SAMPLED))
        digest.update(file.read(_SAMPLED))
    return digest.hexdigest()[:16]


def is_up_to_date(output_dir: Path, entities: Mapping[str, str], checksum: str) -> bool:
    """Whether every derivative of a run is there and says that it was made from these inputs.

    Parameters
    ----------
    output_dir
        Root of the derivative dataset.
    entities
        BIDS entities of the run.
    checksum
        From :func:`inputs_checksum`.
    """
    placed = read_map_sidecar(output_dir, entities).get(REGISTRATION)
    if placed is not None and not (output_dir / transform_path(entities)).is_file():
        return False
    spaces = placed.get("OutputSpaces", ()) if isinstance(placed, dict) else ()
    grids = [dict(entities), *({**entities, "space": space} for space in spaces)]
    return all(_is_whole(output_dir, grid, checksum) for grid in grids)


def _is_whole(output_dir: Path, entities: Mapping[str, str], checksum: str) -> bool:
    """Whether the images of a run on one grid are there, but for those that it does not have, and say so."""
    absent = read_map_sidecar(output_dir, entities).get(ABSENT)
    for end in file_ends():
        if isinstance(absent, list) and end.name in absent:
            continue
        image = output_dir / relative_path(entities, end.suffix, **end.entities)
        sidecar = output_dir / relative_path(entities, end.suffix, ".json", **end.entities)
        try:
            stored = json.loads(sidecar.read_text(encoding="utf-8")).get(KEY)
        except (OSError, ValueError, AttributeError):
            return False
        if stored != checksum or not image.is_file():
            return False
    return True

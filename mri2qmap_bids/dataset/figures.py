"""Where figures and what they are drawn from lie in a derivative dataset."""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from shutil import copyfile
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids import __version__
from mri2qmap_bids.atomic import write_atomically, write_json
from mri2qmap_bids.dataset.derivatives import relative_path

_LIBRARIES = ("torch", "finufft", "torchsim", "numpy", "nipype", "pybids", "nibabel")


@dataclass(frozen=True)
class Conditions:
    """How a run was reconstructed, beyond what is in the maps' sidecars."""

    command: str
    """The words on the command line."""
    warnings: tuple[str, ...]
    """What the reconstruction warned of."""
    options: Mapping[str, Any]
    """Every option of the reconstruction."""
    seconds: Mapping[str, float]
    """Time of what comes before the reconstruction [s], by name."""
    peak_memory_gb: float
    """Most memory that the process held [GB]."""
    versions: Mapping[str, str]
    """Of the program, of Python and of libraries."""


def figure_path(entities: Mapping[str, str], suffix: str, extension: str, desc: str) -> Path:
    """Where a figure lies below its dataset's root, sessions side by side.

    >>> str(figure_path({"sub": "01", "ses": "a"}, "T1map", ".png", "mosaic"))
    'sub-01/figures/sub-01_ses-a_desc-mosaic_T1map.png'
    """
    name = relative_path(entities, suffix, extension, desc=desc).name
    return Path(f"sub-{entities['sub']}") / "figures" / name


def write_diagnostics(
    diagnostics_file: Path,
    conditions: Conditions,
    entities: Mapping[str, str],
    output_dir: Path,
) -> None:
    """Keep what a report is made of beside the figures: arrays, and a JSON file.

    Parameters
    ----------
    diagnostics_file
        From the reconstruction.
    conditions
        How it was made.
    entities
        BIDS entities of the run.
    output_dir
        Root of the derivative dataset.
    """
    path = output_dir / figure_path(entities, "MRF", ".npz", "diagnostics")
    write_atomically(path, partial(copyfile, diagnostics_file))
    content = {
        "Command": conditions.command,
        "Warnings": list(conditions.warnings),
        "Options": dict(conditions.options),
        "Seconds": dict(conditions.seconds),
        "PeakMemory": conditions.peak_memory_gb,
        "Versions": dict(conditions.versions),
    }
    write_json(path.with_suffix(".json"), content)


def read_conditions(entities: Mapping[str, str], output_dir: Path) -> Conditions | None:
    """What :func:`write_diagnostics` kept; None where it is not there."""
    path = output_dir / figure_path(entities, "MRF", ".json", "diagnostics")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Conditions(
            command=content["Command"],
            warnings=tuple(content["Warnings"]),
            options=content["Options"],
            seconds=content["Seconds"],
            peak_memory_gb=content["PeakMemory"],
            versions=content["Versions"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def versions_in_use(libraries: Sequence[str] = _LIBRARIES) -> dict[str, str]:
    """Versions of the program, of Python and of the libraries that make the maps."""
    own = {"mri2qmap_bids": __version__, "Python": platform.python_version()}
    return own | {name: version(name) for name in libraries}


def write_registered(
    image: NDArray[np.uint8], entities: Mapping[str, str], output_dir: Path
) -> None:
    """Keep the T1w image that a run was registered to, on the grid of its maps, for the report.

    Parameters
    ----------
    image
        Grey levels, axes (z, y, x).
    entities
        BIDS entities of the run.
    output_dir
        Root of the derivative dataset.
    """
    path = output_dir / figure_path(entities, "MRF", ".npz", "registration")
    write_atomically(path, lambda temporary: np.savez_compressed(temporary, t1w=image))


def read_registered(entities: Mapping[str, str], output_dir: Path) -> NDArray[np.uint8] | None:
    """What :func:`write_registered` kept; None where it is not there."""
    path = output_dir / figure_path(entities, "MRF", ".npz", "registration")
    try:
        with np.load(path) as arrays:
            return np.asarray(arrays["t1w"], np.uint8)
    except (OSError, ValueError, KeyError, BadZipFile):
        return None

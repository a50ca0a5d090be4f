"""One run, read from its derivatives on disk."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.dataset.derivatives import mask_path, relative_path
from mri2qmap_bids.dataset.figures import Conditions, figure_path, read_conditions, read_registered
from mri2qmap_bids.dataset.map_sidecar import read_map_sidecar
from mri2qmap_bids.dataset.outputs import SYNTHETIC, further_maps
from mri2qmap_bids.dataset.verdict import Verdict, verdict_in
from mri2qmap_bids.dataset.volume_file import read_volume
from mri2qmap_bids.errors import DatasetError
from mri2qmap_bids.recon.diagnostics.model import Diagnostics, load_diagnostics
from mri2qmap_bids.recon.physics.maps import QuantitativeMaps
from mri2qmap_bids.recon.physics.slice_profile import slice_profile_note


@dataclass(frozen=True, eq=False)
class Run:
    """Maps and diagnostics of one run."""

    entities: Mapping[str, str]
    """BIDS entities by short key."""
    affine: NDArray[np.float64]
    """Voxel indices (x, y, z) to world coordinates, RAS+ [mm], shape (4, 4)."""
    mask: NDArray[np.bool_]
    """Where maps are defined, axes (z, y, x)."""
    t1: NDArray[np.float32]
    """[s], axes (z, y, x)."""
    t2: NDArray[np.float32]
    """[s]."""
    m0: NDArray[np.float32]
    """Magnitude."""
    t1_std: NDArray[np.float32] | None
    """Standard deviation of T1's error [s]."""
    t2_std: NDArray[np.float32] | None
    """Standard deviation of T2's error [s]."""
    synthetic: Mapping[str, NDArray[np.float32]]
    """Synthetic weighted images by suffix."""
    sidecar: Mapping[str, Any]
    """That of the T1 map."""
    diagnostics: Diagnostics | None
    """None: the maps were made by a version that wrote none, or the file was deleted."""
    conditions: Conditions | None
    """None: as above."""
    t1w: NDArray[np.uint8] | None = None
    """Grey levels of the T1w image that the run was registered to, on its grid; None: it was not."""
    further: Mapping[tuple[str, str | None], NDArray[np.float32]] = field(default_factory=dict)
    """Maps of other packages, by suffix and desc."""

    @cached_property
    def name(self) -> str:
        """As in file names, e.g. ``sub-01_ses-a_acq-x``."""
        return relative_path(self.entities, "x").name.removesuffix("_x.nii.gz")

    @property
    def is_3d(self) -> bool:
        """Whether the run is one volume rather than a stack of slices."""
        if self.diagnostics is not None:
            return self.diagnostics.is_3d
        return bool(min(self.mask.shape) >= 16)

    @property
    def recorded(self) -> Verdict | None:
        """The rating when the maps were made, if its diagnostics are gone, without which most rules cannot be asked."""
        return verdict_in(self.sidecar) if self.diagnostics is None else None

    @property
    def notes(self) -> list[str]:
        """What was assumed of the scan, without effect on its rating."""
        if self.diagnostics is None:
            return []
        note = slice_profile_note(self.diagnostics.sequence, self.is_3d)
        return [] if note is None else [note]

    @property
    def field_strength(self) -> float | None:
        """[T]; None: unknown."""
        value = self.sidecar.get("MagneticFieldStrength")
        return float(value) if isinstance(value, int | float) else None

    @property
    def voxel_size(self) -> tuple[float, float, float]:
        """Along (z, y, x) [mm]."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(z), float(y), float(x)


def unwritten_run(
    entities: Mapping[str, str],
    maps: QuantitativeMaps,
    diagnostics_file: Path,
    conditions: Conditions,
) -> Run:
    """A run whose derivatives are yet to be written, whose rating goes into them.

    Parameters
    ----------
    entities
        BIDS entities of the run.
    maps
        From the reconstruction.
    diagnostics_file
        From the reconstruction.
    conditions
        How it was made.
    """
    return Run(
        entities=dict(entities),
        affine=np.diag([1e3, 1e3, 1e3, 1.0]) @ maps.affine,
        mask=maps.mask,
        t1=maps.t1,
        t2=maps.t2,
        m0=np.abs(maps.m0),
        t1_std=maps.t1_std,
        t2_std=maps.t2_std,
        synthetic={},
        sidecar={},
        diagnostics=_diagnostics(diagnostics_file),
        conditions=conditions,
    )


def load_run(output_dir: Path, entities: Mapping[str, str]) -> Run:
    """Read a run's maps and diagnostics.

    Raises
    ------
    DatasetError
        If T1map, T2map, M0map or mask is missing or unreadable.
    """

    def volume(suffix: str, **more: str) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        return image_at(relative_path(entities, suffix, **more))

    def image_at(below: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        path = output_dir / below
        image, values = read_volume(path, DatasetError, np.float32)
        if values.ndim != 3:
            raise DatasetError(f"{path}: must be a map of three axes, got shape {values.shape}")
        return values.transpose(2, 1, 0), image.affine

    def if_there(suffix: str, **more: str) -> NDArray[np.float32] | None:
        there = (output_dir / relative_path(entities, suffix, **more)).is_file()
        return volume(suffix, **more)[0] if there else None

    t1, affine = volume("T1map")
    synthetic = {suffix: if_there(suffix, desc="synthetic") for suffix in SYNTHETIC}
    further = {
        (output.suffix, output.desc): if_there(output.suffix, **output.entities)
        for output in further_maps()
    }
    diagnostics_file = output_dir / figure_path(entities, "MRF", ".npz", "diagnostics")
    return Run(
        entities=dict(entities),
        affine=affine,
        mask=image_at(mask_path(output_dir, entities))[0] > 0,
        t1=t1,
        t2=volume("T2map")[0],
        m0=volume("M0map")[0],
        t1_std=if_there("T1map", desc="std"),
        t2_std=if_there("T2map", desc="std"),
        synthetic={suffix: image for suffix, image in synthetic.items() if image is not None},
        sidecar=read_map_sidecar(output_dir, entities),
        diagnostics=_diagnostics(diagnostics_file),
        conditions=read_conditions(entities, output_dir),
        t1w=read_registered(entities, output_dir),
        further={end: image for end, image in further.items() if image is not None},
    )


def _diagnostics(path: Path) -> Diagnostics | None:
    """None if they are missing, or of another version."""
    try:
        return load_diagnostics(path)
    except (OSError, EOFError, BadZipFile, ValueError, KeyError, TypeError):
        return None

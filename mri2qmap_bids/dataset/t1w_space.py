"""Maps on the grid of the participant's T1w image, and that image on the grid of the maps."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.dataset.derivatives import MapDocument, relative_path
from mri2qmap_bids.dataset.figures import figure_path
from mri2qmap_bids.dataset.outputs import QUANTITIES, file_ends
from mri2qmap_bids.dataset.placement import Placement
from mri2qmap_bids.dataset.resampling import on_grid
from mri2qmap_bids.dataset.transform import T1W, transform_path
from mri2qmap_bids.recon.physics.maps import QuantitativeMaps


def on_t1w_grid(document: MapDocument, placement: Placement) -> MapDocument:
    """A run's maps and masks on the grid of the participant's T1w image.

    Values are interpolated linearly between voxels of the mask alone: sum of w v / sum of w, with the weights w of
    voxels outside the mask set to 0. The mask is where voxels inside it have at least half of the weight. Rates
    and maps of other packages are computed from the interpolated ones.
    """
    maps, target = document.maps, placement.target
    moved = _nifti(np.zeros(1), placement.registration.matrix @ maps.affine).affine
    grid = _nifti(target.values, target.affine)

    def resampled(values: NDArray[Any]) -> NDArray[np.float64]:
        image = nib.Nifti1Image(np.asarray(values, np.float32).transpose(2, 1, 0), moved)
        return on_grid(image, grid, 1).transpose(2, 1, 0)

    weight = resampled(maps.mask)
    mask = weight >= 0.5

    def within(values: NDArray[Any] | None) -> NDArray[np.float32] | None:
        if values is None:
            return None
        total = resampled(np.where(maps.mask, values, 0))
        return np.where(mask, total / np.maximum(weight, 0.5), 0).astype(np.float32)

    t1, t2, m0 = (within(values) for values in (maps.t1, maps.t2, np.abs(maps.m0)))
    assert t1 is not None and t2 is not None and m0 is not None
    sources = [relative_path(document.entities, output.suffix) for output in QUANTITIES]
    # The resolution is along the axes of the scan, which are not those of the other grid.
    metadata = {k: v for k, v in document.metadata.items() if k != "EffectiveResolution"}
    return replace(
        document,
        entities={**document.entities, "space": T1W},
        maps=QuantitativeMaps(
            t1,
            t2,
            m0.astype(np.complex64),
            mask,
            target.affine,
            within(maps.t1_std),
            within(maps.t2_std),
            maps.resolution,
            within(maps.inversion_efficiency),
        ),
        sources=(
            *(f"bids::{path}" for path in (*sources, transform_path(document.entities))),
            placement.uri,
        ),
        metadata={
            **metadata,
            "MRFResampling": "linear, between voxels inside the mask; errors of neighbours count as equal",
        },
        spatial_reference=placement.uri,
        brain=None if document.brain is None else mask & (resampled(document.brain) >= 0.5),
        synthetic={},
        labels=None,
        probabilities={},
    )


def remove_placed(entities: Mapping[str, str], output_dir: Path) -> None:
    """Remove the transform and the maps on the grid of a T1w image that an earlier call wrote.

    Parameters
    ----------
    entities
        BIDS entities of the run.
    output_dir
        Root of the derivative dataset.
    """
    paths = [transform_path(entities, extension) for extension in (".txt", ".json")]
    paths.append(figure_path(entities, "MRF", ".npz", "registration"))
    for end in file_ends():
        more = {**end.entities, "space": T1W}
        paths += [
            relative_path(entities, end.suffix, extension, **more)
            for extension in (".nii.gz", ".json")
        ]
    for path in paths:
        (output_dir / path).unlink(missing_ok=True)


def t1w_on_maps(placement: Placement, maps: QuantitativeMaps) -> NDArray[np.uint8]:
    """The T1w image on the grid of the maps, in grey levels."""
    target = placement.target
    back = np.linalg.inv(placement.registration.matrix) @ target.affine
    image, grid = _nifti(target.values, back), _nifti(maps.mask, maps.affine)
    values = on_grid(image, grid, 1).transpose(2, 1, 0)
    low, high = np.percentile(values[maps.mask], (1, 99))
    return np.asarray(255 * np.clip((values - low) / max(high - low, 1e-9), 0, 1), np.uint8)


def _nifti(values: NDArray[Any], affine: NDArray[np.float64]) -> Any:
    """Axes (z, y, x) and metres to an image of nibabel."""
    volume = values.transpose(2, 1, 0) if values.ndim == 3 else values
    return nib.Nifti1Image(volume.astype(np.float32), np.diag([1e3, 1e3, 1e3, 1.0]) @ affine)

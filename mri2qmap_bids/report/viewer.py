"""Maps in three planes that follow the mouse, one self-contained HTML file each, by nilearn (brainsprite)."""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np

from mri2qmap_bids.atomic import write_text
from mri2qmap_bids.dataset.figures import figure_path
from mri2qmap_bids.report import scales
from mri2qmap_bids.report.run import Run

# The page's icon, which nilearn would have the browser ask the network for.
_ICON = re.compile(r"<link[^>]*icon[^>]*>", re.DOTALL)


_NAMES = ("T1", "T2")


def viewer_path(entities: Mapping[str, str], name: str) -> Path:
    """Where the view of a run's T1 or T2 lies below the dataset's root."""
    return figure_path(entities, f"{name}map", ".html", "viewer")


def has_viewer(entities: Mapping[str, str], output_dir: Path) -> bool:
    """Whether all views of a run's maps are there; arguments as of :func:`write_viewer`."""
    return all((output_dir / viewer_path(entities, name)).is_file() for name in _NAMES)


def write_viewer(run: Run, output_dir: Path) -> dict[str, Path]:
    """Write a view of T1 and of T2; voxels that lie obliquely are resampled to the nearest.

    Parameters
    ----------
    run
        Maps.
    output_dir
        Root of the derivative dataset.

    Returns
    -------
    Files below the root by the name of the map.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    from nilearn.plotting import view_img

    paths = {}
    values_and_scales = ((run.t1, scales.T1), (run.t2, scales.T2))
    for name, (values, scale) in zip(_NAMES, values_and_scales, strict=True):
        shown = np.where(run.mask, scale.factor * values, 0).astype(np.float32)
        with warnings.catch_warnings():
            # Of a single slice, whose resampled surroundings have no values.
            warnings.filterwarnings("ignore", "Non-finite values")
            # Of maps without a voxel outside the mask.
            warnings.filterwarnings("ignore", "Threshold given was")
            view = view_img(
                nib.Nifti1Image(shown.transpose(2, 1, 0), run.affine),
                bg_img=None,
                black_bg=True,
                threshold=1e-3,  # outside the mask
                cmap=scale.colormap,
                vmin=scale.low,
                vmax=scale.high,
                symmetric_cmap=False,
                title=scale.label,
                resampling_interpolation="nearest",
            )
        paths[name] = viewer_path(run.entities, name)
        write_text(output_dir / paths[name], _ICON.sub("", view.get_standalone()))
    return paths


def remove_viewer(run: Run, output_dir: Path) -> None:
    """Remove views of earlier maps."""
    for name in _NAMES:
        (output_dir / viewer_path(run.entities, name)).unlink(missing_ok=True)

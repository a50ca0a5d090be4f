"""Volumes as NIfTI files: millimetres, seconds, RAS."""

from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from mri2qmap_bids.atomic import write_atomically, write_json
from mri2qmap_bids.dataset.outputs import EFFICIENCY, MAPS, MASK, MASK_DESC
from mri2qmap_bids.recon.physics.maps import QuantitativeMaps


def write_volume(path: Path, volume: NDArray[Any], affine: NDArray[np.float64]) -> None:
    """Write one volume, whole or not at all.

    Parameters
    ----------
    path
        The file, ``.nii.gz``.
    volume
        Values, axes (z, y, x).
    affine
        Voxel indices (x, y, z) to world coordinates, RAS+ [m], shape (4, 4).

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    affine_mm = np.diag([1e3, 1e3, 1e3, 1.0]) @ affine
    image = nib.Nifti1Image(np.ascontiguousarray(volume.transpose(2, 1, 0)), affine_mm)
    image.set_sform(affine_mm, code=1)
    image.set_qform(affine_mm, code=1)
    image.header.set_xyzt_units("mm", "sec")
    write_atomically(path, partial(nib.save, image))


def save_nifti(maps: QuantitativeMaps, folder: Path | str) -> list[Path]:
    """Write maps as NIfTI files into one folder, without a BIDS dataset around them.

    ``T1map`` and ``T2map`` are in seconds, ``R1map`` and ``R2map`` in 1/s, ``M0map`` is the magnitude,
    ``desc-std_*`` are standard deviations of the error and ``desc-head_mask`` is where there are maps; all are 0
    outside it. A JSON file beside each has its unit.

    Parameters
    ----------
    maps
        From :func:`mri2qmap_bids.reconstruct`.
    folder
        Made if missing; files of the same names are replaced.

    Returns
    -------
    The NIfTI files.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    files = []
    for output in (*MAPS, EFFICIENCY):
        values = output.values(maps)
        if values is None:
            continue
        stem = output.suffix if output.desc is None else f"desc-{output.desc}_{output.suffix}"
        files.append(Path(folder) / f"{stem}.nii.gz")
        masked = np.where(maps.mask, values, 0).astype(np.float32)
        write_volume(files[-1], masked, maps.affine)
        sidecar = {"Description": output.description, "Units": output.unit}
        write_json(Path(folder) / f"{stem}.json", sidecar)
    files.append(Path(folder) / f"desc-{MASK_DESC}_{MASK}.nii.gz")
    write_volume(files[-1], maps.mask.astype(np.uint8), maps.affine)
    return files

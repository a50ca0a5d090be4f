"""How far the maps of one derivative dataset are from the known maps of another."""

import json
import logging
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from mri2qmap_bids.dataset.derivatives import (
    load_derivative,
    load_image,
    mask_path,
    read_values,
    relative_path,
)
from mri2qmap_bids.dataset.outputs import QUANTITIES
from mri2qmap_bids.dataset.resampling import on_grid
from mri2qmap_bids.dataset.runs import runs_with_maps
from mri2qmap_bids.errors import DatasetError

logger = logging.getLogger(__name__)

TISSUES = {"GM": (1,), "WM": (2,), "CSF": (3,), "GM+WM": (1, 2)}
_LABELS = sorted({number for numbers in TISSUES.values() for number in numbers})


def compare_datasets(estimate_dir: Path, truth_dir: Path) -> pd.DataFrame:
    """Errors of every run that both datasets hold, per tissue.

    Over the voxels v of a tissue (truth's dseg), with e the estimate and t the truth:
    MAPE = mean |e - t| / t, bias = mean (e - t) / t and sd = standard deviation of
    (e - t) / t, all in %. A tissue voxel that the estimate's mask leaves out counts with
    e = 0; ``coverage`` says how many are inside [%]. NRMSE of M0 = |a e - t| / |t| in %
    over all tissues, with the scale a that makes it least. SSIM is the structural
    similarity of the masked maps, T1 and T2 clipped to 5 s and 2 s.

    Parameters
    ----------
    estimate_dir
        Derivatives to judge.
    truth_dir
        Known maps with a dseg (1 grey matter, 2 white matter, 3 CSF). Resampled in world
        coordinates where its grid is another.

    Returns
    -------
    One row per run and tissue.

    Raises
    ------
    DatasetError
        If the truth has no run, the datasets share none, a file of a run is missing, damaged or
        of another shape than the run's T1map, or its dseg has no tissue where both have voxels.

    References
    ----------
    Wang et al., Image quality assessment (2004), doi:10.1109/TIP.2003.819861.
    """
    runs = runs_with_maps(truth_dir)
    if not runs:
        raise DatasetError(
            f"{truth_dir}: must hold maps, sub-*/anat/sub-*_T1map.nii.gz, got none of them"
        )
    shared = [run for run in runs if (estimate_dir / relative_path(run, "T1map")).exists()]
    if not shared:
        raise DatasetError(
            f"{estimate_dir}: must hold maps of the runs in {truth_dir} ({len(runs)} there), got none of them"
        )
    missing = ["_".join(f"{k}-{v}" for k, v in run.items()) for run in runs if run not in shared]
    if missing:
        logger.warning(
            "%d of %d runs are compared; without an estimate: %s",
            len(shared),
            len(runs),
            ", ".join(missing),
        )
    return pd.concat(
        [_compare_run(estimate_dir, truth_dir, run) for run in shared], ignore_index=True
    )


def write_scores(table: pd.DataFrame, path: Path) -> None:
    """Write a table of scores as JSON records."""
    from mri2qmap_bids.atomic import write_json

    write_json(path, json.loads(table.to_json(orient="records")))


def _compare_run(estimate_dir: Path, truth_dir: Path, run: dict[str, str]) -> pd.DataFrame:
    reference = load_derivative(estimate_dir, run, "T1map")
    estimate = {
        name: read_values(load_derivative(estimate_dir, run, name), reference)
        for name in (output.suffix for output in QUANTITIES)
    }
    mask = read_values(load_image(estimate_dir / mask_path(estimate_dir, run)), reference) > 0
    truth = {name: _truth(truth_dir, run, name, reference, 1) for name in estimate}
    labels = np.rint(_truth(truth_dir, run, "dseg", reference, 0)).astype(int)
    known = (truth["T1map"] > 0) & (truth["T2map"] > 0)
    if not (known & np.isin(labels, _LABELS)).any():
        raise DatasetError(
            f"{truth_dir / relative_path(run, 'dseg')}: must have voxels of {_LABELS} with T1 and T2 "
            f"inside {reference.get_filename()}, got none"
        )
    whole = _whole_scores(estimate, truth, labels)
    rows = []
    for tissue, numbers in TISSUES.items():
        inside = np.isin(labels, numbers) & known
        if not inside.any():
            continue
        row: dict[str, Any] = {
            "run": "_".join(f"{k}-{v}" for k, v in run.items()),
            "tissue": tissue,
        }
        row |= {"n_voxels": int(inside.sum()), "coverage": 100 * float(mask[inside].mean())}
        for name, quantity in (("T1", "T1map"), ("T2", "T2map")):
            relative = estimate[quantity][inside] / truth[quantity][inside] - 1
            row[f"{name}_MAPE"] = 100 * float(np.abs(relative).mean())
            row[f"{name}_bias"] = 100 * float(relative.mean())
            row[f"{name}_sd"] = 100 * float(relative.std())
        rows.append(row | whole)
    return pd.DataFrame(rows)


def _whole_scores(
    estimate: dict[str, NDArray[np.float64]],
    truth: dict[str, NDArray[np.float64]],
    labels: NDArray[np.int_],
) -> dict[str, float]:
    inside = labels > 0
    m0, true_m0 = estimate["M0map"][inside], truth["M0map"][inside]
    scale = float(m0 @ true_m0) / max(float(m0 @ m0), 1e-30)
    scores = {
        "M0_NRMSE": 100 * float(np.linalg.norm(scale * m0 - true_m0) / np.linalg.norm(true_m0))
    }
    for name, quantity, most in (
        ("T1", "T1map", 5.0),
        ("T2", "T2map", 2.0),
        ("M0", "M0map", np.inf),
    ):
        factor = scale if name == "M0" else 1.0
        scores[f"{name}_SSIM"] = _ssim(
            np.minimum(factor * estimate[quantity], most), np.minimum(truth[quantity], most), inside
        )
    return scores


def _ssim(
    estimate: NDArray[np.float64], truth: NDArray[np.float64], inside: NDArray[np.bool_]
) -> float:
    """Mean over the tissue voxels of the slice-wise structural similarity."""
    planes = [n for n in range(truth.shape[2]) if inside[:, :, n].any()]
    data_range = float(truth[inside].max() - truth[inside].min()) or 1.0
    total = 0.0
    for plane in planes:
        _, local = structural_similarity(
            estimate[:, :, plane], truth[:, :, plane], data_range=data_range, full=True
        )
        total += float(local[inside[:, :, plane]].sum())
    return total / float(inside.sum())


def _truth(
    truth_dir: Path, run: dict[str, str], suffix: str, reference: Any, order: int
) -> NDArray[np.float64]:
    """A known map on the reference's grid, interpolated by a spline of this order."""
    image = load_derivative(truth_dir, run, suffix)
    values = read_values(image, load_derivative(truth_dir, run, "T1map"))
    in_memory = nib.Nifti1Image(values, image.affine)  # type: ignore[no-untyped-call]
    return on_grid(in_memory, reference, order)

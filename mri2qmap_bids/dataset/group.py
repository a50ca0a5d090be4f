"""Tables over all participants of a derivative dataset."""

import json
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from skimage.filters import threshold_multiotsu

from mri2qmap_bids.dataset.derivatives import relative_path
from mri2qmap_bids.dataset.files import write_json, write_text
from mri2qmap_bids.errors import DatasetError, NothingSelectedError

_MEASURES = ("T1map", "T2map", "M0map")
_ENTITIES = ("sub", "ses", "acq", "rec", "run")
_COLUMNS = {
    "participant_id": "Participant label with sub-",
    "session_id": "Session label with ses-, n/a if the dataset has no sessions",
    "acquisition": "Acquisition label, n/a if there is none",
    "run": "Run index, n/a if there is none",
    "region": "Tissue class by the run's own T1: short (white matter), middle (grey matter), "
    "long (CSF)",
    "n_voxels": "Number of voxels in the region",
    "mean": "Mean over the region",
    "median": "Median over the region",
    "sd": "Standard deviation over the region",
    "iqr": "Interquartile range over the region",
}


def write_group_tables(
    output_dir: Path, participants: Sequence[str] = (), sessions: Sequence[str] = ()
) -> list[Path]:
    """Summaries of each map per run and tissue class, one table with a JSON dictionary a map.

    Parameters
    ----------
    output_dir
        Derivative dataset that the participant level wrote.
    participants, sessions
        Labels to keep; none keeps all.

    Raises
    ------
    DatasetError
        If the dataset has no maps.
    NothingSelectedError
        If the filters leave none.
    """
    found = sorted(output_dir.glob("sub-*/**/anat/*_T1map.nii.gz"))
    runs = [entities_of(path) for path in found if "_desc-" not in path.name]
    if not runs:
        raise DatasetError(
            f"{output_dir}: must hold maps sub-*/[ses-*/]anat/*_T1map.nii.gz, got none; "
            "run the participant level first"
        )
    runs = [
        run
        for run in runs
        if (not participants or run["sub"] in participants)
        and (not sessions or run.get("ses") in sessions)
    ]
    if not runs:
        raise NothingSelectedError(f"{output_dir}: the filters must leave maps, got none")
    rows = {
        measure: pd.concat([_summary(output_dir, run, measure) for run in runs])
        for measure in _MEASURES
    }
    written = []
    for measure, table in rows.items():
        path = output_dir / f"group_{measure}.tsv"
        write_text(path, table.to_csv(sep="\t", index=False, na_rep="n/a", float_format="%.6g"))
        units = json.loads((output_dir / relative_path(runs[0], measure, ".json")).read_text())[
            "Units"
        ]
        dictionary = {name: {"Description": text} for name, text in _COLUMNS.items()}
        for name in ("mean", "median", "sd", "iqr"):
            dictionary[name]["Units"] = units
        write_json(path.with_suffix(".json"), dictionary)
        written.append(path)
    return written


def entities_of(path: Path) -> dict[str, str]:
    """BIDS entities of a derivative's file name, by short key.

    >>> entities_of(Path("sub-01_ses-a_run-1_T1map.nii.gz"))
    {'sub': '01', 'ses': 'a', 'run': '1'}
    """
    pairs = (part.split("-", 1) for part in path.name.split("_") if "-" in part)
    return {key: value for key, value in pairs if key in _ENTITIES}


def tissue_classes(t1: NDArray[np.floating], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Labels 2, 1, 3 (white matter, grey matter, CSF) by two thresholds on T1.

    The thresholds maximise the variance between the classes of log T1, so that they
    follow the field strength.

    Parameters
    ----------
    t1
        [s], any shape.
    mask
        Where to look.

    References
    ----------
    Liao et al., A fast algorithm for multilevel thresholding (2001).
    """
    labels = np.zeros(t1.shape, np.uint8)
    values = np.log(np.maximum(t1[mask], 1e-3))
    if len(np.unique(values)) < 4:
        labels[mask] = 1
        return labels
    thresholds = threshold_multiotsu(values, classes=3)
    labels[mask] = np.array([2, 1, 3], np.uint8)[np.digitize(values, thresholds)]
    return labels


def _summary(output_dir: Path, run: dict[str, str], measure: str) -> pd.DataFrame:
    """One row per tissue class of one run."""

    def load(suffix: str, **more: str) -> NDArray[np.float64]:
        return np.asarray(
            nib.load(output_dir / relative_path(run, suffix, **more)).dataobj, np.float64
        )

    mask = load("mask", desc="brain") > 0
    labels = tissue_classes(load("T1map"), mask)
    values = load(measure)
    rows = []
    for region, label in (("WM", 2), ("GM", 1), ("CSF", 3), ("brain", None)):
        inside = values[mask if label is None else labels == label]
        quartiles = np.quantile(inside, [0.25, 0.5, 0.75]) if inside.size else [np.nan] * 3
        rows.append(
            {
                "participant_id": f"sub-{run['sub']}",
                "session_id": f"ses-{run['ses']}" if "ses" in run else None,
                "acquisition": run.get("acq"),
                "run": run.get("run"),
                "region": region,
                "n_voxels": inside.size,
                "mean": inside.mean() if inside.size else np.nan,
                "median": quartiles[1],
                "sd": inside.std() if inside.size else np.nan,
                "iqr": quartiles[2] - quartiles[0],
            }
        )
    return pd.DataFrame(rows)

"""Tables over all runs of a derivative dataset: statistics per region, and outliers."""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mri2qmap_bids.atomic import write_json, write_text
from mri2qmap_bids.dataset.atlas import (
    Segmentation,
    SegmentationFile,
    find_segmentations,
    load_segmentation,
)
from mri2qmap_bids.dataset.derivatives import (
    brain_path,
    load_derivative,
    load_image,
    mask_path,
    read_values,
    relative_path,
)
from mri2qmap_bids.dataset.entities import run_name
from mri2qmap_bids.dataset.filters import GroupFilters, check_participants, warn_of_unused
from mri2qmap_bids.dataset.integrity import guard, read_object
from mri2qmap_bids.dataset.outliers import FEWEST_RUNS, THRESHOLD, flags, robust_z
from mri2qmap_bids.dataset.outputs import QUANTITIES, RATES, further_maps
from mri2qmap_bids.dataset.runs import runs_with_maps
from mri2qmap_bids.dataset.tissue import TISSUES, USUAL_FIELD, tissue_classes
from mri2qmap_bids.dataset.verdict import LEVEL_MEANINGS, Verdict, read_verdict
from mri2qmap_bids.errors import DatasetError, Mri2QmapError, NothingSelectedError, OutputError

logger = logging.getLogger(__name__)

UNITS = {output.suffix: output.unit for output in (*QUANTITIES, *RATES)}
"""Measures that every run has, one table each, and their units."""
TISSUE = "tissue"
"""Name of the segmentation that is computed from T1."""
MASK = "mask"
"""Region of all voxels that have maps."""
# Taken from the times, which runs of all versions have.
_RATES = {output.suffix: output.source for output in RATES if output.source is not None}
_ENTITIES = ("sub", "ses", "acq", "rec", "run")
_STATISTICS = ("mean", "median", "sd", "iqr")
_RUN = ("participant_id", "session_id", "acquisition", "reconstruction", "run")
_GROUP = ["acquisition", "reconstruction", "further_entities", "segmentation", "region"]
# Raised whenever the same maps would give other rows.
_ROWS_VERSION = 3
COLUMNS = {
    "participant_id": "Participant label with sub-",
    "session_id": "Session label with ses-; n/a: the file name has none",
    "acquisition": "Acquisition label without acq-; n/a: the file name has none",
    "reconstruction": "Reconstruction label without rec-; n/a: the file name has none",
    "run": "Run index without run-; n/a: the file name has none",
    "quality": "Rating of the run by the rules of the report; n/a: its sidecar has none",
    "further_entities": "Further entities of the file name, such as ce-gd_dir-AP; n/a: it has none",
    "segmentation": f"Where the regions come from: {TISSUE} (classified from T1 by the limits given in "
    "the documentation, inside desc-brain_mask; of runs without one, inside all of the head), "
    "or the name of a dataset given by --derivatives",
    "region": f"Region of the segmentation; of {TISSUE}: WM (white matter), GM (grey matter), CSF "
    f"(cerebrospinal fluid), {MASK} (all voxels that have maps)",
    "n_voxels": "Number of voxels of the region that have maps",
    "mean": "Mean over the region",
    "median": "Median over the region",
    "sd": "Standard deviation over the region",
    "iqr": "Interquartile range over the region",
    "robust_z": "0.6745 (median - m) / MAD, where m is the median and MAD the median absolute "
    "deviation of this column over all runs of the same acquisition, reconstruction, further "
    f"entities, segmentation and region; n/a if there are fewer than {FEWEST_RUNS} or MAD is 0",
    "outlier": f"Whether the magnitude of robust_z is above {THRESHOLD:g}; n/a where robust_z is",
}
"""Columns of every table, and what they mean."""


@dataclass(frozen=True)
class GroupTables:
    """What the group level wrote, and what it could not do."""

    paths: tuple[Path, ...]
    """One table a measure."""
    verdicts: Mapping[str, Verdict | None]
    """Ratings of the runs in the tables, by the run's name; None: its sidecar has none."""
    problems: tuple[tuple[str, str], ...] = ()
    """(run, reason) pairs of runs that are left out."""


def write_group_tables(
    output_dir: Path,
    filters: GroupFilters | None = None,
    derivatives: Sequence[tuple[str, Path]] = (),
    cache_dir: Path | None = None,
    n_threads: int = 1,
) -> GroupTables:
    """Summaries of each map per run and region, one table with a JSON dictionary a measure.

    Tables of an earlier call whose measures no selected run has are removed. Runs whose
    files are as they were at an earlier call are not read again.

    Parameters
    ----------
    output_dir
        Derivative dataset that the participant level wrote.
    filters
        What to keep; None keeps all.
    derivatives
        (name, root) of datasets with segmentations ``*_dseg.nii.gz`` of the participants.
    cache_dir
        Where to keep what was found of each run; None: nowhere.
    n_threads
        Runs to read at the same time.

    Raises
    ------
    DatasetError
        If the dataset has no maps that can be read.
    NothingSelectedError
        If a participant has no maps, or the filters leave none.
    """
    filters = filters or GroupFilters()
    runs = runs_with_maps(output_dir)
    if not runs:
        raise DatasetError(
            f"{output_dir}: must hold maps sub-*/[ses-*/]anat/*_T1map.nii.gz, got none; "
            "run the participant level first"
        )
    check_participants(output_dir, sorted({run["sub"] for run in runs}), filters.participants)
    runs = [run for run in runs if filters.keep(run)]
    if not runs:
        raise NothingSelectedError(f"{output_dir}: the filters must select maps, got none")
    warn_of_unused(filters, runs)
    rows, problems = [], []
    verdicts: dict[str, Verdict | None] = {}
    summarise = partial(_rows_or_problem, output_dir, derivatives, cache_dir)
    with ThreadPoolExecutor(n_threads) as pool:
        for run, (of_run, problem) in zip(runs, pool.map(summarise, runs), strict=True):
            rows += of_run
            if problem:
                problems.append((run_name(run), problem))
            else:
                verdicts[run_name(run)] = read_verdict(output_dir, run)
    if not rows:
        raise DatasetError("; ".join(f"{name}: {reason}" for name, reason in problems[:5]))
    table = pd.DataFrame(rows)
    measures = (measure for measure in units() if measure in set(table.measure))
    paths = tuple(_write_table(table, measure, output_dir) for measure in measures)
    _remove_others(paths, output_dir)
    return GroupTables(paths, verdicts, tuple(problems))


def units() -> dict[str, str]:
    """All measures, those of other packages too, and their units."""
    own = {output.suffix: output.unit for output in further_maps() if output.desc is None}
    return {**UNITS, **{suffix: unit for suffix, unit in own.items() if suffix not in UNITS}}


def _write_table(rows: pd.DataFrame, measure: str, output_dir: Path) -> Path:
    """The rows of one measure, with its outliers, and what the columns mean."""
    table = rows[rows.measure == measure].copy()
    by_region = table.groupby(_GROUP, dropna=False, sort=False)["median"]
    table["robust_z"] = by_region.transform(robust_z)
    table["outlier"] = flags(table["robust_z"])
    path = output_dir / f"group_{measure}.tsv"
    text = table[list(COLUMNS)].to_csv(sep="\t", index=False, na_rep="n/a", float_format="%.6g")
    write_text(path, text)
    described: dict[str, dict[str, Any]] = {
        name: {"Description": meaning} for name, meaning in COLUMNS.items()
    }
    for name in _STATISTICS:
        described[name]["Units"] = units()[measure]
    described["quality"]["Levels"] = dict(LEVEL_MEANINGS)
    described["outlier"]["Levels"] = {"true": "Outlier", "false": "Not an outlier"}
    write_json(path.with_suffix(".json"), described)
    return path


def _remove_others(paths: Sequence[Path], output_dir: Path) -> None:
    """Remove tables of an earlier call, which are of other runs or other maps."""
    for path in set(output_dir.glob("group_*.tsv")) - set(paths):
        try:
            header = path.read_text(encoding="utf-8").split("\n", 1)[0].split("\t")
            # A table that someone else put there has other columns.
            if {"segmentation", "region"} <= set(header) <= set(COLUMNS):
                path.unlink()
                path.with_suffix(".json").unlink(missing_ok=True)
        except (OSError, ValueError) as error:
            raise OutputError(f"{path}: must be a table to replace, got: {error}") from error


def _rows_or_problem(
    output_dir: Path,
    derivatives: Sequence[tuple[str, Path]],
    cache_dir: Path | None,
    run: Mapping[str, str],
) -> tuple[list[dict[str, Any]], str | None]:
    """Rows of one run, or why there are none."""
    try:
        with guard(output_dir / relative_path(run, "T1map")):
            files = [f for name, root in derivatives for f in find_segmentations(name, root, run)]
            if cache_dir is None:
                return list(_rows(output_dir, run, files)), None
            path = cache_dir / f"{run_name(run)}_{_state(output_dir, run, files)}.json"
            cached = _cached(path)
            if cached is not None:
                return cached, None
            rows = list(_rows(output_dir, run, files))
    except Mri2QmapError as error:
        return [], str(error)
    try:
        write_json(path, rows)
    except OutputError as error:
        logger.debug("%s: the summary is not cached: %s", run_name(run), error)
    return rows, None


def _cached(path: Path) -> list[dict[str, Any]] | None:
    """Rows that an earlier call has kept; None: there are none, or the file is damaged."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return rows if isinstance(rows, list) and rows else None


def _rows(
    output_dir: Path, run: Mapping[str, str], files: Sequence[SegmentationFile]
) -> Iterator[dict[str, Any]]:
    """One row per measure, segmentation and region of a run."""
    reference = load_derivative(output_dir, run, "T1map")
    mask = _values(load_image(output_dir / mask_path(output_dir, run)), reference) > 0
    maps = {
        name: _values(load_derivative(output_dir, run, name), reference)
        for name in _measured(output_dir, run)
    }
    mask &= (maps["T1map"] > 0) & (maps["T2map"] > 0)
    field = _field_strength(output_dir, run)
    brain = brain_path(output_dir, run)
    inside = mask & (_values(load_image(output_dir / brain), reference) > 0) if brain else mask
    tissue = tissue_classes(maps["T1map"], inside, field).astype(int)
    everything = Segmentation(TISSUE, np.ones(mask.shape, int), {1: MASK})
    names = {label: name for name, label in TISSUES.items()}
    segmentations = [Segmentation(TISSUE, tissue, names), everything]
    segmentations += [load_segmentation(file, reference) for file in files]
    verdict = read_verdict(output_dir, run)
    of_run = {
        "participant_id": f"sub-{run['sub']}",
        "session_id": f"ses-{run['ses']}" if "ses" in run else None,
        **{long: run.get(key) for key, long in zip(_ENTITIES[2:], _RUN[2:], strict=True)},
        "quality": verdict.level if verdict else None,
        "further_entities": "_".join(f"{k}-{v}" for k, v in run.items() if k not in _ENTITIES)
        or None,
    }
    for measure in (*maps, *_RATES):
        rate = measure in _RATES
        values = maps[_RATES[measure] if rate else measure][mask].astype(np.float64)
        values = 1 / values if rate else values
        for segmentation in segmentations:
            labels = segmentation.labels[mask]
            order = np.argsort(labels, kind="stable")
            ordered, sorted_values = labels[order], values[order]
            for label, region in segmentation.names.items():
                first, last = np.searchsorted(ordered, [label, label + 1])
                summary = _summary(sorted_values[first:last])
                about = {"segmentation": segmentation.name, "region": region}
                yield {**of_run, **about, "measure": measure, **summary}


def _summary(values: NDArray[np.float64]) -> dict[str, float | int | None]:
    """The statistics of one region."""
    if not values.size:
        return {"n_voxels": 0, **dict.fromkeys(_STATISTICS)}
    lower, median, upper = (float(v) for v in np.quantile(values, [0.25, 0.5, 0.75]))
    mean, deviation = float(values.mean()), float(values.std())
    return {
        "n_voxels": int(values.size),
        "mean": mean,
        "median": median,
        "sd": deviation,
        "iqr": upper - lower,
    }


def _values(image: Any, reference: Any) -> NDArray[np.float32]:
    return read_values(image, reference).astype(np.float32)


def _field_strength(output_dir: Path, run: Mapping[str, str]) -> float:
    """Of the run's sidecar [T]; the usual one if it names none."""
    sidecar = read_object(output_dir / relative_path(run, "T1map", ".json"))
    value = sidecar.get("MagneticFieldStrength")
    return float(value) if isinstance(value, int | float) and value > 0 else USUAL_FIELD


def _measured(output_dir: Path, run: Mapping[str, str]) -> list[str]:
    """Suffixes of a run's quantities: those of every run, and others where they are there."""
    own = [output.suffix for output in QUANTITIES]
    others = [name for name in units() if name not in UNITS]
    return own + [name for name in others if (output_dir / relative_path(run, name)).exists()]


def _state(output_dir: Path, run: Mapping[str, str], files: Sequence[SegmentationFile]) -> str:
    """A hash that changes whenever one of a run's files does."""
    own = [relative_path(run, name) for name in _measured(output_dir, run)]
    own += [mask_path(output_dir, run), relative_path(run, "T1map", ".json")]
    own += [path for path in (brain_path(output_dir, run),) if path is not None]
    paths = [output_dir / path for path in own]
    paths += [path for file in files for path in (file.path, file.table) if path is not None]
    digest = hashlib.sha256(f"{_ROWS_VERSION} {[file.name for file in files]}".encode())
    for path in paths:
        try:
            state = path.stat()
        except OSError as error:
            raise DatasetError(f"{path}: must be there, got: {error.strerror}") from error
        digest.update(f"{path} {state.st_size} {state.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]

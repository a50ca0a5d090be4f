"""Group report: one page with a table of all runs and a plot of every quantity."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mri2qmap_bids import __version__
from mri2qmap_bids.atomic import write_text
from mri2qmap_bids.dataset.derivatives import relative_path
from mri2qmap_bids.dataset.group import UNITS
from mri2qmap_bids.dataset.outliers import FEWEST_RUNS, THRESHOLD
from mri2qmap_bids.dataset.tissue import TISSUES
from mri2qmap_bids.report.contents import Page
from mri2qmap_bids.report.page import environment, page_part

_KEYS = {
    "participant_id": "sub",
    "session_id": "ses",
    "acquisition": "acq",
    "reconstruction": "rec",
    "run": "run",
    "further_entities": "",
}
_COLUMN = 130  # pixels of a region
_HEIGHT = 240
_LEFT, _BOTTOM, _TOP = 60, 30, 14


@dataclass(frozen=True)
class Point:
    """One run in one region."""

    x: float
    y: float
    """Place in the plot [pixel]."""
    label: str
    """Run and value."""
    link: str
    """Its report; empty if there is none."""
    is_outlier: bool


@dataclass(frozen=True)
class Plot:
    """One quantity over the regions of one segmentation."""

    measure: str
    segmentation: str
    unit: str
    width: float
    height: float
    regions: tuple[tuple[float, str], ...]
    """Centre [pixel] and name."""
    ticks: tuple[tuple[float, str], ...]
    """Place [pixel] and value."""
    points: tuple[Point, ...]


def write_group_report(output_dir: Path, paths: Sequence[Path]) -> Path:
    """Write ``group.html`` from the group tables.

    Parameters
    ----------
    output_dir
        Root of the derivative dataset.
    paths
        Its tables ``group_MEASURE.tsv``, that of T1map among them.
    """
    tables = {
        path.stem.removeprefix("group_"): pd.read_csv(
            path,
            sep="\t",
            na_values="n/a",
            keep_default_na=False,
            dtype={**dict.fromkeys((*_KEYS, "quality", "segmentation", "region", "outlier"), str)},
        )
        for path in paths
    }
    plots = [
        _plot(output_dir, measure, str(segmentation), rows)
        for measure, table in tables.items()
        if measure != "M0map"  # its unit is another in every scan
        for segmentation, rows in table.groupby("segmentation", sort=False)
    ]
    text = (
        environment()
        .get_template("group.html.jinja")
        .render(
            title="All participants",
            rows=list(_rows(output_dir, tables)),
            plots=plots,
            measures=list(tables),
            fewest=FEWEST_RUNS,
            threshold=THRESHOLD,
            top=_TOP,
            left=_LEFT,
            version=__version__,
            written=time.strftime("%Y-%m-%d %H:%M"),
            stylesheet=page_part("style.css"),
            script=page_part("script.js"),
        )
    )
    path = output_dir / "group.html"
    write_text(path, text)
    return path


def _rows(
    output_dir: Path, tables: Mapping[str, pd.DataFrame]
) -> Iterable[tuple[str, str, str | None, list[str], list[str]]]:
    """Name, link, rating, medians of T1 and T2 in grey and white matter [ms], and outliers."""
    first = tables["T1map"]
    for keys, rows in first.groupby(list(_KEYS), dropna=False, sort=False):
        run = _entities(dict(zip(_KEYS, keys, strict=True)))
        medians, outliers = [], []
        for measure, table in tables.items():
            own = table[_is_run(table, keys)]
            outliers += [
                f"{measure} {row.region}" for row in own.itertuples() if row.outlier == "true"
            ]
            if UNITS.get(measure) != "s":
                continue
            for region in ("GM", "WM"):
                region_rows = own[
                    (own.region == region) & own.segmentation.eq(own.segmentation.iloc[0])
                ]
                value = region_rows["median"].iloc[0] if len(region_rows) else float("nan")
                medians.append("n/a" if pd.isna(value) else f"{1e3 * value:.0f}")
        quality = rows.quality.iloc[0]
        level = None if pd.isna(quality) else str(quality)
        yield _name(run), _link(output_dir, run), level, medians, outliers


def _is_run(table: pd.DataFrame, keys: tuple[object, ...]) -> pd.Series:
    matches = pd.Series(True, table.index)
    for column, value in zip(_KEYS, keys, strict=True):
        matches &= table[column].isna() if pd.isna(value) else table[column] == value
    return matches


def _plot(output_dir: Path, measure: str, segmentation: str, rows: pd.DataFrame) -> Plot:
    """Every run's median in every region."""
    units = json.loads((output_dir / f"group_{measure}.json").read_text(encoding="utf-8"))
    unit = str(units["median"]["Units"])
    factor = 1e3 if unit == "s" else 1.0
    values = factor * rows["median"].dropna()
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    margin = 0.08 * (high - low) or max(abs(high), 1.0) * 0.1
    # Logarithmic if fluid would otherwise compress the range of the tissues.
    scale = np.log if low > 0 and high > 2.5 * low else np.asarray
    low, high = (low / 1.08, high * 1.08) if scale is np.log else (low - margin, high + margin)
    bottom, top = float(scale(low)), float(scale(high))
    room = _HEIGHT - _TOP - _BOTTOM
    order = [name for name in TISSUES if name in set(rows.region)]
    order += [name for name in rows.region.unique() if name not in order]

    def up(value: float) -> float:
        return round(_TOP + room * (top - float(scale(value))) / (top - bottom), 1)

    points = []
    for index, region in enumerate(order):
        own = rows[(rows.region == region) & rows["median"].notna()]
        for number, row in enumerate(own.to_dict("records")):
            run = _entities(row)
            # Spread horizontally in the order of the runs, so that points do not overlap.
            aside = ((number + 0.5) / len(own) - 0.5) * 0.7 * _COLUMN
            value = factor * float(row["median"])
            points.append(
                Point(
                    x=round(_LEFT + (index + 0.5) * _COLUMN + aside, 1),
                    y=up(value),
                    label=f"{_name(run)}, {region}: {value:.4g} {'ms' if unit == 's' else unit}",
                    link=_link(output_dir, run),
                    is_outlier=row["outlier"] == "true",
                )
            )
    return Plot(
        measure=measure,
        segmentation=segmentation,
        unit="ms" if unit == "s" else unit,
        width=_LEFT + _COLUMN * len(order) + 10,
        height=_HEIGHT,
        regions=tuple((_LEFT + (i + 0.5) * _COLUMN, name) for i, name in enumerate(order)),
        ticks=tuple((up(t), f"{t:.4g}") for t in _ticks(low, high, scale is np.log)),
        points=tuple(points),
    )


def _ticks(low: float, high: float, logarithmic: bool) -> list[float]:
    from matplotlib.ticker import LogLocator, MaxNLocator

    locator = LogLocator(subs=(1, 2, 3, 5, 7)) if logarithmic else MaxNLocator(5)
    return [float(t) for t in locator.tick_values(low, high) if low <= t <= high]


def _entities(row: Mapping[str, object]) -> dict[str, str]:
    """BIDS entities of a table's row."""
    pairs = {}
    for column, key in _KEYS.items():
        value = row[column]
        if pd.isna(value):
            continue
        if key:
            pairs[key] = str(value).removeprefix(f"{key}-")
        else:
            pairs |= dict(part.split("-", 1) for part in str(value).split("_"))
    return pairs


def _name(run: Mapping[str, str]) -> str:
    return relative_path(run, "x").name.removesuffix("_x.nii.gz")


def _link(output_dir: Path, run: Mapping[str, str]) -> str:
    """Link to the section of a run in a report; empty if there is none."""
    for page in (Page(run["sub"]), Page(run["sub"], run.get("ses"))):
        if (output_dir / page.file).is_file():
            return f"{page.file}#{_name(run).replace('_', '-')}"
    return ""

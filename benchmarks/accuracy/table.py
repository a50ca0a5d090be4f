"""The report of ``run.py``: tables and a plot.

python -m benchmarks.accuracy.table OUTPUT benchmarks/accuracy/results.md benchmarks/accuracy/results.png
"""

import argparse
from pathlib import Path

import pandas as pd

ERRORS = ["T1", "T2", "M0"]
ORDER = ["gridding", "subspace", "llr", "lrtv", "pnp", "bart", "mri2qmap"]


def rows_of(prefix: Path) -> pd.DataFrame:
    """All lines of all parts, with the setting of least T1 + T2 error for every scan and method."""
    files = sorted(prefix.parent.glob(prefix.name + ".*.jsonl"))
    parts = []
    for file in files:
        table = pd.read_json(file, lines=True)
        table["part"] = file.name.split(".")[-3]
        parts.append(table)
    table = pd.concat(parts, ignore_index=True)
    table["kind_of_case"] = table.source.str.startswith("vol").map(
        {True: "volunteers", False: "BrainWeb"}
    )
    table["cost"] = table.T1 + table.T2
    best = table.groupby(["part", "case", "method"]).cost.idxmin()
    return table.loc[best]


def main() -> None:
    """Write the tables and the plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("plot", type=Path)
    words = parser.parse_args()
    best = rows_of(words.results)
    lines = _main_part(best[best.part == "main"])
    lines += _lesions(best[best.part == "lesions"])
    heading = "## Other sequences and trajectories, R = 8, noise 0.5"
    lines += _sequences(best[best.part == "sequences"], heading)
    heading = "## Whole head, 2 mm, R = 8, noise 1"
    lines += _sequences(best[best.part == "volume"], heading)
    existing = words.table.read_text() if words.table.exists() else ""
    head = existing.split("<!-- tables -->")[0] if "<!-- tables -->" in existing else ""
    words.table.write_text(head + "<!-- tables -->\n\n" + "\n".join(lines) + "\n")
    _plot(best[best.part == "main"], words.plot)


def _main_part(table: pd.DataFrame) -> list[str]:
    """Errors by anatomy, acceleration, noise and method: mean and spread over scans."""
    lines = [
        "| sampling | anatomy | R | noise | method | scans | T1 MAPE | T2 MAPE | M0 NRMSE | "
        "T1, T2 within 1 std | time [s] |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    groups = table.groupby(["sampling", "kind_of_case", "acceleration", "noise"], sort=True)
    for (sampling, anatomy, acceleration, noise), group in groups:
        for method in [m for m in ORDER if m in set(group.method)]:
            rows = group[group.method == method]
            errors = [
                f"{rows[e].mean():.2f} ± {rows[e].std(ddof=0):.2f}"
                if len(rows) > 1
                else f"{rows[e].mean():.2f}"
                for e in ERRORS
            ]
            lines.append(
                f"| {sampling} | {anatomy} | {acceleration} | {noise:g} | {method} | {len(rows)} | "
                + " | ".join(errors)
                + f" | {_within(rows)} | {rows.seconds.mean():.0f} |"
            )
    return [*lines, ""]


def _within(rows: pd.DataFrame) -> str:
    """Voxels whose T1 and T2 err less than a standard deviation, of methods that know it."""
    if rows.T1_within.isna().any() or not rows.method.isin(("subspace", "mri2qmap")).all():
        return ""
    return f"{rows.T1_within.mean():.0f} %, {rows.T2_within.mean():.0f} %"


def _lesions(table: pd.DataFrame) -> list[str]:
    """Contrast that lesions keep, and false lesions."""
    if table.empty:
        return []
    lines = [
        "## Lesions",
        "",
        "| R | method | T1 contrast kept, mean (least) | T2 contrast kept, mean (least) | false lesions a slice |",
        "|---|---|---|---|---|",
    ]
    for (acceleration, method), rows in table.groupby(["acceleration", "method"]):
        lines.append(
            f"| {acceleration} | {method} | {rows.T1_contrast.mean():.0f} % ({rows.T1_contrast_least.min():.0f} %) | "
            f"{rows.T2_contrast.mean():.0f} % ({rows.T2_contrast_least.min():.0f} %) | {rows.false_lesions.mean():.1f} |"  # noqa: E501
        )
    return [*lines, ""]


def _sequences(table: pd.DataFrame, heading: str) -> list[str]:
    """Errors by sequence, trajectory and method."""
    if table.empty:
        return []
    lines = [
        heading,
        "",
        "| sequence | trajectory | method | T1 MAPE | T2 MAPE | M0 NRMSE | T1, T2 within 1 std | time [s] |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (kind, trajectory), group in table.groupby(["kind", "trajectory"]):
        for method in [m for m in ORDER if m in set(group.method)]:
            rows = group[group.method == method]
            errors = " | ".join(f"{rows[e].mean():.2f}" for e in ERRORS)
            text = f"{errors} | {_within(rows)} | {rows.seconds.mean():.0f}"
            lines.append(f"| {kind} | {trajectory} | {method} | {text} |")
    return [*lines, ""]


def _plot(table: pd.DataFrame, path: Path) -> None:
    """T1 against T2 error of every method at R = 8 in heavy noise: nearer to the corner is better."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    table = table[table.acceleration == 8]
    figure, axes = plt.subplots(2, 2, figsize=(9, 7), layout="constrained")
    heavy = table.groupby("sampling").noise.transform("max")
    groups = table[table.noise == heavy].groupby(["sampling", "kind_of_case"])
    for axis, ((sampling, anatomy), group) in zip(axes.flat, groups, strict=False):
        for method in [m for m in ORDER if m in set(group.method) and m != "gridding"]:
            means = group[group.method == method][["T1", "T2"]].mean()
            size = 140 if method == "mri2qmap" else 60
            axis.scatter(means["T1"], means["T2"], s=size, color=f"C{ORDER.index(method)}")
            axis.annotate(method, means, xytext=(6, 4), textcoords="offset points", fontsize=8)
        axis.set(
            title=f"{anatomy}, {sampling}, heavy noise", xlabel="T1 MAPE [%]", ylabel="T2 MAPE [%]"
        )
        axis.margins(0.2)
        axis.set(xlim=(0, None), ylim=(0, None))
    figure.savefig(path, dpi=80)
    plt.close(figure)


if __name__ == "__main__":
    main()

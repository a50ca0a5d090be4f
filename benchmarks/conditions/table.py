"""Table and picture of :mod:`benchmarks.conditions.run`.

python -m benchmarks.conditions.table ROWS.jsonl benchmarks/conditions/results.md
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

_SHOWN = ("floor", "subspace", "lrtv", "llr", "mri2qmap")


def best(rows: dict[str, dict], name: str) -> dict | None:
    """The row of a method; of several weights, that of least T1 and T2 error together."""
    own = [row for method, row in rows.items() if method.partition(":")[0] == name]
    return min(own, key=lambda row: row["T1"] * row["T2"]) if own else None


def main() -> None:
    """Write the table and, beside it, the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=Path)
    parser.add_argument("table", type=Path)
    words = parser.parse_args()
    by_condition: dict[str, dict[str, dict]] = defaultdict(dict)
    for row in map(json.loads, words.rows.read_text().splitlines()):
        by_condition[row["condition"]][row["method"]] = row
    lines = [
        "| condition | noise | floor | subspace | lrtv, best weight | llr, best weight | mri2qmap | "
        "mri2qmap, even tissue | distance to the converged image: subspace, lrtv [%] |",
        "|" + "---|" * 9,
    ]
    for condition, rows in by_condition.items():
        cells = [condition.strip(), f"{next(iter(rows.values()))['noise']:g}"]
        for name in ("floor", "subspace", "lrtv", "llr", "mri2qmap"):
            row = best(rows, name)
            weight = f" ({row['method'].partition(':')[2]})" if row and ":" in row["method"] else ""
            cells.append(f"{row['T1']:.2f} / {row['T2']:.2f}{weight}" if row else "")
        row = rows.get("mri2qmap")
        cells.append(f"{row['T1_even']:.2f} / {row['T2_even']:.2f}" if row else "")
        distances = [rows.get(m, {}).get("distance") for m in ("subspace", "lrtv:1")]
        cells.append(", ".join("" if v is None else f"{100 * v:.2f}" for v in distances))
        lines.append("| " + " | ".join(cells) + " |")
    head = words.table.read_text().partition("<!-- table -->")[0] if words.table.exists() else ""
    words.table.write_text(head + "<!-- table -->\n\n" + "\n".join(lines) + "\n")
    figure, axes = plt.subplots(1, 2, figsize=(11, 0.35 * len(by_condition) + 1.2), sharey=True)
    for axis, quantity in zip(axes, ("T1", "T2"), strict=True):
        for name in _SHOWN:
            best_rows = [best(rows, name) for rows in by_condition.values()]
            values = [row[quantity] if row and row[quantity] > 0.01 else None for row in best_rows]
            axis.plot(values, range(len(values)), "o", label=name, ms=5)
        axis.set_xscale("log")
        ticks = (0.2, 0.5, 1, 2, 5, 10)
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.minorticks_off()
        axis.set_xlabel(f"{quantity} error in grey and white matter [%]")
        axis.grid(alpha=0.3)
    axes[0].set_yticks(range(len(by_condition)), [name.strip() for name in by_condition])
    axes[0].invert_yaxis()
    axes[1].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(words.table.with_suffix(".png"), dpi=90)


if __name__ == "__main__":
    main()

"""What a B1 map does to the maps of a simulated field of 20 %: ``python benchmarks/b1.py FOLDER``.

Writes ``benchmarks/b1.md`` and ``docs/b1.png``; FOLDER is kept for the data.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import nibabel as nib
import numpy as np
import pandas as pd
import torch

from mri2qmap_bids import cli, tools
from mri2qmap_bids.dataset.scores import compare_datasets
from mri2qmap_bids.recon.physics.dictionary import TissueGrid, build_dictionary, transmit_fields
from mri2qmap_bids.recon.physics.epg import simulate
from mri2qmap_bids.recon.physics.matching import match
from mri2qmap_bids.simulate.sequences import make_sequence

ROOT = Path(__file__).parents[1]
METHODS = ("gridding", "subspace", "lrtv", "mri2qmap")
SCAN = ["--matrix", "48", "--frames", "200", "--acceleration", "2", "--noise", "0.05"]
SCAN += ["--slices", "1", "--sub", "01", "--b1", "0.2", "--oblique", "8", "-5", "10"]


def main(folder: Path) -> None:
    """Simulate, reconstruct with and without the map, and write what came out."""
    raw = folder / "raw"
    if not raw.exists():
        tools.main(["simulate", str(raw), *SCAN])
    lines = [
        "# A known transmit field",
        "",
        "A digital brain in a transmit field of 80 to 120 % of nominal (MNI152, one slice of 48 x 48, 200 frames",
        "of FISP, R = 2, light noise), reconstructed with its B1 map (6 mm, another grid) and with",
        "`--ignore b1`. Errors over grey and white matter [%]. By `python benchmarks/b1.py FOLDER`.",
        "",
        "| method | B1 map | T1 MAPE | T1 bias | T2 MAPE | T2 bias | T2 sd |",
        "|---|---|---|---|---|---|---|",
    ]
    for method in METHODS:
        for with_map in (True, False):
            row = scored(raw, folder, method, with_map)
            names = ("T1_MAPE", "T1_bias", "T2_MAPE", "T2_bias", "T2_sd")
            cells = " | ".join(f"{row[name]:.1f}" for name in names)
            lines.append(f"| {method} | {'used' if with_map else 'ignored'} | {cells} |")
    draw(raw, folder, ROOT / "docs" / "b1.png")
    lines += ["", "![T2 errors with and without the B1 map](../docs/b1.png)", "", *interpolation()]
    (ROOT / "benchmarks" / "b1.md").write_text("\n".join(lines) + "\n")


def scored(raw: Path, folder: Path, method: str, with_map: bool) -> "pd.Series":
    """Errors of one method over grey and white matter."""
    out = output(folder, method, with_map)
    words = [str(raw), str(out), "participant", "-w", str(folder / "work"), "--nprocs", "1"]
    words += ["--recon-method", method, *([] if with_map else ["--ignore", "b1"])]
    if cli.main(words):
        raise SystemExit(f"{method} failed")
    table = compare_datasets(out, raw / "derivatives" / "mri2qmap-simulate")
    return table.set_index("tissue").loc["GM+WM"]


def output(folder: Path, method: str, with_map: bool) -> Path:
    """Where one run's maps are."""
    return folder / f"{method}-{'known' if with_map else 'ignored'}"


def draw(raw: Path, folder: Path, path: Path) -> None:
    """B1 and the relative errors of T2, with and without the map."""
    name = "sub-01/anat/sub-01_T2map.nii.gz"

    def plane(root: Path, file: str = name) -> np.ndarray:
        return np.rot90(np.asarray(nib.load(root / file).dataobj)[:, :, 0])

    truth_dir = raw / "derivatives" / "mri2qmap-simulate"
    truth, labels = plane(truth_dir), plane(truth_dir, "sub-01/anat/sub-01_dseg.nii.gz")
    inside = np.isin(labels, (1, 2))
    field = field_of(raw, truth_dir / name)
    figure, axes = plt.subplots(1, 5, figsize=(13, 3), layout="constrained")
    picture = axes[0].imshow(np.where(truth > 0, 100 * field, np.nan), cmap="viridis")
    axes[0].set_title("B1 [%]")
    figure.colorbar(picture, ax=axes[0], shrink=0.7)
    pairs = [(m, k) for m in ("subspace", "mri2qmap") for k in (False, True)]
    for axis, (method, with_map) in zip(axes[1:], pairs, strict=True):
        error = 100 * (plane(output(folder, method, with_map)) / np.maximum(truth, 1e-6) - 1)
        picture = axis.imshow(np.where(inside, error, np.nan), cmap="RdBu_r", vmin=-40, vmax=40)
        axis.set_title(f"{method}, B1 {'used' if with_map else 'ignored'}", fontsize=9)
    figure.colorbar(picture, ax=axes[-1], shrink=0.7, label="error of T2 [%]")
    for axis in axes:
        axis.set_axis_off()
    figure.savefig(path, dpi=110)


def field_of(raw: Path, reference: Path) -> np.ndarray:
    """B1 on the maps' grid, relative to nominal."""
    from nibabel.processing import resample_from_to

    image = nib.load(next(raw.rglob("*_TB1map.nii.gz")))
    field = resample_from_to(image, nib.load(reference), order=1)
    return np.rot90(np.asarray(field.dataobj)[:, :, 0]) / 100


def interpolation() -> list[str]:
    """What taking B1 between the dictionary's values costs, in noise-free tissues."""
    lines = [
        "Errors that interpolation between the dictionary's B1 values (steps of 0.05) leaves, noise-free, for",
        "tissues with T1 0.3-4 s, T2 20-300 ms and B1 0.7-1.3, mean and 95th percentile [%]; the rank of the",
        "subspace that spans all of them, against that of B1 = 1 alone:",
        "",
        "| train of 200 frames | T1 | T2 | T2 with B1 ignored | rank | rank for B1 = 1 |",
        "|---|---|---|---|---|---|",
    ]
    rng = np.random.default_rng(0)
    limits = ((0.3, 4.0), (0.02, 0.3), (0.7, 1.3))
    drawn = [rng.uniform(low, high, 2000) for low, high in limits]
    drawn[1] = np.minimum(drawn[1], drawn[0])
    t1, t2, b1 = (torch.tensor(v, dtype=torch.float32) for v in drawn)
    for kind in ("FISP", "bSSFP"):
        sequence = make_sequence(kind, 200)
        signals = simulate(sequence, t1, t2, b1)
        rows = []
        for fields in (transmit_fields(b1.numpy()), (1.0,)):
            dictionary = build_dictionary(sequence, TissueGrid(b1=fields))
            image = (signals.to(dictionary.basis.dtype) @ dictionary.basis.conj()).T
            maps = match(image.to(torch.complex64), dictionary, b1=b1)
            errors = [100 * (maps.t1 / t1 - 1).abs(), 100 * (maps.t2 / t2 - 1).abs()]
            cells = [f"{e.mean():.2f}, {e.quantile(0.95):.2f}" for e in errors]
            rows.append((*cells, dictionary.basis.shape[1]))
        (e1, e2, rank), (_, ignored, nominal) = rows
        lines.append(f"| {kind} | {e1} | {e2} | {ignored} | {rank} | {nominal} |")
    return lines


if __name__ == "__main__":
    main(Path(sys.argv[1]))

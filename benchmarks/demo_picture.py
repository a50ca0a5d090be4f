"""The README's picture: maps of one demo run beside the known ones.

python benchmarks/demo_picture.py demo docs/demo.png
"""

import argparse
from pathlib import Path

import matplotlib
import nibabel as nib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

RUN = "sub-01/ses-1/anat/sub-01_ses-1_acq-2d"
SCALES = {"T1map": (0, 3, "viridis", "T1 [s]"), "T2map": (0, 0.2, "magma", "T2 [s]")}
SYNTHETIC = ("T1w", "T2w", "FLAIR")


def plane(path: Path) -> np.ndarray:
    """The first slice, the patient's right on the left, nose up."""
    image = nib.as_closest_canonical(nib.load(path))
    return np.asarray(image.dataobj)[:, ::-1, 0].T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("demo", type=Path)
    parser.add_argument("picture", type=Path)
    words = parser.parse_args()
    estimate = words.demo / "derivatives"
    truth = words.demo / "dataset" / "derivatives" / "mri2qmap-simulate"
    figure, axes = plt.subplots(2, 5, figsize=(13, 5.4), layout="constrained")
    for column, (suffix, (low, high, colours, label)) in enumerate(SCALES.items()):
        for row, (root, name) in enumerate(((estimate, "mri2qmap"), (truth, "known"))):
            picture = axes[row, column].imshow(
                plane(root / f"{RUN}_{suffix}.nii.gz"), vmin=low, vmax=high, cmap=colours
            )
            axes[row, column].set_title(f"{label}, {name}")
            figure.colorbar(picture, ax=axes[row, column], shrink=0.8)
    for column, (suffix, (_, high, _, label)) in enumerate(SCALES.items()):
        estimated, expected = (plane(root / f"{RUN}_{suffix}.nii.gz") for root in (estimate, truth))
        error = np.where((expected > 0) & (estimated > 0), estimated - expected, 0)
        picture = axes[column, 2].imshow(error, vmin=-high / 20, vmax=high / 20, cmap="RdBu_r")
        axes[column, 2].set_title(f"error of {label}")
        figure.colorbar(picture, ax=axes[column, 2], shrink=0.8)
    others = [axes[0, 3], axes[1, 3], axes[0, 4]]
    for axis, suffix in zip(others, SYNTHETIC, strict=True):
        axis.imshow(plane(estimate / f"{RUN}_desc-synthetic_{suffix}.nii.gz"), cmap="gray")
        axis.set_title(f"synthetic {suffix}")
    axes[1, 4].imshow(plane(estimate / f"{RUN}_desc-head_mask.nii.gz"), cmap="gray")
    axes[1, 4].set_title("mask")
    for axis in axes.flat:
        axis.axis("off")
    figure.savefig(words.picture, dpi=80)


if __name__ == "__main__":
    main()

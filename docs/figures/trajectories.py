"""The picture of the page on the simulator: how densely every trajectory samples k-space.

python docs/figures/trajectories.py docs/trajectories.png
"""

import argparse
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from numpy.typing import NDArray
from PIL import Image

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from mri2qmap_bids.simulate.arms import SpiralDensity
from mri2qmap_bids.simulate.trajectory import Readout, TrajectoryKind, make_trajectory

N_FRAMES = 300
FLAT, SOLID, SLAB = (64, 64), (48, 48, 48), (48, 48, 32)
DENSE = SpiralDensity(0.3, 2.0, 4.0)
FIRST, NEXT = "#ff4d3d", "#ffffff"
NAMES = ("kx", "ky", "kz")


@dataclass(frozen=True)
class Panel:
    """One trajectory, seen from one or two sides."""

    title: str
    """Its name on the page."""
    kind: TrajectoryKind
    """As the option has it."""
    matrix: tuple[int, ...]
    """Along x, y[, z]."""
    n_arms: int
    """Arms in a frame."""
    readout: Readout = Readout()
    """Form and order."""
    planes: tuple[tuple[int, int], ...] = ((0, 1),)
    """Axes across and upward of each view."""
    n_next: int = 0
    """Frames after the first whose arms are drawn, too."""


def solid(title: str, kind: TrajectoryKind, n_arms: int, **more: Any) -> Panel:
    """A trajectory in space, from above and from the side."""
    return Panel(
        title, kind, n_arms=n_arms, **{"matrix": SOLID, "planes": ((0, 1), (0, 2)), **more}
    )


ACROSS_LINES = ((0, 1), (1, 2))
PANELS = (
    Panel("spiral", "spiral", FLAT, 1),
    Panel("spiral, variable density", "spiral", FLAT, 1, Readout(DENSE)),
    Panel("the same, in-out", "spiral", FLAT, 1, Readout(DENSE, in_out=True)),
    Panel("the same, random angles", "spiral", FLAT, 1, Readout(DENSE, order="random")),
    Panel("radial, golden angle", "radial", FLAT, 1, n_next=3),
    Panel("radial, tiny golden angle", "radial", FLAT, 1, Readout(order="tiny-golden"), n_next=3),
    Panel("Cartesian, golden", "cartesian", FLAT, 8),
    Panel("Cartesian, random", "cartesian", FLAT, 8, Readout(order="random")),
    solid("spiral projection (discs)", "spiral", 2),
    solid("koosh-ball", "radial", 12),
    solid("stack of spirals", "stack-of-spirals", 4, matrix=SLAB, readout=Readout(DENSE)),
    solid("stack of stars", "stack-of-stars", 8, matrix=SLAB),
    solid("3D Cartesian, golden", "cartesian", 24, planes=ACROSS_LINES),
    solid(
        "3D Cartesian, random", "cartesian", 24, readout=Readout(order="random"),
        planes=ACROSS_LINES,
    ),
)  # fmt: skip


def draw(axes: Axes, panel: Panel, positions: NDArray[np.float32], plane: tuple[int, int]) -> Any:
    """Density of all frames, relative to its mean, and over it the arms of the first ones."""
    half = np.array(panel.matrix)[list(plane)] / 2
    # Cells of one cycle per field of view. Those at a whole step and half a step after it fall into
    # one, so that twofold oversampled lines fill their cells evenly.
    edges = [np.arange(-int(h), int(h) + 2) - 0.25 for h in half]
    shown = positions[..., plane].reshape(-1, 2)
    density, *_ = np.histogram2d(*shown.T, bins=edges)
    relative = np.ma.masked_equal(density / density[density > 0].mean(), 0)
    image = axes.imshow(
        relative.T, origin="lower", cmap="viridis", norm=LogNorm(0.1, 10), interpolation="none",
        extent=(edges[0][0], edges[0][-1], edges[1][0], edges[1][-1]),
    )  # fmt: skip
    for frame in range(panel.n_next, -1, -1):
        colour = NEXT if frame else FIRST
        for arm in positions[frame][..., plane]:
            if np.ptp(arm, axis=0).max() < 1e-3:
                axes.plot(*arm[0], ".", ms=2.5, color=colour)
            else:
                axes.plot(*arm.T, lw=0.8, color=colour)
    axes.set_facecolor("#c8c8c8")
    axes.set_xlim(-half[0] - 1, half[0] + 1)
    axes.set_ylim(-half[1] - 1, half[1] + 1)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_xlabel(NAMES[plane[0]], labelpad=1)
    axes.set_ylabel(NAMES[plane[1]], labelpad=0)
    return image


def main() -> None:
    """Draw all panels into one file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    words = parser.parse_args()
    plt.rcParams.update({"font.size": 8, "axes.titlesize": 9})
    figure, grid = plt.subplots(5, 4, figsize=(8.6, 11.2), layout="constrained")
    free = iter(grid.flat)
    image = None
    for panel in PANELS:
        # Given so that exactly n_arms are kept of any number.
        full = make_trajectory(panel.kind, panel.matrix, 1, 1.0, readout=panel.readout).n_full_arms
        positions = make_trajectory(
            panel.kind, panel.matrix, N_FRAMES, full / panel.n_arms, readout=panel.readout
        ).positions
        for number, plane in enumerate(panel.planes):
            axes = next(free)
            image = draw(axes, panel, positions, plane)
            if number == 0:
                axes.set_title(panel.title, loc="left", fontweight="bold")
    bar = figure.colorbar(
        image, ax=grid, location="bottom", shrink=0.5, aspect=40, pad=0.01,
        label="samples per cell, relative to their mean; grey: never read",
    )  # fmt: skip
    bar.outline.set_visible(False)
    bar.set_ticks([0.1, 0.3, 1, 3, 10], labels=["0.1", "0.3", "1", "3", "10"])
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=100)
    # A palette is enough for it and makes a small file.
    Image.open(drawn).convert("RGB").quantize(256).save(words.picture, optimize=True)


if __name__ == "__main__":
    main()

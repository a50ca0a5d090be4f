"""Overlap of the mask of the brain with the labels of digital heads.

Run as ``python -m benchmarks.brain SHARED_DATA brain.md``.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.accuracy.cases import Case, _options, _sequence
from mri2qmap_bids.dataset.brain import brain_mask
from mri2qmap_bids.recon.physics.masking import head_mask
from mri2qmap_bids.simulate.anatomy import brainweb, fractions
from mri2qmap_bids.simulate.fields import generator
from mri2qmap_bids.simulate.phantom import DigitalBrain, blurred
from mri2qmap_bids.simulate.scan import place_brain

Maps = tuple[NDArray, NDArray, NDArray]
Size = tuple[float, float, float]

TUNED = ("04", "06", "18")
HELD_OUT = ("05", "20", "41", "42", "43", "44")
NOISE = (0.0, 0.05, 0.1)
"""Relative standard deviation of T1; that of T2 is twice as large."""
_SEED, _THICKNESS = 3, 5e-3
_FLUID_GREY_WHITE = slice(1, 4)


def known_head(data: Path, subject: str) -> tuple[DigitalBrain, NDArray, Size]:
    """Known maps, true brain (more than half of a voxel) and voxel size of one subject at 2 mm."""
    with tempfile.TemporaryDirectory() as folder:
        case = Case(f"brainweb{subject}", n_dims=3)
        options = _options(case, _sequence(case, data / "sequences" / "yun"), data, Path(folder))
        geometry, brain = place_brain(options, _SEED)
        assert options.labels is not None
        anatomy = brainweb(options.labels)
        parts = blurred(fractions(anatomy, geometry, None, generator(_SEED, "shape")), None)
    return brain, parts[_FLUID_GREY_WHITE].sum(0) > 0.5, geometry.voxel_size


def measured(brain: DigitalBrain, noise: float) -> Maps:
    """T1, T2 and M0 in noise; outside the head T1 and T2 are anything."""
    rng = np.random.default_rng(0)
    head, shape = brain.labels > 0, brain.t1.shape
    level = 0.05 if noise else 0.01
    random = [rng.standard_normal(shape) for _ in range(4)]
    limits = np.log(((0.1, 4.0), (0.01, 2.0)))
    anything = [np.exp(rng.uniform(low, high, shape)) for low, high in limits]
    t1 = np.where(head, brain.t1 * np.exp(noise * random[0]), anything[0])
    t2 = np.where(head, brain.t2 * np.exp(2 * noise * random[1]), anything[1])
    return t1, t2, np.abs(np.abs(brain.m0) + level * (random[2] + 1j * random[3]))


def plane_of(maps: Maps, z: int) -> Maps:
    """One slice alone."""
    t1, t2, m0 = maps
    return t1[z : z + 1], t2[z : z + 1], m0[z : z + 1]


def dice(a: NDArray, b: NDArray) -> float:
    """2 |a and b| / (|a| + |b|)."""
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def overlap(maps: Maps, true: NDArray, size: Size) -> float:
    """Dice of the mask that the maps give."""
    t1, t2, m0 = maps
    head = head_mask(torch.from_numpy(m0), size)
    return dice(brain_mask(t1, t2, m0, head, size, 3.0), true)


def main(data: Path, table: Path) -> None:
    """Write the table."""
    lines = [
        "# The brain mask",
        "",
        "Dice of `desc-brain_mask` with the labels of BrainWeb heads (fluid, grey and white matter), maps of 2 mm in",
        "noise; slices: every fourth axial one with more than 20 cm^2 of brain, each alone. Settings were chosen on",
        "subjects 04, 06 and 18 (05 and 20 were looked at, too) and on 12 slices of three",
        f"volunteers (outlines, no labels). `python -m benchmarks.brain DATA benchmarks/{table.name}`",
        "",
        "| subject | noise of T1 / T2 [%] | 3D | slices: least | slices: median |",
        "|---|---|---|---|---|",
    ]
    for subject in (*TUNED, *HELD_OUT):
        brain, true, size = known_head(data, subject)
        for noise in NOISE:
            maps = measured(brain, noise)
            whole = overlap(maps, true, size)
            planes = [z for z in range(0, len(true), 4) if true[z].sum() > 500]
            thick = (_THICKNESS, *size[1:])
            singles = [overlap(plane_of(maps, z), true[z : z + 1], thick) for z in planes]
            name = f"{subject}{' (tuned on)' if subject in TUNED else ''}"
            percent = f"{100 * noise:g} / {200 * noise:g}"
            lines.append(
                f"| {name} | {percent} | {whole:.3f} | {min(singles):.2f} | {np.median(singles):.3f} |"
            )
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

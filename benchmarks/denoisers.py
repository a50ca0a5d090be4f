"""The shipped denoiser against BM3D on held-out subjects.

python benchmarks/denoisers.py benchmarks/denoisers.md --images FOLDER --labels FILE

Only volumes of the subjects that the weights' card names as held out are used of FOLDER; FILE is a
BrainWeb label volume that was not trained on. White Gaussian noise, the same for both methods; every
contrast of a slice is noisy. Needs bm3d (pip install bm3d).
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import bm3d
import numpy as np
import torch

from mri2qmap_bids.recon.options import default_weights
from mri2qmap_bids.recon.pnp.denoiser import denoise, load_denoiser
from mri2qmap_bids.train.data import Slice, load_folder, synthesise_slices, tissue_slices

LEVELS = (0.02, 0.05, 0.1, 0.2)
N_SLICES = 4


def psnr(found: np.ndarray, clean: np.ndarray) -> float:
    """Peak signal-to-noise ratio for a peak of 1 [dB]."""
    return float(-10 * np.log10(np.mean((found - clean) ** 2)))


def by_bm3d(noisy: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Each contrast by itself."""
    return np.stack([bm3d.bm3d(image, level) for image, level in zip(noisy, levels, strict=True)])


def measure(
    slices: list[Slice], level: float, methods: dict[str, Callable[..., np.ndarray]]
) -> dict[str, tuple[float, float]]:
    """Mean PSNR over slices and present contrasts, and CPU seconds a slice."""
    values: dict[str, list[float]] = {name: [] for name in methods}
    seconds = dict.fromkeys(methods, 0.0)
    for number, item in enumerate(slices):
        rng = np.random.default_rng([11, number])
        clean = item.images.astype(np.float32)
        noisy = clean + level * rng.standard_normal(clean.shape).astype(np.float32)
        for name, method in methods.items():
            start = time.process_time()
            found = method(noisy, item.present, level)
            seconds[name] += time.process_time() - start
            values[name] += [psnr(found[k], clean[k]) for k in np.flatnonzero(item.present)]
    return {name: (float(np.mean(values[name])), seconds[name] / len(slices)) for name in methods}


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=default_weights())
    words = parser.parse_args()
    network = load_denoiser(words.weights, torch.device("cpu"))
    card = json.loads(words.weights.with_suffix(".json").read_text())
    held = set(card["data"]["held_out_subjects"])
    contrasts = network.shape.contrasts

    def joint(noisy: np.ndarray, present: np.ndarray, level: float) -> np.ndarray:
        sigma = np.where(present[:, None, None], level, 0.0) * np.ones_like(noisy)
        seen = np.where(present[:, None, None], noisy, 0.0)
        as_tensors = (torch.from_numpy(a.astype(np.float32)) for a in (seen, sigma))
        return denoise(network, *as_tensors).numpy()

    def separate(noisy: np.ndarray, present: np.ndarray, level: float) -> np.ndarray:
        clean = np.zeros_like(noisy)
        clean[present] = by_bm3d(noisy[present], np.full(int(present.sum()), level))
        return clean

    real = [s for s in load_folder(words.images, contrasts) if s.group in held]
    sets = {
        "real, held out": real[:: max(len(real) // N_SLICES, 1)][:N_SLICES],
        "synthesised, held out": synthesise_slices(
            tissue_slices([words.labels], N_SLICES, 99), contrasts, 99
        ),
    }
    lines = [
        "# Denoisers on held-out subjects",
        "",
        f"`python benchmarks/denoisers.py {words.table} --images FOLDER --labels {words.labels.name}`: PSNR [dB], "
        "mean over slices and contrasts; CPU seconds a slice. Weights: "
        f"{card['training']['n_steps']} steps, checksum {card['sha256'][:12]}.",
        "",
        "| slices | noise | joint (this package) | BM3D | gain | joint [s] | BM3D [s] |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, slices in sets.items():
        for level in LEVELS:
            found = measure(slices, level, {"joint": joint, "bm3d": separate})
            ours, theirs = found["joint"], found["bm3d"]
            lines.append(
                f"| {name} ({len(slices)}) | {level:g} | {ours[0]:.2f} | {theirs[0]:.2f} | {ours[0] - theirs[0]:+.2f} "
                f"| {ours[1]:.2f} | {theirs[1]:.2f} |"
            )
            words.table.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

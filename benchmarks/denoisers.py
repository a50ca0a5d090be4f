"""The shipped denoisers against BM3D on held-out subjects.

python benchmarks/denoisers.py benchmarks/denoisers.md --images FOLDER --labels FILE

Only volumes of the subjects that the weights' cards name as held out are used of FOLDER; FILE is a
BrainWeb label volume that was not trained on. White Gaussian noise, the same for all methods; every
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

from mri2qmap_bids.recon.denoisers.base import is_separate
from mri2qmap_bids.recon.denoisers.registry import load_denoiser, packaged_weights
from mri2qmap_bids.recon.denoisers.views import denoise
from mri2qmap_bids.recon.physics.contrasts import DENOISED_CONTRASTS
from mri2qmap_bids.training.data import Slice, load_folder, synthesise_slices, tissue_slices

Method = Callable[[np.ndarray, np.ndarray, float], np.ndarray]
"""Noisy contrasts, which of them there are, and the noise level to clean contrasts."""
LEVELS = (0.02, 0.05, 0.1, 0.2)
N_SLICES = 12


def psnr(denoised: np.ndarray, clean: np.ndarray) -> float:
    """Peak signal-to-noise ratio for a peak of 1 [dB]."""
    return float(-10 * np.log10(np.mean((denoised - clean) ** 2)))


def measure(
    slices: list[Slice], level: float, methods: dict[str, Method]
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
            denoised = method(noisy, item.present, level)
            seconds[name] += time.process_time() - start
            values[name] += [psnr(denoised[k], clean[k]) for k in np.flatnonzero(item.present)]
    return {name: (float(np.mean(values[name])), seconds[name] / len(slices)) for name in methods}


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    words = parser.parse_args()
    files = {"joint": packaged_weights("joint"), "one by one": packaged_weights("separate")}
    cards = {
        name: json.loads(path.with_suffix(".json").read_text()) for name, path in files.items()
    }
    subjects = set.intersection(
        *(set(card["data"]["held_out_subjects"]) for card in cards.values())
    )
    contrasts = tuple(DENOISED_CONTRASTS)

    def with_network(path: Path) -> Method:
        network = load_denoiser(path, torch.device("cpu"))

        def method(noisy: np.ndarray, present: np.ndarray, level: float) -> np.ndarray:
            channels = present if is_separate(network) else np.ones_like(present)
            there = present[channels, None, None]
            visible = np.where(there, noisy[channels], 0.0)
            sigma = np.where(there, level, 0.0) * np.ones_like(visible)
            images, levels = (torch.from_numpy(a.astype(np.float32)) for a in (visible, sigma))
            clean = np.zeros_like(noisy)
            clean[channels] = denoise(network, images, levels).numpy()
            return clean

        return method

    def by_bm3d(noisy: np.ndarray, present: np.ndarray, level: float) -> np.ndarray:
        clean = np.zeros_like(noisy)
        clean[present] = [bm3d.bm3d(image, level) for image in noisy[present]]
        return clean

    methods = {name: with_network(path) for name, path in files.items()} | {"BM3D": by_bm3d}

    real = [s for s in load_folder(words.images, contrasts) if s.group in subjects]
    sets = {
        "real, held out": real[:: max(len(real) // N_SLICES, 1)][:N_SLICES],
        "synthesised, held out": synthesise_slices(
            tissue_slices([words.labels], N_SLICES, 99), contrasts, 99
        ),
    }
    weights = "; ".join(
        f"{name} {card['training']['n_steps']} steps, checksum {card['sha256'][:12]}"
        for name, card in cards.items()
    )
    lines = [
        "# Denoisers on held-out subjects",
        "",
        f"`python benchmarks/denoisers.py {words.table} --images FOLDER --labels {words.labels.name}`: PSNR [dB], "
        f"mean over slices and contrasts, and its gain over BM3D; CPU seconds a slice. Weights: {weights}.",
        "",
        "| slices | noise | "
        + " | ".join(methods)
        + " | gain of joint | gain of one by one | "
        + " | ".join(f"{name} [s]" for name in methods)
        + " |",
        "|---" * (2 * len(methods) + 4) + "|",
    ]
    for name, slices in sets.items():
        for level in LEVELS:
            results = measure(slices, level, methods)
            gains = [results[ours][0] - results["BM3D"][0] for ours in files]
            cells = [f"{value:.2f}" for value, _ in results.values()]
            cells += [f"{gain:+.2f}" for gain in gains]
            cells += [f"{seconds:.2f}" for _, seconds in results.values()]
            lines.append(f"| {name} ({len(slices)}) | {level:g} | " + " | ".join(cells) + " |")
            words.table.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

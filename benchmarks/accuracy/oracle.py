"""The default method with the true contrasts in the place of denoised ones: what is not the denoiser's error.

python -m benchmarks.accuracy.oracle DATA CACHE OUTPUT.jsonl [--take K/N] [--device cpu]

The scans are those of ``study`` and 3 mm volumes of ``volume_study``. Rows: the maps before and after the residual
correction, by the package's denoiser and by the oracle.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.accuracy.cases import Case, Problem, make_problem
from benchmarks.accuracy.methods import Bench
from benchmarks.accuracy.stages import corrected, looped, scores_of, start_of
from benchmarks.accuracy.study import CASES
from benchmarks.accuracy.volume_study import cached_problem, planned
from mri2qmap_bids.recon.denoisers.base import Denoiser
from mri2qmap_bids.recon.denoisers.registry import load_denoiser, packaged_weights
from mri2qmap_bids.recon.grid import widened
from mri2qmap_bids.recon.methods.mri2qmap import MRI2QMAP
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.contrasts import DENOISED_CONTRASTS, synthesise, weighted, white_of
from mri2qmap_bids.recon.physics.matching import TissueMaps
from mri2qmap_bids.recon.priors.synthetic_contrasts import Prior, PriorOptions

_VOLUMES = {
    f"3 mm volume, BrainWeb {subject}, noise {noise:g}": Case(
        f"brainweb{subject}", 8, noise, n_dims=3, matrix=74
    )
    for subject, noise in ((41, 1.0), (42, 1.0), (41, 0.3))
}
_SYMMETRIES = [(turns, flipped) for turns in range(4) for flipped in (False, True)]


@dataclass(frozen=True, eq=False)
class Oracle:
    """A denoiser that knows the true contrasts, but neither the unit of M0 nor the view it is shown."""

    contrasts: tuple[str, ...]
    """Names of the channels."""
    images: torch.Tensor
    """True contrasts, shape (contrast, *space); normalised ones in the unit that denoisers see."""
    multiple: int = 1
    """Image sizes may be anything."""

    @property
    def n_dims(self) -> int:
        """Of the images."""
        return self.images.ndim - 1

    def operations(self, shape: tuple[int, ...]) -> float:
        """None that count."""
        return 0.0

    def forward(self, images: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """The true contrasts in the view and the unit of the images."""
        views = [self.images] if self.n_dims == 3 else [self._view(*how) for how in _SYMMETRIES]
        views = [view for view in views if view.shape == images.shape[1:]]
        likeness = [float((view * images[0]).sum()) for view in views]
        true = views[int(np.argmax(likeness))]
        space = tuple(range(1, true.ndim))
        unit = (true * images[0]).sum(space) / true.square().sum(space)
        unit = torch.where(weighted(self.contrasts).to(unit.device), unit, 1.0)
        return (unit.view(-1, *[1] * len(space)) * true)[None]

    def _view(self, turns: int, flipped: bool) -> torch.Tensor:
        view = torch.rot90(self.images, turns, (1, 2))
        return view.flip(2) if flipped else view


def oracle_of(problem: Problem, names: tuple[str, ...], shape: tuple[int, ...]) -> Oracle:
    """The oracle of a problem, on the encoded grid."""
    truth = problem.truth
    t1, t2, m0 = (
        torch.from_numpy(np.ascontiguousarray(values, np.float32)).reshape(
            problem.labels.shape[-len(shape) :]
        )
        for values in (truth.t1, truth.t2, np.abs(truth.m0) * truth.mask)
    )
    contrasts = [
        widened(
            synthesise(DENOISED_CONTRASTS[name], m0, t1.clamp_min(1e-3), t2.clamp_min(1e-3)), shape
        )
        for name in names
    ]
    images = torch.stack(contrasts)
    white = white_of(images[None], names)[0]
    plain = weighted(names).view(-1, *[1] * len(shape))
    return Oracle(names, torch.where(plain, images, images / white))


def maps_by(bench: Bench, denoisers: dict[str, Denoiser]) -> dict[str, TissueMaps]:
    """Maps of the default method by each denoiser, before and after the residual correction."""
    settings, start = MRI2QMAP.settings, start_of(bench)
    maps: dict[str, TissueMaps] = {}
    for name, denoiser in denoisers.items():
        options = PriorOptions(settings.noise_scale, settings.detail)
        prior = Prior(bench.dictionary, denoiser, options)
        loop = looped(start, prior)
        first = prior.maps(loop.image, loop.deviation)
        maps[f"{name}, before the residual correction"] = first
        maps[name] = corrected(start, first)
    return maps


def main() -> None:
    """Run the scans that the output lacks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--take", default="0/1", help="every N-th scan from the K-th on: K/N")
    parser.add_argument("--device", default="cpu")
    words = parser.parse_args()
    first, every = (int(number) for number in words.take.split("/"))
    lines = words.output.read_text().splitlines() if words.output.exists() else []
    finished = {json.loads(line)["scan"] for line in lines}
    options = ReconOptions(device=words.device)
    for scan, case in list((CASES | _VOLUMES).items())[first::every]:
        if scan in finished:
            continue
        if case.n_dims == 3:
            bench = planned(
                Bench(cached_problem(case, words.data, words.cache), options), "mri2qmap"
            )
        else:
            bench = Bench(make_problem(case, words.data), options)
        network = load_denoiser(packaged_weights("joint"), bench.dictionary.atoms.device)
        shape = bench.inverse.encoding.shape
        denoisers = {
            "network": network,
            "oracle": oracle_of(bench.problem, network.contrasts, shape),
        }
        for name, maps in maps_by(bench, denoisers).items():
            scores = scores_of(maps, bench.problem)
            with words.output.open("a") as stream:
                stream.write(json.dumps({"scan": scan, "maps": name, **scores}) + "\n")


if __name__ == "__main__":
    main()

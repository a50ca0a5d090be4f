"""The last denoising of a volume: by the package's network of slices, or by a network of volumes.

python -m benchmarks.accuracy.volume_network DATA CACHE WEIGHTS OUTPUT.jsonl [--noise 1] [--subject 41]
    [--matrix 74]

The scan is that of ``volume_study``. The image is the default method's (lrtv, one iteration with the network
of slices, data consistency); its final maps are made by either network, before and after the residual
correction.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.accuracy.cases import Case, score
from benchmarks.accuracy.methods import Bench
from benchmarks.accuracy.volume_study import cached_problem, planned
from benchmarks.conditions.run import judge
from mri2qmap_bids.recon.denoisers.registry import load_denoiser, packaged_weights
from mri2qmap_bids.recon.grid import centre
from mri2qmap_bids.recon.methods.lrtv import LRTV_REGULARISATION
from mri2qmap_bids.recon.methods.mri2qmap import (
    Mri2qmapSettings,
    image_with_residual,
    residual_noise,
    residual_solver,
)
from mri2qmap_bids.recon.methods.regularised import regularised_image
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.matching import TissueMaps, each_map
from mri2qmap_bids.recon.priors.residual_correction import corrected_by_residual
from mri2qmap_bids.recon.priors.synthetic_contrasts import Prior, PriorOptions
from mri2qmap_bids.recon.solvers.half_quadratic_splitting import Schedule, plug_and_play

_UNFUSED = (0.0, 0.0, 0.0)


def main() -> None:
    """Run and append the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--noise", type=float, default=1.0)
    parser.add_argument("--subject", default="41", choices=("41", "42"))
    parser.add_argument("--matrix", type=int, default=74, help="74: 3 mm")
    parser.add_argument("--device", default="cpu")
    words = parser.parse_args()
    case = Case(f"brainweb{words.subject}", 8, words.noise, n_dims=3, matrix=words.matrix)
    options = ReconOptions(device=words.device)
    bench = planned(Bench(cached_problem(case, words.data, words.cache), options), "mri2qmap")
    settings, dictionary = Mri2qmapSettings(), bench.dictionary
    device = dictionary.atoms.device

    def row(name: str, maps: TissueMaps) -> None:
        part = each_map(maps, lambda values: centre(values, bench.problem.labels.shape))
        t1, t2, m0 = (values.cpu().numpy() for values in (part.t1, part.t2, part.m0.abs()))
        scores = score(t1, t2, m0, bench.problem) | judge(t1, t2, bench.problem)
        key = {"subject": words.subject, "noise": words.noise, "matrix": words.matrix}
        with words.output.open("a") as stream:
            stream.write(json.dumps({**key, "maps": name, **scores}) + "\n")

    start = regularised_image(
        bench.inverse,
        replace(LRTV_REGULARISATION, settings=settings.start),
        settings.start_weight,
        settings.start_steps,
    )
    problem = start.problem
    error = torch.full_like(start.deviation, float(start.deviation.max()))
    slices = Prior(
        dictionary,
        load_denoiser(packaged_weights("joint"), device),
        PriorOptions(settings.noise_scale, settings.detail),
    )
    # What the network of volumes gives is not fused with the matched maps.
    volumes = Prior(dictionary, load_denoiser(words.weights, device), PriorOptions(detail=_UNFUSED))
    looped = plug_and_play(
        problem.normal,
        problem.projection,
        slices,
        start.image,
        settings.start_noise * error,
        start.noise / 2**0.5,
        Schedule(1, settings.decay, settings.remaining, settings.data_steps),
        problem.preconditioner,
    )
    solver = residual_solver(start, settings)
    noise = residual_noise(start, solver)
    for name, prior in (("slices", slices), ("volumes", volumes)):
        maps = prior.maps(looped.image, looped.deviation)
        row(name, maps)
        explained = image_with_residual(start, maps, dictionary, solver)
        row(f"{name}, residual", corrected_by_residual(maps, explained, noise, dictionary, error))


if __name__ == "__main__":
    main()

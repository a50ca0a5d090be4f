"""The last denoising of a volume: by the package's network of slices, or by a network of volumes.

python -m benchmarks.accuracy.volume_network DATA CACHE WEIGHTS OUTPUT.jsonl [--noise 1] [--subject 41]
    [--matrix 74]

The scan is that of ``volume_study``. The image is the default method's (lrtv, one iteration with the network
of slices, data consistency); its final maps are made by either network, before and after the residual
correction.
"""

import argparse
import json
from pathlib import Path

from benchmarks.accuracy.cases import Case
from benchmarks.accuracy.methods import Bench
from benchmarks.accuracy.stages import corrected, looped, scores_of, start_of
from benchmarks.accuracy.volume_study import cached_problem, planned
from mri2qmap_bids.recon.denoisers.registry import load_denoiser, packaged_weights
from mri2qmap_bids.recon.methods.mri2qmap import MRI2QMAP
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.matching import TissueMaps
from mri2qmap_bids.recon.priors.synthetic_contrasts import Prior, PriorOptions

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
    settings, device = MRI2QMAP.settings, bench.dictionary.atoms.device

    def row(name: str, maps: TissueMaps) -> None:
        key = {"subject": words.subject, "noise": words.noise, "matrix": words.matrix}
        with words.output.open("a") as stream:
            line = {**key, "maps": name, **scores_of(maps, bench.problem)}
            stream.write(json.dumps(line) + "\n")

    def prior_of(weights: Path, detail: tuple[float, float, float]) -> Prior:
        network = load_denoiser(weights, device)
        return Prior(bench.dictionary, network, PriorOptions(settings.noise_scale, detail))

    slices = prior_of(packaged_weights("joint"), settings.detail)
    # What the network of volumes gives is not fused with the matched maps.
    volumes = prior_of(words.weights, _UNFUSED)
    start = start_of(bench)
    loop = looped(start, slices)
    for name, prior in (("slices", slices), ("volumes", volumes)):
        maps = prior.maps(loop.image, loop.deviation)
        row(name, maps)
        row(f"{name}, residual", corrected(start, maps))


if __name__ == "__main__":
    main()

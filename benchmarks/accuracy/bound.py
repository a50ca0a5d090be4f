"""How far noise can be taken away from texture: a bound from the truth's own spectrum.

python -m benchmarks.accuracy.bound DATA benchmarks/accuracy/bound.md

Development data at R = 8, by spirals: the bound knows of noise, not of aliasing. In the inner white and
grey matter, log T1, log T2 and log M0 of the truth are taken for a stationary process whose spectrum
S(k), a 3 x 3 matrix, is known exactly, and the error of matching for white noise of the Cramer-Rao
covariance C. No linear estimate then has less error than

    mean over k of S - S (S + C)^-1 S.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.accuracy.cases import Problem, make_problem
from benchmarks.accuracy.methods import Bench
from benchmarks.accuracy.study import CASES
from mri2qmap_bids.recon.methods.subspace import subspace_image
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.matching import TissueMaps
from mri2qmap_bids.recon.physics.uncertainty import noise_factors

_GRID = 512
# Voxels that texture may be correlated over; what is smoother than that is no noise.
_REACH = 12
# Of a normal number: mean magnitude over standard deviation.
_MEAN_OF_NORMAL = (2 / np.pi) ** 0.5


def spectrum(logs: NDArray[np.float64], region: NDArray[np.bool_]) -> NDArray[np.complex128]:
    """Power of (quantity, y, x) inside a region, per voxel, shape (ky, kx, quantity, quantity)."""
    mean = logs[:, region].mean(1)[:, None, None]
    inside = np.fft.fft2(np.where(region, logs - mean, 0), s=(_GRID, _GRID))
    pairs = np.fft.ifft2(np.abs(np.fft.fft2(region.astype(float), s=(_GRID, _GRID))) ** 2).real
    covariance = np.fft.ifft2(inside[:, None] * inside[None].conj()).real / np.maximum(pairs, 1)
    lag = np.fft.fftfreq(_GRID) * _GRID
    away = np.hypot(lag[:, None], lag[None])
    window = np.where(away < _REACH, np.cos(np.pi * away / (2 * _REACH)) ** 2, 0)
    power = np.fft.fft2(covariance * window).transpose(2, 3, 0, 1)
    values, vectors = np.linalg.eigh((power + power.conj().swapaxes(-1, -2)) / 2)
    # No process has negative power.
    root: NDArray[np.complex128] = (vectors * np.maximum(values, 0)[..., None, :]) @ (
        vectors.conj().swapaxes(-1, -2)
    )
    return root


def least_error(
    logs: NDArray[np.float64], region: NDArray[np.bool_], noise: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean magnitude of the least linear error of every quantity, relative [%]."""
    power = spectrum(logs, region)
    posterior = power - power @ np.linalg.inv(power + noise) @ power
    variance = np.diagonal(posterior.mean((0, 1)).real)
    bound: NDArray[np.float64] = 100 * _MEAN_OF_NORMAL * np.sqrt(variance)
    return bound


def inner(problem: Problem, label: int) -> NDArray[np.bool_]:
    """Voxels of a tissue away from its edge."""
    own = np.squeeze(problem.labels) == label
    return np.asarray(ndimage.binary_erosion(own, iterations=2 if label == 2 else 1))


def rows_of(bench: Bench, name: str) -> list[str]:
    """Table rows of one case."""
    problem, dictionary = bench.problem, bench.dictionary
    options = replace(bench.options, method="subspace")
    deviation = subspace_image(bench.inverse, options).deviation
    estimates = {method: bench.run(method) for method in ("subspace", "lrtv", "mri2qmap")}
    truth = [np.squeeze(v) for v in (problem.truth.t1, problem.truth.t2, np.abs(problem.truth.m0))]
    tissue = np.squeeze(problem.labels) > 0
    magnitude = np.abs(np.squeeze(estimates["subspace"].m0))
    scale = float(magnitude[tissue] @ truth[2][tissue] / (truth[2][tissue] @ truth[2][tissue]))
    truth[2] = scale * truth[2]
    t1, t2, m0 = (
        torch.from_numpy(np.maximum(v, low).astype(np.float32))
        for v, low in zip(truth, (0.1, 0.01, 1e-3), strict=True)
    )
    maps = TissueMaps(t1, torch.minimum(t1, t2), m0 + 0j, torch.ones_like(t1))
    factors = noise_factors(maps, dictionary, deviation) / m0[..., None, None]
    covariances = (factors @ factors.mT).double()
    rows = []
    for label, tissue_name in ((2, "white matter"), (1, "grey matter")):
        region = inner(problem, label)
        noise = covariances[torch.from_numpy(region)].median(0).values.numpy()
        logs = np.log(np.maximum(np.stack(truth), 1e-6)).astype(float)
        cells = [least_error(logs, region, noise)]
        for estimate in estimates.values():
            values = [np.squeeze(v) for v in (estimate.t1, estimate.t2, np.abs(estimate.m0))]
            # As everywhere in this benchmark, M0 is known up to a factor.
            values[2] *= float(truth[2][tissue] @ values[2][tissue]) / float(
                values[2][tissue] @ values[2][tissue]
            )
            errors = [
                100 * np.abs(v / k - 1)[region].mean() for v, k in zip(values, truth, strict=True)
            ]
            cells.append(np.array(errors))
        text = " | ".join(" / ".join(f"{value:.2f}" for value in cell) for cell in cells)
        rows.append(f"| {name} | {tissue_name} ({region.sum()}) | {text} |")
    return rows


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("table", type=Path)
    words = parser.parse_args()
    lines = [
        "# What can be known of texture in noise",
        "",
        "`python -m benchmarks.accuracy.bound DATA benchmarks/accuracy/bound.md`: least error of any linear "
        "estimate that knows the spectrum of the true texture exactly, and the errors of methods, in the inner "
        "white and grey matter of development data; T1 / T2 / M0, mean magnitude of the relative error [%].",
        "",
        "| case | tissue (voxels) | bound | subspace | lrtv | mri2qmap |",
        "|---|---|---|---|---|---|",
    ]
    for case in list(CASES.values())[:2]:
        bench = Bench(make_problem(case, words.data), ReconOptions(device="cpu"))
        lines += rows_of(bench, case.name)
        words.table.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

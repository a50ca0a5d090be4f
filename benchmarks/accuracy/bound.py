"""How far noise can be taken away from texture: a bound from the truth's own spectrum.

python -m benchmarks.accuracy.bound DATA benchmarks/accuracy/bound.md

Development data at R = 8, by spirals: the bound knows of noise and of the sampling density, not of aliasing. In the
inner white and grey matter, log T1, log T2 and log M0 of the truth are taken for a stationary process whose spectrum
S(k), a 3 x 3 matrix, is known exactly. With J the derivatives of the subspace image along these three and the phase at
the tissue's medians, C(k) the circulant approximation of A^H W A and sigma the noise of a sample, the data tell

    I(k) = (J^H C(k) J + conj(J^H C(-k) J)) / sigma^2

of them at frequency k; N(k) is the inverse of that, without the row and column of the phase. The least error of a
linear estimate is then

    mean over k of S - S (S + N)^-1 S.

Texture of a brain is not stationary, and its spectrum is that of one region, smoothed: an estimate that follows it from
place to place can have less.
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
from mri2qmap_bids.recon.encoding.frequency_matrices import full_matrices
from mri2qmap_bids.recon.methods.least_squares import PenalisedImage
from mri2qmap_bids.recon.methods.subspace import subspace_image
from mri2qmap_bids.recon.options import ReconOptions
from mri2qmap_bids.recon.physics.dictionary import Dictionary
from mri2qmap_bids.recon.physics.matching import tangents

_GRID = 512
# Voxels that texture may be correlated over; what is smoother than that is no noise.
_REACH = 12
# Of a normal number: mean magnitude over standard deviation.
_MEAN_OF_NORMAL = (2 / np.pi) ** 0.5


def spectrum(
    logs: NDArray[np.float64], region: NDArray[np.bool_], shape: tuple[int, int]
) -> NDArray[np.complex128]:
    """Power of (quantity, y, x) inside a region, per voxel, on a grid: shape (*grid, quantity, quantity)."""
    mean = logs[:, region].mean(1)[:, None, None]
    inside = np.fft.fft2(np.where(region, logs - mean, 0), s=(_GRID, _GRID))
    pairs = np.fft.ifft2(np.abs(np.fft.fft2(region.astype(float), s=(_GRID, _GRID))) ** 2).real
    covariance = np.fft.ifft2(inside[:, None] * inside[None].conj()).real / np.maximum(pairs, 1)
    # Lags on the grid of the frequencies: beyond the reach there are none.
    rows, columns = (np.rint(np.fft.fftfreq(n) * n).astype(int) for n in shape)
    away = np.hypot(rows[:, None], columns[None])
    window = np.where(away < _REACH, np.cos(np.pi * away / (2 * _REACH)) ** 2, 0)
    power = np.fft.fft2(covariance[..., rows[:, None], columns[None]] * window).transpose(
        2, 3, 0, 1
    )
    values, vectors = np.linalg.eigh((power + power.conj().swapaxes(-1, -2)) / 2)
    # No process has negative power; without it the variance would be too large.
    positive: NDArray[np.complex128] = (vectors * np.maximum(values, 0)[..., None, :]) @ (
        vectors.conj().swapaxes(-1, -2)
    )
    variance = np.diagonal(positive.mean((0, 1)).real)
    scale = np.sqrt(logs[:, region].var(1) / np.maximum(variance, 1e-30))
    return positive * scale * scale[:, None]


def noise_spectrum(
    start: PenalisedImage, dictionary: Dictionary, tissue: NDArray[np.float64]
) -> NDArray[np.complex128]:
    """N(k): covariance of the noise in log T1, log T2 and log M0, shape (*grid, quantity, quantity).

    Parameters
    ----------
    start
        The least-squares image.
    dictionary
        Fingerprints and subspace.
    tissue
        T1, T2 [s] and M0, in the unit of the image.
    """
    t1, t2, m0 = (torch.tensor([value], dtype=torch.float32) for value in tissue)
    atom, along_t1, along_t2 = tangents(dictionary, t1, t2)
    slopes = m0 * torch.cat([along_t1, along_t2, atom, 1j * atom]).T.to(torch.complex128)
    upper = start.problem.circulant.upper
    density = full_matrices(upper.flatten(1)).reshape(*upper.shape[1:], len(slopes), -1)
    own = slopes.mH @ density.to(torch.complex128) @ slopes
    # k -> -k on a grid of discrete frequencies.
    opposite = torch.roll(own.flip((0, 1)), (1, 1), (0, 1)).conj()
    information = (own + opposite) / start.noise**2
    # Where k-space was hardly sampled nothing is known: the noise is large, not infinite. Rounding follows the maximum.
    size = information.diagonal(dim1=2, dim2=3).real.amax((0, 1))
    covariance: NDArray[np.complex128] = torch.linalg.inv(
        information + 1e-6 * torch.diag_embed(size)
    )[..., :3, :3].numpy()
    return covariance


def least_error(
    logs: NDArray[np.float64], region: NDArray[np.bool_], noise: NDArray[np.complex128]
) -> NDArray[np.float64]:
    """Mean magnitude of the least linear error of every quantity, relative [%]."""
    power = spectrum(logs, region, noise.shape[:2])
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
    start = subspace_image(bench.inverse, options)
    estimates = {method: bench.run(method) for method in ("subspace", "lrtv", "mri2qmap")}
    truth = [np.squeeze(v) for v in (problem.truth.t1, problem.truth.t2, np.abs(problem.truth.m0))]
    tissue = np.squeeze(problem.labels) > 0
    magnitude = np.abs(np.squeeze(estimates["subspace"].m0))
    scale = float(magnitude[tissue] @ truth[2][tissue] / (truth[2][tissue] @ truth[2][tissue]))
    truth[2] = scale * truth[2]
    rows = []
    for label, tissue_name in ((2, "white matter"), (1, "grey matter")):
        region = inner(problem, label)
        noise = noise_spectrum(start, dictionary, np.array([np.median(v[region]) for v in truth]))
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
        "`python -m benchmarks.accuracy.bound DATA benchmarks/accuracy/bound.md`: *least linear*, the least error of "
        "a linear estimate of stationary texture whose true spectrum is known, and the errors of methods, in the inner "
        "white and grey matter of development data; T1 / T2 / M0, mean magnitude of the relative error [%]. "
        "Texture of a brain is not stationary, so that methods can have a little less.",
        "",
        "| case | tissue (voxels) | least linear | subspace | lrtv | mri2qmap |",
        "|---|---|---|---|---|---|",
    ]
    for case in list(CASES.values())[:4]:
        bench = Bench(make_problem(case, words.data), ReconOptions(device="cpu"))
        lines += rows_of(bench, case.name)
        words.table.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

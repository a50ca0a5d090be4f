"""An image of a phantom from a measured spiral scan, with and without its field map.

python -m benchmarks.measured.spiral DATA

DATA is a folder with rawdata_spiral.mat (310 samples, 54 arms, 20 coils; 10 us apart), ktraj.npy [1/m], dcf.mat
and fieldmap_unwrapped.nii.gz [rad/s] of one slice at 3 T, FOV 384 mm, 192 x 192. Writes spiral.md and spiral.png
beside this file.

The data's own reconstruction is the plain one: the adjoint of every coil with the density weights that come with
the data, root sum of squares over coils; with the field, the conjugate of its phase in every voxel. Ours are the
coil sensitivities, the encoding and the least squares of the package, for one frame. The file of the map has no
orientation: the one is taken whose support lies best on the image (magnitudes alone); the sign is the convention of
the encoding and is judged by the residual of the data. Voxels outside the map's support take the nearest value.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import nibabel as nib
import numpy as np
import scipy.io
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from mri2qmap_bids.recon.encoding.coils import compress_coils, estimate_sensitivities
from mri2qmap_bids.recon.encoding.forward import Encoding, forward
from mri2qmap_bids.recon.encoding.nufft import Nufft
from mri2qmap_bids.recon.encoding.off_resonance import SegmentedNufft, off_resonance
from mri2qmap_bids.recon.methods.least_squares import LeastSquaresSettings, least_squares
from mri2qmap_bids.recon.problem import InverseProblem

FOV, N, DWELL = 0.384, 192, 10e-6
SHAPE = (N, N)


def read(
    data: Path,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, NDArray[np.float64]]:
    """K-space (coil, sample), positions [rad/voxel], weights, times [s] and the map [Hz]."""
    kspace = scipy.io.loadmat(data / "rawdata_spiral.mat")["dat"].transpose(2, 1, 0)
    positions = np.load(data / "ktraj.npy").T * 2 * np.pi * FOV / N
    omega = np.stack([positions.imag.ravel(), positions.real.ravel()], 1)
    weights = scipy.io.loadmat(data / "dcf.mat")["dcf_out"].T.ravel()
    time = np.tile(np.arange(kspace.shape[2]) * DWELL, kspace.shape[1])
    field = nib.load(data / "fieldmap_unwrapped.nii.gz").get_fdata() / (2 * np.pi)
    flat = np.ascontiguousarray(kspace.reshape(len(kspace), -1), np.complex64)
    return (
        torch.from_numpy(flat),
        torch.from_numpy(omega.astype(np.float32)),
        torch.from_numpy(weights.astype(np.float32)),
        torch.from_numpy(time.astype(np.float32)),
        field,
    )


def plain(
    kspace: torch.Tensor, transform: Nufft | SegmentedNufft, weights: torch.Tensor
) -> NDArray[np.float64]:
    """Root sum of squares of the coils' weighted adjoints."""
    total = sum(transform.adjoint(samples * weights).abs().square() for samples in kspace)
    return np.sqrt(np.asarray(total, np.float64))


def turned(field: NDArray[np.float64], number: int) -> NDArray[np.float64]:
    """One of the eight orientations of a map."""
    return np.rot90(field.T if number >= 4 else field, number % 4)


def orientation(field: NDArray[np.float64], image: NDArray[np.float64]) -> tuple[int, list[float]]:
    """The orientation whose support (non-zero values) correlates best with the image, and all correlations."""
    scores = [
        float(np.corrcoef((turned(field, n) != 0).ravel(), image.ravel())[0, 1]) for n in range(8)
    ]
    return int(np.argmax(scores)), scores


def agreement(
    image: NDArray[np.float64], reference: NDArray[np.float64], mask: NDArray[np.bool_]
) -> tuple[float, float]:
    """Correlation, and NRMSE after the best scaling [%], within a mask."""
    a, b = image[mask], reference[mask]
    scale = (a @ b) / (a @ a)
    nrmse = float(np.linalg.norm(scale * a - b) / np.linalg.norm(b))
    return float(np.corrcoef(a, b)[0, 1]), 100 * nrmse


def overlap(image: NDArray[np.float64], support: NDArray[np.bool_]) -> float:
    """Dice overlap of the bright voxels with the support of the map."""
    bright = image > 0.2 * np.quantile(image, 0.98)
    return 2 * float((bright & support).sum() / (bright.sum() + support.sum()))


def main() -> None:
    """Reconstruct, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    words = parser.parse_args()
    kspace, omega, weights, time, field_file = read(words.data)
    nufft = Nufft(omega, SHAPE)
    own = plain(kspace, nufft, weights)
    best, scores = orientation(field_file, own)
    known = turned(field_file, best) != 0
    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    filled = turned(field_file, best)[tuple(nearest)]
    field = torch.from_numpy(np.ascontiguousarray(filled, np.float32))
    virtual = compress_coils(kspace, 8)
    frame, ones = torch.zeros(len(omega), dtype=torch.long), torch.ones(len(omega))
    inside = known & (own > 0.1 * np.quantile(own, 0.99))
    images, residuals = {}, {}
    signs = {"without": 0.0, "with": 1.0, "opposite sign": -1.0}
    for name, sign in signs.items():
        part = off_resonance(sign * field, time) if sign else None
        coils = estimate_sensitivities(virtual, omega, ones, SHAPE, field=part)
        encoding = Encoding(omega, frame, torch.ones(1, 1), coils, part)
        problem = InverseProblem(encoding, virtual)
        solution = least_squares(problem, LeastSquaresSettings())
        images[f"ours, {name}"] = solution.image[0].abs().numpy().astype(np.float64)
        rest = forward(problem.encoding, solution.image) - virtual
        residuals[name] = 100 * float(rest.norm() / virtual.norm())
        transform = nufft if part is None else SegmentedNufft(nufft, part)
        images[f"own, {name}"] = plain(kspace, transform, weights)
    lines = [
        "# A measured spiral scan of a phantom",
        "",
        "By `python -m benchmarks.measured.spiral DATA`; 54 arms of 310 samples (3.1 ms), 20 coils",
        f"compressed to 8, 192 x 192, 2 mm, 3 T; the field map has {float(field[inside].min()):.0f} to "
        f"{float(field[inside].max()):.0f} Hz in the phantom (5th to 95th percentile",
        f"{np.percentile(field[inside], 5):.0f} to {np.percentile(field[inside], 95):.0f} Hz). One frame: no maps, "
        "but the encoding, the coil sensitivities, the least squares and the",
        "correction of off-resonance, on measured samples and the nominal trajectory. *Own* is the adjoint of every",
        "coil with the data's density weights, root sum of squares.",
        "",
        "| image | field map | correlation with own, same field | NRMSE [%] | residual of the data [%] "
        "| overlap with the map |",
        "|---|---|---|---|---|---|",
    ]
    for name in signs:
        correlation, nrmse = agreement(images[f"ours, {name}"], images[f"own, {name}"], inside)
        lines.append(
            f"| ours | {name} | {correlation:.4f} | {nrmse:.1f} | {residuals[name]:.2f} | "
            f"{overlap(images[f'ours, {name}'], known):.3f} |"
        )
        lines.append(f"| own | {name} | | | | {overlap(images[f'own, {name}'], known):.3f} |")
    for kind in ("ours", "own"):
        correlation, nrmse = agreement(images[f"{kind}, with"], images[f"{kind}, without"], inside)
        lines.append(f"| {kind} | with, against without | {correlation:.4f} | {nrmse:.1f} | | |")
    lines += [
        "",
        "The residual is |A x - y| / |y| of the virtual coils; the overlap (Dice) is of bright voxels with the map's "
        "support. Correlation of",
        "the map's support with the image in its eight orientations: "
        + ", ".join(f"{score:.2f}" for score in scores)
        + f" (taken: {best}).",
        "",
        "![Images](spiral.png)",
    ]
    here = Path(__file__)
    text = here.with_suffix(".md").read_text() if here.with_suffix(".md").exists() else ""
    findings = text.split("<!-- findings -->")[1:] or ["\n"]
    here.with_suffix(".md").write_text("\n".join(lines) + "\n\n<!-- findings -->" + findings[0])
    draw(images, field.numpy(), here.with_suffix(".png"))


def draw(images: dict[str, NDArray[np.float64]], field: NDArray[np.float32], path: Path) -> None:
    """All images and the field."""
    figure, axes = plt.subplots(2, 4, figsize=(11, 5.6), layout="constrained")
    for axis, (name, image) in zip(
        axes.T.flat, sorted(images.items(), key=lambda item: item[0].split(", ")[1]), strict=False
    ):
        axis.imshow(image, cmap="gray", vmax=np.quantile(image, 0.995))
        axis.set_title(name, fontsize=9)
    picture = axes[0, 3].imshow(field, cmap="RdBu_r")
    axes[0, 3].set_title("field map [Hz]", fontsize=9)
    figure.colorbar(picture, ax=axes[0, 3], shrink=0.8)
    for axis in axes.flat:
        axis.set_axis_off()
    figure.savefig(path, dpi=80)
    plt.close(figure)


if __name__ == "__main__":
    main()

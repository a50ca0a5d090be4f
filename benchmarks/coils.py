"""Which coil sensitivity estimate? Error and CPU time of four, on a head and on phantoms.

Run from the repository root, single-threaded:

    OMP_NUM_THREADS=1 python -m benchmarks.coils HEAD.dat BODY.dat --table benchmarks/coils.md

HEAD.dat and BODY.dat are Siemens raw files (read with twixtools) of the same fully sampled
Cartesian 2D slice, received with the head array and with the body coil. Without them only
the phantoms are measured. The table between the markers of the .md file is replaced.

Error is 1 - |<S, S_ref>| / (|S| |S_ref|) per voxel of the object, its mean and its 99th
percentile; residual is the share of the energy of the fully sampled coil images in the
object that lies outside the span of the estimated map, 1 - |<S, x>|^2 / (|S|^2 |x|^2), the
least that a SENSE reconstruction with these maps leaves unexplained.
"""

import argparse
import logging
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(tempfile.gettempdir()) / "numba"))

import numpy as np
import torch
from scipy import ndimage
from sigpy.mri import birdcage_maps
from sigpy.mri.app import EspiritCalib, JsenseRecon
from torch import Tensor

from mri2qmap_bids.recon.encoding import coils
from mri2qmap_bids.recon.encoding.nufft import Nufft

LOG = logging.getLogger(__name__)
MARKERS = "<!-- table -->\n", "<!-- end of table -->\n"


@dataclass(frozen=True)
class Scan:
    """Samples to estimate from, and what the estimate is held against."""

    name: str
    kspace: Tensor  # (coil, sample)
    omega: Tensor  # (sample, dim) [rad/voxel]
    contrast: Tensor  # (sample,)
    reference: Tensor  # (coil, *shape), any length per voxel
    images: Tensor  # (coil, *shape), fully sampled
    mask: Tensor  # (*shape)


Estimate = Callable[[Scan, int], Tensor]


def package(scan: Scan, n_centre: int) -> Tensor:
    """The package's own ESPIRiT, on the grid of the centre of k-space."""
    shape = tuple(scan.mask.shape)
    return coils.estimate_sensitivities(scan.kspace, scan.omega, scan.contrast, shape, n_centre)


def walsh(scan: Scan, n_centre: int) -> Tensor:
    """Dominant eigenvector of the covariance of the low-resolution images over 3 voxels."""
    centre = _calibration(scan, n_centre)
    axes = tuple(range(1, centre.ndim))
    for axis in axes:
        window = np.expand_dims(np.hanning(centre.shape[axis] + 2)[1:-1], [0, *axes][:-1])
        centre = centre * np.moveaxis(window, -1, axis)
    images = np.fft.fftshift(np.fft.ifftn(np.fft.ifftshift(centre, axes), axes=axes), axes)
    factors = [n / m for n, m in zip(scan.mask.shape, images.shape[1:], strict=True)]
    where = np.indices(scan.mask.shape, dtype=float)
    for axis, factor in enumerate(factors):
        n, m = scan.mask.shape[axis], images.shape[axis + 1]
        where[axis] = (where[axis] - n // 2) / factor + m // 2
    fine = np.stack([ndimage.map_coordinates(image, where, mode="nearest") for image in images])
    sizes = [round(3 * factor) for factor in factors]
    outer = (fine[:, None] * fine[None].conj()).reshape(-1, *scan.mask.shape)
    local = np.stack([ndimage.uniform_filter(pair, sizes) for pair in outer])
    covariance = local.reshape(len(fine), len(fine), -1).transpose(2, 0, 1)
    vectors = torch.linalg.eigh(torch.from_numpy(covariance)).eigenvectors[..., -1]
    return vectors.T.reshape(fine.shape).to(torch.complex64)


def espirit(scan: Scan, n_centre: int) -> Tensor:
    """sigpy's ESPIRiT of the same calibration region."""
    calibration = _calibration(scan, n_centre)
    low, shape = calibration.shape[1:], tuple(scan.mask.shape)
    margins = [(n // 2 - m // 2, n - m - n // 2 + m // 2) for n, m in zip(shape, low, strict=True)]
    app = EspiritCalib(
        np.pad(calibration, [(0, 0), *margins]),
        calib_width=min(low),
        thresh=0.02,
        kernel_width=6,
        crop=0,
        show_pbar=False,
    )
    return torch.from_numpy(app.run())


def _calibration(scan: Scan, n_centre: int) -> np.ndarray:
    shape = tuple(scan.mask.shape)
    return coils.calibration_region(scan.kspace, scan.omega, scan.contrast, shape, n_centre).numpy()


def jsense(scan: Scan, n_centre: int) -> Tensor:
    """sigpy's joint estimate of image and maps, on the centre of k-space."""
    shape = tuple(scan.mask.shape)
    scale = scan.omega.new_tensor([min(n_centre, n) / n for n in shape])
    inside = (scan.omega.abs() <= torch.pi * scale).all(dim=1)
    size = scan.omega.new_tensor(shape)
    app = JsenseRecon(
        (scan.kspace / scan.contrast.conj())[:, inside].numpy(),
        mps_ker_width=16,
        ksp_calib_width=n_centre,
        coord=(scan.omega * size / (2 * torch.pi))[inside].numpy(),
        weights=scan.contrast[inside].abs().square().numpy(),
        img_shape=shape,
        lamda=1e-3,
        max_iter=10,
        max_inner_iter=10,
        show_pbar=False,
    )
    return torch.from_numpy(app.run())


METHODS: dict[str, Estimate] = {
    "package ESPIRiT": package,
    "sigpy ESPIRiT": espirit,
    "sigpy JSENSE": jsense,
    "Walsh": walsh,
}


def head_scan(head: Path, body: Path) -> list[Scan]:
    """The real slice, sampled on its own grid and on spirals."""
    images = whitened(_cartesian_images(head))
    single = coils.compress_coils(_cartesian_images(body).flatten(1), 1).reshape(images.shape[1:])
    mask = torch.from_numpy(_mask(images.abs().square().sum(0).sqrt().numpy()))
    ratio = (images * single.conj() * mask).numpy()
    # The body coil's phase and contrast are gone from the product, so neighbours may be averaged.
    smooth = [ndimage.gaussian_filter(coil, 1.5) for coil in ratio]
    reference = torch.from_numpy(np.stack(smooth))
    kspace_positions = {
        "head, Cartesian": _grid(mask.shape),
        "head, spirals": _spirals(128, 64, 2),
    }
    return [
        _scan(name, images, reference, mask, omega, noise=0.0)
        for name, omega in kspace_positions.items()
    ]


def phantom_scan(shape: tuple[int, ...], noise: float) -> Scan:
    """Ellipsoid with texture and phase under eight birdcage coils, sampled on spirals."""
    axes = [np.linspace(-1, 1, n, endpoint=False) for n in shape]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"))
    radius = np.sqrt(((grid / 0.75) ** 2).sum(0))
    texture = 1 + 0.5 * np.cos(9 * grid[-1]) * np.cos(7 * grid[0])
    image = torch.from_numpy((radius < 1) * texture * np.exp(3j * grid[-1] ** 2 + 2j * grid[0]))
    maps = torch.from_numpy(birdcage_maps((8, *shape))).to(torch.complex64)
    images = maps * image.to(torch.complex64)
    name = f"{len(shape)}D phantom {shape[0]}, noise {noise:g}"
    omega = _spirals(shape[0], shape[0] // 2, len(shape))
    return _scan(name, images, maps, torch.from_numpy(radius < 1), omega, noise)


def _scan(
    name: str,
    images: Tensor,
    reference: Tensor,
    mask: Tensor,
    omega: Tensor,
    noise: float,
) -> Scan:
    """Sample the images while their signal turns and changes sign along the train."""
    generator = torch.Generator().manual_seed(1)
    plan = Nufft(omega, tuple(mask.shape), tolerance=1e-5)
    frame = torch.arange(len(omega)) * 200 // len(omega)
    signal = torch.cos(frame / 11.0) + 0.2j * torch.sin(frame / 7.0)
    kspace = torch.stack([plan.forward(image) for image in images]) * signal
    unit = kspace.abs().max()
    noise_samples = torch.randn(kspace.shape, generator=generator, dtype=kspace.dtype)
    kspace = kspace + noise * unit * noise_samples
    return Scan(name, kspace, omega, signal.conj(), reference, images, mask)


def _spirals(n: int, n_arms: int, dim: int) -> Tensor:
    """Golden-angle spirals out to the edge of k-space; in 3D tilted over the sphere."""
    radius = np.linspace(0, 1, 8 * n)
    n_arms = n_arms if dim == 2 else n_arms * n // 2
    arms = []
    for arm in range(n_arms):
        turns = 2 * np.pi * (n / 32 * radius + arm * 0.381966)
        plane = np.stack([np.sin(turns), np.cos(turns)], axis=1) * np.pi * radius[:, None]
        if dim == 3:
            height = 2 * ((arm * 0.682328) % 1) - 1
            tilt = np.sqrt(1 - height**2)
            normal_in_plane = np.array([[tilt, 0.0], [-height, 0.0], [0.0, 1.0]])
            plane = plane @ normal_in_plane.T
            turn = 2 * np.pi * arm * 0.754878
            rotation = np.array(
                [
                    [1, 0, 0],
                    [0, np.cos(turn), -np.sin(turn)],
                    [0, np.sin(turn), np.cos(turn)],
                ]
            )
            plane = plane @ rotation.T
        arms.append(plane)
    return torch.from_numpy(np.concatenate(arms)).to(torch.float32)


def _grid(shape: tuple[int, ...]) -> Tensor:
    axes = [(torch.arange(n) - n // 2) * (2 * torch.pi / n) for n in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, len(shape))


def _cartesian_images(path: Path) -> Tensor:
    import twixtools

    scan = twixtools.map_twix(str(path), verbose=False)[-1]["image"]
    kspace = np.asarray(scan[:]).squeeze().transpose(1, 0, 2)  # coil, line, column
    axes = (1, 2)
    shifted = np.fft.ifftn(np.fft.ifftshift(kspace, axes), axes=axes, norm="ortho")
    return torch.from_numpy(np.fft.fftshift(shifted, axes).astype(np.complex64))


def whitened(images: Tensor) -> Tensor:
    """Unit, uncorrelated noise, measured in the four corners."""
    strip = images.shape[-1] // 10
    corners = torch.cat([images[:, :strip], images[:, -strip:]], dim=1)
    corners = torch.cat([corners[..., :strip], corners[..., -strip:]], dim=-1).flatten(1)
    factor = torch.linalg.cholesky(corners @ corners.mH / corners.shape[1])
    flat = torch.linalg.solve_triangular(factor, images.flatten(1), upper=False)
    return flat.reshape(images.shape)


def _mask(magnitude: np.ndarray) -> np.ndarray:
    bright = ndimage.binary_opening(magnitude > 0.25 * np.quantile(magnitude, 0.95))
    parts, _ = ndimage.label(ndimage.binary_closing(bright, iterations=2))
    largest = np.bincount(parts.ravel())[1:].argmax() + 1
    return bright & (parts == largest)


def _cosine(first: Tensor, second: Tensor) -> Tensor:
    lengths = torch.linalg.vector_norm(first, dim=0) * torch.linalg.vector_norm(second, dim=0)
    return (first.conj() * second).sum(0).abs() / lengths.clamp(min=1e-30)


def measure(scan: Scan, method: str, n_centre: int) -> str:
    """One row of the table."""
    start = time.process_time()
    maps = METHODS[method](scan, n_centre)
    seconds = time.process_time() - start
    error = 1 - _cosine(maps, scan.reference)[scan.mask]
    energy = scan.images.abs().square().sum(0)[scan.mask]
    explained = (_cosine(maps, scan.images)[scan.mask].square() * energy).sum() / energy.sum()
    row = (
        f"| {scan.name} | {method} | {n_centre} | {1e3 * error.mean():.2f} "
        f"| {1e3 * error.quantile(0.99):.2f} | {1e3 * (1 - explained):.2f} | {seconds:.2f} |"
    )
    LOG.info(row)
    return row


def main() -> None:
    """Measure every method on every scan; put the table where it is asked for."""
    parser = argparse.ArgumentParser(description="Compare coil sensitivity estimates.")
    parser.add_argument("head", type=Path, nargs="?", help="raw file of the head array")
    parser.add_argument("body", type=Path, nargs="?", help="raw file of the body coil")
    parser.add_argument("--table", type=Path, help="Markdown file whose table to replace")
    parser.add_argument("--centre", type=int, nargs="+", default=[16, 24, 32], help="matrix sizes")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    scans = [phantom_scan((64, 64), 0.0), phantom_scan((64, 64), 3e-3)]
    scans += [phantom_scan((40, 40, 40), noise) for noise in (3e-3,)]
    if arguments.head and arguments.body:
        scans = head_scan(arguments.head, arguments.body) + scans
    rows = [
        "| data | method | centre | mean error [1e-3] | 99th percentile [1e-3] "
        "| residual [1e-3] | CPU [s] |",
        "|---|---|---|---|---|---|---|",
    ]
    for scan in scans:
        sizes = arguments.centre if scan.mask.ndim == 2 else [24]  # JSENSE takes minutes each
        rows += [measure(scan, method, size) for size in sizes for method in METHODS]
    if arguments.table:
        before, rest = arguments.table.read_text().split(MARKERS[0])
        after = rest.split(MARKERS[1])[1]
        table = MARKERS[0] + "\n".join(rows) + "\n" + MARKERS[1]
        arguments.table.write_text(before + table + after)


if __name__ == "__main__":
    main()
